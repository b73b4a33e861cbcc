"""How fast optimizers are, beside torch's and other libraries': `python -m benchmarks`, or `make bench`."""
