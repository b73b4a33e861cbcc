"""Find the known word that a misspelt one was meant to be.

In: a word and known ones. Out: the one that was meant, or None. Must not know what the words name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from inspect import CO_VARKEYWORDS
from types import FunctionType

_DIGITS = dict.fromkeys(map(ord, "0123456789"), "0")


def find_nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that is closest to an unknown one; None if none is as near as Python's suggestions are."""
    return _closest(word, {other: (len(word) + len(other) + 3) // 6 for other in known})


def find_typo(word: str, known: Iterable[str]) -> str | None:
    """Return the known word of which another is likely a typing error; None if that word may be right.

    Letters that were left out, doubled, changed or swapped: one, and two in words of ten and more. A word of fewer than
    five letters has too many neighbours, so only capitals count there. What begins or ends with the known word, or it
    with this, such as `lrs` and `no_weight_decay`, is a name of its own, and so is what has another number in it.
    """
    return _closest(
        word,
        {
            other: 0 if len(other) < 5 else 1 if len(other) < 10 else 2
            for other in known
            if word.lower() == other.lower() or not _are_related(*sorted((word, other), key=len))
        },
    )


def describe_unexpected_keyword(function: object, keywords: Mapping[str, object]) -> str | None:
    """Return the message of Python 3.13 for a call with an unknown keyword.

    Args:
        function: The function that is called.
        keywords: The keyword arguments of the call.

    Returns:
        The message; None if all keywords are known, or no parameter has a similar name.
    """
    if not isinstance(function, FunctionType) or function.__code__.co_flags & CO_VARKEYWORDS:
        return None
    code = function.__code__
    names = code.co_varnames[code.co_posonlyargcount : code.co_argcount + code.co_kwonlyargcount]
    unexpected = next((keyword for keyword in keywords if keyword not in names), None)
    if unexpected is None or (suggestion := find_nearest(unexpected, names)) is None:
        return None
    return f"{function.__qualname__}() got an unexpected keyword argument {unexpected!r}. Did you mean {suggestion!r}?"


def _closest(word: str, allowed: Mapping[str, int]) -> str | None:
    """Return the word that is the fewest edits away, the first of equals; None if none is near enough.

    Args:
        word: The word that was written.
        allowed: Known words, each with the number of edits that it may be away.
    """
    near = [other for other, most in allowed.items() if abs(len(word) - len(other)) <= most]
    counts = {other: _edits(word.lower(), other.lower()) for other in near}
    return min((other for other in near if counts[other] <= allowed[other]), key=counts.__getitem__, default=None)


def _are_related(short: str, long: str) -> bool:
    """Return whether one word was derived from the other on purpose."""
    return long.startswith(short) or long.endswith(short) or short.translate(_DIGITS) == long.translate(_DIGITS)


def _edits(word: str, other: str) -> int:
    """Return how many letters must be inserted, deleted, changed, or swapped with the next to make one of the other."""
    before: list[int] = []
    last = list(range(len(other) + 1))
    for i, letter in enumerate(word, 1):
        row = [i]
        for j, theirs in enumerate(other, 1):
            count = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (letter != theirs))
            if i > 1 and j > 1 and letter == other[j - 2] and word[i - 2] == theirs:
                count = min(count, before[j - 2] + 1)
            row.append(count)
        before, last = last, row
    return last[-1]
