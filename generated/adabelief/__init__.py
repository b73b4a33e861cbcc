# Generated from specs/adabelief.yaml by thetac; do not edit.
"""AdaBelief and its implementations."""

from .optimizer import AdaBelief

__all__ = ["AdaBelief"]
