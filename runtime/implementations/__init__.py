"""The executors of a step: for-loop, foreach, and the fused kernels with their scalar rows."""
