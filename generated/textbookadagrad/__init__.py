# Generated from specs/textbook/adagrad.yaml by thetac; do not edit.
"""TextbookAdagrad and its implementations."""

from .optimizer import TextbookAdagrad

__all__ = ["TextbookAdagrad"]
