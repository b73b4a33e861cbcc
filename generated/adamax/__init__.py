# Generated from specs/adamax.yaml by thetac; do not edit.
"""Adamax and its implementations."""

from .optimizer import Adamax

__all__ = ["Adamax"]
