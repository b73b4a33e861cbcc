"""The compiler: specs in, optimizers out. It knows no algorithm and imports neither torch nor the runtime."""
