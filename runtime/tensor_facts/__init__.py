"""Facts about tensors: memory, strides, addresses, shards. Must not know of optimizers."""
