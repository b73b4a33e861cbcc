# Generated from specs/adam.yaml by thetac; do not edit.
"""Adam and its implementations."""

from .optimizer import Adam

__all__ = ["Adam"]
