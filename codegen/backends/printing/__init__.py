"""Text that all backends print: arguments, host expressions, escaped prose."""
