"""Calls of generated functions by tests that know more values than a function reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from thetac.runtime.implementations.generated_modules import keywords_of, taken


def call(function: Callable[..., Any], *lists: object, **values: object) -> Any:
    """Call a generated function with those of the values that it takes, as the runtime does."""
    return function(*lists, **taken(keywords_of(function), values))
