"""Read the default of a hyperparameter: a number, a list of numbers, a text, `none` or `required`.

In: the node under `default`, and the keys that say what it may be. Out: its value, and where its parts are written.
Where it cannot be read, a stand-in takes its place. Must not know the other entries.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from thetac.codegen.errors import Diagnostics, did_you_mean, quote
from thetac.codegen.frontend import yaml_tree
from thetac.codegen.frontend.parse import parse_expression
from thetac.codegen.frontend.reading import Fields, is_number, name_of, number_of, number_remedy, text_of
from thetac.codegen.frontend.yaml_tree import Node, Scalar
from thetac.codegen.ir.nodes import Default, Expr, Hyperparameter

MOST_ELEMENTS = 8  # of a tuple hyperparameter
INFINITE = {"inf": math.inf, ".inf": math.inf, "-inf": -math.inf, "-.inf": -math.inf}
_NONE = ("none", "null", "None", "~")

Values = tuple[Default, ...]


def is_none(text: Scalar) -> bool:
    """Return whether a text says that there is no value."""
    return text.style == "" and text.text in _NONE


def names_of(fields: Fields) -> tuple[str, ...]:
    """Return the names of a tuple's elements; none if it is no tuple or they cannot be read."""
    node = fields.get("names")
    if node is None:
        return ()
    if not isinstance(node, yaml_tree.Sequence) or not 1 <= len(node.items) <= MOST_ELEMENTS:
        fields.diagnostics.add(
            node.location, f"`names` is a list of 1 to {MOST_ELEMENTS} names", "such as `[beta1, beta2]`"
        )
        return ()
    texts = [text_of(item, "an element's name", fields.diagnostics) for item in node.items]
    return tuple(name_of(text, fields.diagnostics) for text in texts if text is not None)


def default_of(name: str, node: Node, names: tuple[str, ...], fields: Fields) -> tuple[Default | Values, list[Scalar]]:
    """Return the default and the texts that hold its numbers.

    The default is None for `required` and for `none`. Where it cannot be read, return a stand-in and no texts.
    """
    what, diagnostics = f"the default of `{name}`", fields.diagnostics
    if isinstance(node, yaml_tree.Sequence):
        places = [
            text for item in node.items if (text := text_of(item, f"each number of {what}", diagnostics)) is not None
        ]
        read = [_value(place, what, fields) for place in places]
        if not node.items:
            diagnostics.add(node.location, f"`{name}` has no numbers", "such as `[0.9, 0.999]`")
        elif not names and "names" not in fields:
            diagnostics.add(
                node.location, f"`{name}` is a tuple without names", "name its elements: `names: [..., ...]`"
            )
        elif names and len(names) != len(node.items):
            diagnostics.add(
                node.location, f"`{name}` has {len(node.items)} numbers and {len(names)} names", "one name per number"
            )
        return tuple(value for value in read if value != ""), places
    if isinstance(node, Scalar) and node.text.startswith("("):
        values = node.text.strip("() ")
        remedy = number_remedy(node.text) or f"write `[{values}]`"
        diagnostics.add(node.location, f"{what} is a list in brackets, not {quote(node.text)}", remedy)
        return (0,) * len(names), []
    text = text_of(node, what, diagnostics)
    if text is None:
        return (0,) * len(names) if names else 0, []
    if text.text == "required":
        return None, []
    if names:
        diagnostics.add(
            text.location, f"`{name}` has names for elements, but one number", "a list of numbers, or no `names`"
        )
    if not is_number(text) and text.style == "" and not is_none(text) and text.text not in INFINITE:
        kinds = "a number, a list of numbers, `true`, `false` or `required`"
        remedy = number_remedy(text.text)
        if not remedy and text.text.isidentifier():
            remedy = f"a text is one of several: `{{default: {text.text}, choices: [{text.text}, ...]}}`"
        diagnostics.add(text.location, f"{what} is {kinds}, not {quote(text.text)}", remedy)
        return 0, []
    value = _value(text, what, fields)
    return (0, []) if value == "" else (value, [text])


