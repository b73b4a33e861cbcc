# Generated from specs/textbook/nesterov_sgd.yaml by thetac; do not edit.
"""NesterovSGD and its implementations."""

from .optimizer import NesterovSGD

__all__ = ["NesterovSGD"]
