# Generated from specs/adadelta.yaml by thetac; do not edit.
"""Adadelta and its implementations."""

from .optimizer import Adadelta

__all__ = ["Adadelta"]