def start_of(node: Node) -> str:
    """Return the name of an argument that stands in place of a number; an empty text if there is none."""
    if not isinstance(node, Scalar) or node.style != "" or is_none(node) or is_number(node):
        return ""
    known = node.text == "required" or node.text in INFINITE
    return "" if known or not node.text.isidentifier() else node.text


def with_starts(hyperparameters: Sequence[Hyperparameter], diagnostics: Diagnostics) -> tuple[Hyperparameter, ...]:
    """Return hyperparameters, those that start as an argument with its default; note an error for any other start."""
    arguments = {h.name: h for h in hyperparameters if not h.elements and not h.fixed and not h.integer and not h.none}
    resolved = []
    for one in hyperparameters:
        if one.starts_as and one.starts_as not in arguments:
            cause = f"`{one.name}` starts as {quote(one.starts_as)}, which is no argument that is one number"
            remedy = did_you_mean(one.starts_as, list(arguments), "name a hyperparameter, or write a number")
            diagnostics.add(one.location, cause, remedy)
        found = arguments.get(one.starts_as)
        resolved.append(one if found is None else replace(one, default=found.default))
    return tuple(resolved)


def _value(text: Scalar, what: str, fields: Fields) -> Default | Literal[""]:
    """Return one number, or None for `none`; note an error and return an empty text for anything else."""
    if is_none(text):
        return None
    if text.style == "" and text.text in INFINITE:
        return INFINITE[text.text]
    number = number_of(text, what, fields.diagnostics)
    return "" if number is None else number


def none_of(name: str, fields: Fields, width: int) -> tuple[Expr | None, ...]:
    """Return for each element what None stands for; None for one that must be a number. Empty if all must be."""
    node, diagnostics = fields.get("none"), fields.diagnostics
    if node is None:
        return ()
    items = node.items if isinstance(node, yaml_tree.Sequence) else (node,)
    if len(items) != width:
        remedy = 'one for each, `""` for one that is never None'
        numbers = f"{width} number{'' if width == 1 else 's'}"
        diagnostics.add(node.location, f"`none` of `{name}` has {len(items)} entries, for {numbers}", remedy)
        return ()
    return tuple(_meaning(item, width, fields) for item in items)


def _meaning(item: Node, width: int, fields: Fields) -> Expr | None:
    if width > 1 and isinstance(item, Scalar) and item.style != "" and not item.text.strip():
        return None
    text = text_of(item, "what None stands for", fields.diagnostics)
    return None if text is None else parse_expression(text, fields.diagnostics)


def check_none(name: str, values: Values, places: list[Scalar], none: tuple[Expr | None, ...], fields: Fields) -> None:
    """Note an error for a default that is None and stands for nothing."""
    for index, (value, place) in enumerate(zip(values, places, strict=False)):
        if value is None and (len(none) <= index or none[index] is None) and "none" not in fields:
            remedy = "say what it stands for: `none: ...`, or write `required` where there is no default"
            fields.diagnostics.add(place.location, f"`{name}` may be None, but not what that means", remedy)
        elif value is None and index < len(none) and none[index] is None:
            fields.diagnostics.add(place.location, f"element {index} of `{name}` is never None", "give it a number")


def check_integer(name: str, values: Values, places: list[Scalar], fields: Fields) -> bool:
    """Return whether a hyperparameter holds integers; note an error for a default that is none, or a tensor."""
    if not (fields.boolean("integer") or False):
        return False
    for value, place in zip(values, places, strict=False):
        if isinstance(value, float):
            remedy = f"write `{value:g}`" if value.is_integer() else "delete `integer`, or give it a whole number"
            fields.diagnostics.add(place.location, f"{quote(place.text)} is no integer", remedy)
    if fields.boolean("tensor") and (node := fields.get("tensor")) is not None:
        fields.diagnostics.add(node.location, f"the integer `{name}` is never a tensor", "delete one of the two keys")
    return True
