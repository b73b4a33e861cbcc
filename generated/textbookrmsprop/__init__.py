# Generated from specs/textbook/rmsprop.yaml by thetac; do not edit.
"""TextbookRMSprop and its implementations."""

from .optimizer import TextbookRMSprop

__all__ = ["TextbookRMSprop"]
