"""Read values from the YAML tree: texts, numbers, truth values, choices, names, mappings with strict keys.

In: nodes. Out: the value, or None after a diagnostic has been noted. Must not know what the values are for.
"""

from __future__ import annotations

import math
import operator
import re
import typing
from collections.abc import Iterable, Sequence
from types import MappingProxyType

from thetac.codegen.errors import Diagnostics, Location, did_you_mean, join_names, quote
from thetac.codegen.frontend import yaml_tree
from thetac.codegen.frontend.yaml_tree import Mapping, Node, Scalar
from thetac.codegen.ir import reserved_names

LONGEST_NUMBER = 40  # characters
LARGEST_INTEGER = 2**53  # beyond it not every integer is a float
LONGEST_TEXT = 2_000  # characters of a sentence for the documentation

_TRUTHS = dict.fromkeys(("yes", "on", "true"), "write `true`") | dict.fromkeys(("no", "off", "false"), "write `false`")
_NUMBER = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")


class Fields:
    """A mapping whose keys are known beforehand; any other key is an error.

    `synonyms` maps words that authors know from elsewhere to these keys.
    """

    def __init__(
        self,
        mapping: Mapping,
        what: str,
        known: Sequence[str],
        diagnostics: Diagnostics,
        synonyms: typing.Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._nodes: dict[str, Node] = {}
        self._meant: set[str] = set()  # known keys that unknown ones may be misspellings of
        self.diagnostics = diagnostics
        for entry in mapping.entries:
            if entry.key.text in known:
                self._nodes[entry.key.text] = entry.value
            elif (meant := entry.key.text.partition(":")[0]) in known and meant != entry.key.text:
                self._meant.add(meant)
                remedy = f"write `{meant}: {entry.key.text.partition(':')[2]}`"
                diagnostics.add(entry.key.location, yaml_tree.NO_SPACE, remedy)
            elif entry.key.text.isdecimal() and isinstance(entry.value, Scalar) and not entry.value.text:
                diagnostics.add(entry.key.location, "a comma in front of this", "a decimal point is written `.`")
            else:
                synonym = synonyms.get(entry.key.text.lower())
                meant = did_you_mean(synonym or entry.key.text, known)
                self._meant.update(key for key in known if f"`{key}`" in meant)
                remedy = meant or f"{what} has {join_names(known, 'and')}"
                diagnostics.add(entry.key.location, f"unknown key {quote(entry.key.text)}", remedy)

    def __contains__(self, key: str) -> bool:
        return key in self._nodes

    def lacks(self, key: str) -> bool:
        """Return whether a key is missing, and no unknown key looks like a misspelling of it."""
        return key not in self._nodes and key not in self._meant

    def is_broken(self, key: str) -> bool:
        """Return whether an unknown key looks like a misspelling of this one, which is missing."""
        return key in self._meant and key not in self._nodes

    def get(self, key: str) -> Node | None:
        """Return the node under a key; None if it is missing."""
        return self._nodes.get(key)

    def text(self, key: str) -> Scalar | None:
        """Return the text under a key; None if it is missing or cannot be read."""
        node = self.get(key)
        return None if node is None else text_of(node, f"`{key}`", self.diagnostics)

    def line(self, key: str) -> str | None:
        """Return the text under a key on one line; None if it is missing or cannot be read."""
        node = self.get(key)
        return None if node is None else line_of(node, f"`{key}`", self.diagnostics)

    def boolean(self, key: str) -> bool | None:
        """Return the truth value under a key; None if it is missing or cannot be read."""
        node = self.get(key)
        return None if node is None else boolean_of(node, f"`{key}`", self.diagnostics)

    def choice(self, key: str, choices: Iterable[str]) -> str | None:
        """Return the choice under a key; None if it is missing or cannot be read."""
        node = self.get(key)
        return None if node is None else choice_of(node, f"`{key}`", choices, self.diagnostics)


def mapping_of(node: Node, what: str, example: str, diagnostics: Diagnostics) -> Mapping | None:
    """Return the node if it is a mapping; note an error that shows `example` and return None if not."""
    if isinstance(node, Mapping):
        return node
    diagnostics.add(node.location, f"{what} is a mapping of keys to values", f"such as `{example}`")
    return None


def text_of(node: Node, what: str, diagnostics: Diagnostics) -> Scalar | None:
    """Return the node if it is one text that is not empty; note an error and return None if not."""
    if not isinstance(node, Scalar):
        diagnostics.add(
            node.location,
            f"{what} is one text, not a {_form(node)}",
            "a text that begins with `[` or `{` must be quoted",
        )
    elif not node.text.strip():
        diagnostics.add(node.location, f"{what} is empty", "give it a value or delete it")
    elif node.style == "(":
        diagnostics.add(node.location, "a text with a comma between braces", f'put it in quotes: `"{node.text}"`')
    else:
        return node
    return None


def line_of(node: Node, what: str, diagnostics: Diagnostics) -> str | None:
    """Return a text on one line, its blanks folded; note an error and return None if there is none."""
    text = text_of(node, what, diagnostics)
    if text is None:
        return None
    if len(text.text) > LONGEST_TEXT:
        diagnostics.add(
            text.location, f"{what} is longer than {LONGEST_TEXT:,} characters", "a sentence or two are enough"
        )
        return None
    return " ".join(text.text.split())


def lines_of(node: Node, what: str, diagnostics: Diagnostics) -> tuple[str, ...]:
    """Return a list of texts, each on one line; note an error for everything else."""
    if not isinstance(node, yaml_tree.Sequence):
        diagnostics.add(node.location, f"{what} is a list of texts", '`["...", "..."]`')
        return ()
    lines = [line_of(item, f"an entry of {what}", diagnostics) for item in node.items]
    return tuple(line for line in lines if line is not None)


def boolean_of(node: Node, what: str, diagnostics: Diagnostics) -> bool | None:
    """Return a truth value; note an error and return None if it is neither `true` nor `false`."""
    text = text_of(node, what, diagnostics)
    if text is None:
        return None
    if text.style == "" and text.text in ("true", "false"):
        return text.text == "true"
    remedy = _TRUTHS.get(text.text.lower(), "") if text.style == "" else "delete the quotes"
    diagnostics.add(text.location, f"{what} is `true` or `false`, not {quote(text.text)}", remedy)
    return None


def choice_of(
    node: Node, what: str, choices: Iterable[str], diagnostics: Diagnostics, otherwise: str = ""
) -> str | None:
    """Return one of the choices; note an error and return None if it is none of them.

    `otherwise` is the remedy where the text is close to none of the choices.
    """
    choices = tuple(choices)
    text = text_of(node, what, diagnostics)
    if text is None or text.text in choices:
        return text.text if text is not None else None
    remedy = did_you_mean(text.text, choices, otherwise)
    diagnostics.add(text.location, f"{what} is {join_names(choices)}, not {quote(text.text)}", remedy)
    return None


def is_number(text: Scalar) -> bool:
    """Return whether the text is a number without quotes."""
    return text.style == "" and is_number_text(text.text)


def is_number_text(text: str) -> bool:
    """Return whether the text is written like a number."""
    return _NUMBER.fullmatch(text) is not None


def number_of(text: Scalar, what: str, diagnostics: Diagnostics) -> float | int | None:
    """Return the number in a text; note an error and return None if it is none."""
    if not is_number(text):
        if _NUMBER.fullmatch(text.text.strip()):
            diagnostics.add(text.location, f"{what} is a number in quotes", "delete the quotes")
        else:
            remedy = number_remedy(text.text) or "such as `1e-3`"
            diagnostics.add(text.location, f"{what} is a number, not {quote(text.text)}", remedy)
        return None
    return parse_number(text.text, text.location, diagnostics)


def number_remedy(text: str) -> str:
    """Return how to write a number that a text holds in another form; empty if there seems to be none."""
    text = text.strip()
    if len(text) > 3 * LONGEST_NUMBER:
        return ""
    if (operation := _OPERATION.fullmatch(text)) is not None:
        return f"write `{value!r}`" if (value := _compute(*operation.group("a", "sign", "b"))) is not None else ""
    if text.lower() in ("+inf", "+.inf", "infinity", "-infinity"):
        return f"write `{'-' if text.startswith('-') else ''}inf`"
    if text.lower() in ("nan", ".nan"):
        return "NaN is no value of a hyperparameter"
    if text.lower() in ("none", "null", "~"):
        return "`required` where there is no default"
    if _TUPLE.fullmatch(text):
        return f"write `[{text[1:-1].strip().rstrip(',')}]`"
    spelled = re.sub(r"(?<=[0-9])_(?=[0-9])", "", text).removesuffix("f").removesuffix("F")
    spelled = re.sub(r"(?<=[0-9]),(?=[0-9])", ".", spelled) if spelled.count(",") == 1 else spelled
    return f"write `{spelled}`" if spelled != text and _NUMBER.fullmatch(spelled) else ""


_OPERATION = re.compile(rf"(?P<a>{_NUMBER.pattern})\s*(?P<sign>/|\*\*|\*|\^|-|\+)\s*(?P<b>{_NUMBER.pattern})")
_TUPLE = re.compile(rf"\(\s*{_NUMBER.pattern}\s*(,\s*{_NUMBER.pattern}\s*)*,?\s*\)")


def _compute(left: str, sign: str, right: str) -> float | None:
    a, b = float(left), float(right)
    compute = {"/": operator.truediv, "*": operator.mul, "-": operator.sub, "+": operator.add}.get(sign, math.pow)
    try:
        value = compute(a, b)
    except (ArithmeticError, ValueError):
        return None
    return float(value) if math.isfinite(value) else None


def parse_number(text: str, location: Location, diagnostics: Diagnostics) -> float | int | None:
    """Return a number that a float can hold, an integer as an integer; note an error and return None if not."""
    if len(text) > LONGEST_NUMBER:
        diagnostics.add(location, f"a number of {len(text)} characters", "a float holds 17 digits")
        return None
    if re.fullmatch(r"[-+]?[0-9]+", text):
        whole = int(text)
        if abs(whole) <= LARGEST_INTEGER:
            return whole
        diagnostics.add(location, "an integer beyond 2**53", f"as a float: `{float(whole)!r}`")
        return None
    value = float(text)
    if math.isinf(value):
        diagnostics.add(location, f"{quote(text)} is too large for a float", "the largest is about 1.8e308")
        return None
    return value


def name_of(text: Scalar, diagnostics: Diagnostics) -> str:
    """Return the name of a hyperparameter, element, flag or state; note an error if it cannot be one."""
    if (problem := reserved_names.why_not(text.text)) is not None:
        diagnostics.add(text.location, *problem)
    return text.text


def _form(node: Node) -> str:
    return "list" if isinstance(node, yaml_tree.Sequence) else "mapping"
