# Generated from specs/textbook/momentum_sgd.yaml by thetac; do not edit.
"""MomentumSGD and its implementations."""

from .optimizer import MomentumSGD

__all__ = ["MomentumSGD"]
