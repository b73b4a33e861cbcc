# Generated from specs/adopt.yaml by thetac; do not edit.
"""ADOPT and its implementations."""

from .optimizer import ADOPT

__all__ = ["ADOPT"]
