"""Read ranges of hyperparameters, such as `[0, 1)`, and texts written once for all elements or for each.

In: the fields of an entry. Out: a Range for each element, or None where there is none, and diagnostics.
"""

from __future__ import annotations

import math
import re

from thetac.codegen.errors import Diagnostics, quote
from thetac.codegen.frontend import yaml_tree
from thetac.codegen.frontend.reading import Fields, is_number_text, number_remedy, parse_number, text_of
from thetac.codegen.frontend.yaml_tree import Scalar
from thetac.codegen.ir.nodes import Range

_RANGE = re.compile(r"\s*([\[(])\s*([^,\s]+)\s*,\s*([^,\s]+)\s*([\])])\s*")
_INFINITIES = {"inf": math.inf, "+inf": math.inf, "-inf": -math.inf}


def each_of(fields: Fields, key: str, width: int, diagnostics: Diagnostics) -> tuple[Scalar, ...]:
    """Return the texts under a key that takes one for all elements or a list with one for each."""
    node = fields.get(key)
    if isinstance(node, yaml_tree.Sequence):
        if len(node.items) != width:
            diagnostics.add(
                node.location,
                f"`{key}` is a list of {len(node.items)}, for {width} number{'' if width == 1 else 's'}",
                "one for each, or one for all",
            )
            return ()
        return tuple(
            text for item in node.items if (text := text_of(item, f"an entry of `{key}`", diagnostics)) is not None
        )
    text = fields.text(key)
    return () if text is None else (text,)


def ranges_of(fields: Fields, width: int, diagnostics: Diagnostics) -> tuple[Range | None, ...]:
    """Return a range for each of `width` elements; None where there is none or it cannot be read."""
    node = fields.get("range")
    if isinstance(node, Scalar) and node.style == "(":
        diagnostics.add(node.location, "a range without quotes", f'write `"{node.text}"`')
        return (None,) * width
    if isinstance(node, yaml_tree.Sequence) and len(node.items) == 2:
        ends = [item.text for item in node.items if isinstance(item, Scalar) and _is_end(item.text)]
        if len(ends) == 2:
            diagnostics.add(node.location, "a range without quotes", f'write `"[{ends[0]}, {ends[1]}]"`')
            return (None,) * width
    ranges = [_range(text, diagnostics) for text in each_of(fields, "range", width, diagnostics)]
    return tuple(ranges) if len(ranges) == width else ((ranges[0] if ranges else None),) * width


def _range(text: Scalar, diagnostics: Diagnostics) -> Range | None:
    form = _RANGE.fullmatch(text.text)
    if form is None:
        remedy = _suggest_range(text.text) or "`[` or `(`, two numbers or infinities, `)` or `]`, such as `[0, inf)`"
        diagnostics.add(text.location, f"{quote(text.text)} is no range", remedy)
        return None
    before = len(diagnostics)
    ends = [_end(form.group(i), text, diagnostics) for i in (2, 3)]
    if len(diagnostics) > before:
        return None
    result = Range(ends[0], ends[1], form.group(1) == "[", form.group(4) == "]")
    if result.low > result.high or (result.low == result.high and not (result.low_closed and result.high_closed)):
        diagnostics.add(text.location, f"the range {quote(text.text)} is empty", "the smaller number comes first")
        return None
    return result


def _suggest_range(text: str) -> str:
    """Return the remedy that writes a condition such as `> 0` as a range; empty if it is not a condition."""
    form = _CONDITION.fullmatch(text)
    if form is None or not _is_end(form["end"]):
        return ""
    closed = "=" in form["sign"]
    if ">" in form["sign"]:
        return f'write `"{"[" if closed else "("}{form["end"]}, inf)"`'
    return f'write `"(-inf, {form["end"]}{"]" if closed else ")"}"`'


_CONDITION = re.compile(r"\s*(?:\w+\s*)?(?P<sign>[<>]=?)\s*(?P<end>\S+)\s*")


def _is_end(text: str) -> bool:
    return text in _INFINITIES or is_number_text(text)


def _end(text: str, whole: Scalar, diagnostics: Diagnostics) -> float:
    if text in _INFINITIES:
        return _INFINITIES[text]
    if not is_number_text(text):
        remedy = number_remedy(text) or "numbers, `inf` or `-inf`"
        diagnostics.add(whole.location, f"{quote(text)} in a range is no number", remedy)
        return 0.0
    return float(parse_number(text, whole.location, diagnostics) or 0)
