# Generated from specs/asgd.yaml by thetac; do not edit.
"""ASGD and its implementations."""

from .optimizer import ASGD

__all__ = ["ASGD"]
