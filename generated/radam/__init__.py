# Generated from specs/radam.yaml by thetac; do not edit.
"""RAdam and its implementations."""

from .optimizer import RAdam

__all__ = ["RAdam"]
