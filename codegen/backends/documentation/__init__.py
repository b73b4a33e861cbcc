"""What a reader sees of an optimizer: docstrings, formulas, pages."""
