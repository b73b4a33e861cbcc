# Generated from specs/rprop.yaml by thetac; do not edit.
"""Rprop and its implementations."""

from .optimizer import Rprop

__all__ = ["Rprop"]
