# Generated from specs/adamw.yaml by thetac; do not edit.
"""AdamW and its implementations."""

from .optimizer import AdamW

__all__ = ["AdamW"]
