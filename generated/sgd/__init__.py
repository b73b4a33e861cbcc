# Generated from specs/sgd.yaml by thetac; do not edit.
"""SGD and its implementations."""

from .optimizer import SGD

__all__ = ["SGD"]
