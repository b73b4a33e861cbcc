"""The generated package itself: the Optimizer subclass and the __init__ files."""
