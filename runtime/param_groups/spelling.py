"""Which known word a misspelt one was meant to be.

In: a word and known ones. Out: the one that was meant, or None. Must not know what the words name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from inspect import CO_VARKEYWORDS
from types import FunctionType

_DIGITS = dict.fromkeys(map(ord, "0123456789"), "0")


def meant(word: str, known: Iterable[str]) -> str | None:
    """The known word that is closest to one that must be wrong; as far off as Python suggests names of arguments."""
    return _closest(word, {other: (len(word) + len(other) + 3) // 6 for other in known})


def typo_of(word: str, known: Iterable[str]) -> str | None:
    """The known word of which another, which may be right, is a typing error.

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


def unexpected_keyword(function: object, keywords: Mapping[str, object]) -> str | None:
    """What Python 3.13 says of a call with a keyword that a function does not take, where it has a suggestion."""
    if not isinstance(function, FunctionType) or function.__code__.co_flags & CO_VARKEYWORDS:
        return None
    code = function.__code__
    names = code.co_varnames[code.co_posonlyargcount : code.co_argcount + code.co_kwonlyargcount]
    unexpected = next((keyword for keyword in keywords if keyword not in names), None)
    if unexpected is None or (suggestion := meant(unexpected, names)) is None:
        return None
    return f"{function.__qualname__}() got an unexpected keyword argument {unexpected!r}. Did you mean {suggestion!r}?"


def _closest(word: str, allowed: Mapping[str, int]) -> str | None:
    """The first of the words that are the fewest edits away, of those that are as near as each must be."""
    near = [other for other, most in allowed.items() if abs(len(word) - len(other)) <= most]
    counts = {other: _edits(word.lower(), other.lower()) for other in near}
    return min((other for other in near if counts[other] <= allowed[other]), key=counts.__getitem__, default=None)


def _are_related(short: str, long: str) -> bool:
    """Whether one was made of the other on purpose."""
    return long.startswith(short) or long.endswith(short) or short.translate(_DIGITS) == long.translate(_DIGITS)


def _edits(word: str, other: str) -> int:
    """How many letters have to be put in, taken out, changed, or swapped with the next, to make one of the other."""
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
