"""Python on tensors: the for-loop, foreach, and functional implementations."""
