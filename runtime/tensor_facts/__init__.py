"""What is true of tensors: memory, strides, addresses, shards. Knows no optimizer."""
