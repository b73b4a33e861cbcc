# Generated from specs/yogi.yaml by thetac; do not edit.
"""Yogi and its implementations."""

from .optimizer import Yogi

__all__ = ["Yogi"]
