"""Which arguments generated functions take: a rule's functions take what they read, and nothing else.

In: a generated function. Out: the names of its keywords, as the compiler decided; they are looked up once per function.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from typing import TypeVar

Value = TypeVar("Value")


@cache
def keywords_of(function: Callable[..., object]) -> frozenset[str]:
    """Return the names of the keyword-only arguments of a generated function."""
    parameters = inspect.signature(function).parameters.values()
    return frozenset(parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY)


def taken(keywords: frozenset[str], values: Mapping[str, Value]) -> dict[str, Value]:
    """Return the values that a function with these keywords takes, by name."""
    return {name: value for name, value in values.items() if name in keywords}
