# Generated from specs/qhadam.yaml by thetac; do not edit.
"""QHAdam and its implementations."""

from .optimizer import QHAdam

__all__ = ["QHAdam"]
