"""What all generated optimizers share: groups, state, serialization, backend choice, launching. Names no algorithm."""
