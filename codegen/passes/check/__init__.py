"""What may be wrong with a rule, said to its author."""
