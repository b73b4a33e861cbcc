# Generated from specs/rmsprop.yaml by thetac; do not edit.
"""RMSprop and its implementations."""

from .optimizer import RMSprop

__all__ = ["RMSprop"]
