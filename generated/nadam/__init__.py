# Generated from specs/nadam.yaml by thetac; do not edit.
"""NAdam and its implementations."""

from .optimizer import NAdam

__all__ = ["NAdam"]
