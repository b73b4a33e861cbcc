# Generated from specs/textbook/adam_no_bias_correction.yaml by thetac; do not edit.
"""AdamNoBiasCorrection and its implementations."""

from .optimizer import AdamNoBiasCorrection

__all__ = ["AdamNoBiasCorrection"]
