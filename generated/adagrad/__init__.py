# Generated from specs/adagrad.yaml by thetac; do not edit.
"""Adagrad and its implementations."""

from .optimizer import Adagrad

__all__ = ["Adagrad"]
