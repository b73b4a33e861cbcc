"""Find what is wrong with a rule, and tell its author."""
