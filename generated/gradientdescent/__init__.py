# Generated from specs/textbook/gradient_descent.yaml by thetac; do not edit.
"""GradientDescent and its implementations."""

from .optimizer import GradientDescent

__all__ = ["GradientDescent"]
