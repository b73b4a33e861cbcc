"""The compiler: specs in, optimizers out. Knows nothing of any one algorithm; imports neither torch nor the runtime."""
