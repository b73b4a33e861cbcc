# Generated from specs/signum.yaml by thetac; do not edit.
"""Signum and its implementations."""

from .optimizer import Signum

__all__ = ["Signum"]
