"""What decides when the pieces of a rule run: closures evaluated twice, modes, methods that users call."""
