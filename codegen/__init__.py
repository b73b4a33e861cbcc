"""The compiler: reads specs, writes optimizers. Knows nothing of any one algorithm; imports neither torch nor the runtime."""
