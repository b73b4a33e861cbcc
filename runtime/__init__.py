"""What all generated optimizers share: groups, state, serialization, backend choice, launching. Names no algorithm.

`thetac.runtime.optimizer.Optimizer` is the class behind every generated one, `thetac.runtime.schema` how generated
code describes itself. Importing this package imports neither: a class that nobody uses costs nothing.
"""
