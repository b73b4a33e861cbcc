# Generated from specs/ademamix.yaml by thetac; do not edit.
"""AdEMAMix and its implementations."""

from .optimizer import AdEMAMix

__all__ = ["AdEMAMix"]
