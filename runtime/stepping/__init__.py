"""One step: choose implementations, make a plan, guard it, run it."""
