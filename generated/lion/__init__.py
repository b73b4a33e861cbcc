# Generated from specs/lion.yaml by thetac; do not edit.
"""Lion and its implementations."""

from .optimizer import Lion

__all__ = ["Lion"]
