# Generated from specs/adan.yaml by thetac; do not edit.
"""Adan and its implementations."""

from .optimizer import Adan

__all__ = ["Adan"]
