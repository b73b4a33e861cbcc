"""Param groups, their options and hyperparameters, and the state of their parameters."""
