# Generated from adagrad.yaml by thetac; do not edit.
"""TextbookAdagrad and its implementations."""

from .optimizer import TextbookAdagrad

__all__ = ["TextbookAdagrad"]
