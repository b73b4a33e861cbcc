"""Read the entries of `hyperparameters` and `state`, each by itself.

In: one entry of the YAML tree. Out: a Hyperparameter, a Flag or a StateEntry. An error in an entry is noted and
replaced by a stand-in, so that the entry's name is known to the rest of the spec. Must not know the other entries.
"""

from __future__ import annotations

import re
from dataclasses import replace

from thetac.codegen.errors import Diagnostics, Location, join_names, quote
from thetac.codegen.frontend import symbol_syntax, yaml_tree
from thetac.codegen.frontend.ranges import each_of, ranges_of
from thetac.codegen.frontend.reading import (
    Fields,
    is_number,
    mapping_of,
    name_of,
    number_of,
    number_remedy,
    text_of,
)
from thetac.codegen.frontend.spec import StateEntry
from thetac.codegen.frontend.yaml_tree import Entry, Mapping, Node, Scalar
from thetac.codegen.ir.meanings import has_usual_meaning
from thetac.codegen.ir.nodes import Flag, Hyperparameter, StateKind
from thetac.codegen.ir.value_kinds import COLUMN_VECTOR, EVERY_ELEMENT, ROW_VECTOR, Dims

HYPERPARAMETER_KEYS = ("default", "range", "names", "symbol", "tensor", "fixed", "error", "doc")
FLAG_KEYS = ("default", "fixed", "doc")
STATE_KEYS = ("counter", "scalar", "shape", "init", "when", "symbol", "device", "doc")
SHAPES: dict[str, Dims] = {"rows": ROW_VECTOR, "columns": COLUMN_VECTOR}
MOST_ELEMENTS = 8  # of a tuple hyperparameter
ANY: tuple[float, ...] = ()  # replaces a default that cannot be read: a number, a truth value or a tuple


def read_hyperparameter(entry: Entry, diagnostics: Diagnostics) -> Hyperparameter | Flag:
    """Return one entry of `hyperparameters`: a flag if its default is a truth value.

    Args:
        entry: The entry, whose key is the name.
        diagnostics: Gets a diagnostic for each error in the entry; a stand-in is returned then.
    """
    if (torn := _split_key(entry.key, diagnostics)) is not None:
        return Hyperparameter(torn, ANY, location=entry.key.location)
    here, name = entry.key.location, name_of(entry.key, diagnostics)
    what = f"hyperparameter {quote(name)}"
    example = f"{name[:20]}: {_as_default(entry.value)}"
    mapping = mapping_of(entry.value, quote(name), example, diagnostics)
    if mapping is None:
        return Hyperparameter(name, 0 if _is_plain_number(entry.value) else ANY, location=here)
    default = next((e.value for e in mapping.entries if e.key.text == "default"), None)
    if default is None:
        fields = Fields(mapping, what, HYPERPARAMETER_KEYS, diagnostics, _HYPERPARAMETER_SYNONYMS)
        if fields.lacks("default"):
            diagnostics.add(
                here, f"{what} has no default", "a number, a list of numbers, `true`, `false` or `required`"
            )
        names = _names(fields, Diagnostics())
        return Hyperparameter(name, (0,) * len(names), names, location=here)
    if isinstance(default, Scalar) and default.style == "" and default.text.lower() in _TRUTHS:
        return _flag(name, here, mapping, diagnostics)
    return _number(name, here, default, mapping, diagnostics)


_TRUTHS = ("true", "false", "yes", "no", "on", "off")
_HYPERPARAMETER_SYNONYMS = {
    **dict.fromkeys(("value", "val", "initial", "init"), "default"),
    **dict.fromkeys(("min", "max", "bounds", "interval", "domain", "low", "high", "constraint"), "range"),
    **dict.fromkeys(("description", "help", "desc", "comment"), "doc"),
    **dict.fromkeys(("elements", "keys"), "names"),
    **dict.fromkeys(("latex", "tex"), "symbol"),
}
_STATE_SYNONYMS = {
    **dict.fromkeys(("value", "initial", "default", "start", "initial_value"), "init"),
    **dict.fromkeys(("if", "condition", "only_if"), "when"),
    **dict.fromkeys(("description", "help", "desc", "comment"), "doc"),
}
_KEY_AND_VALUE = re.compile(r"(?P<name>[A-Za-z]\w*):[\[{(\w].*")


def _split_key(key: Scalar, diagnostics: Diagnostics) -> str | None:
    """Return the name in a key such as `lr:{default` and note the error; return None for any other key."""
    if (found := _KEY_AND_VALUE.match(key.text)) is None:
        return None
    line = key.location.text.strip().replace(f"{found['name']}:", f"{found['name']}: ", 1)
    diagnostics.add(key.location, yaml_tree.NO_SPACE, f"write `{line}`")
    return found["name"]


def _is_plain_number(node: Node) -> bool:
    return isinstance(node, Scalar) and is_number(node)


def _as_default(node: Node) -> str:
    """Return what was written instead of a mapping, as the default in one."""
    if isinstance(node, Scalar) and (is_number(node) or node.text in ("true", "false")):
        return f"{{default: {node.text}}}"
    return "{default: 1e-3}" if isinstance(node, Scalar) else "{default: [0.9, 0.999], names: [beta1, beta2]}"


def _flag(name: str, here: Location, mapping: Mapping, diagnostics: Diagnostics) -> Flag:
    fields = Fields(mapping, f"flag `{name}`", FLAG_KEYS, diagnostics)
    value = fields.boolean("default")
    fixed = fields.boolean("fixed") or False
    return Flag(name, bool(value), fixed, _doc(name, fields, here, is_argument=not fixed), here)


def _doc(name: str, fields: Fields, here: Location, *, is_argument: bool) -> str:
    """Return the author's text about a hyperparameter or flag; note an error where an argument has none."""
    if is_argument and fields.lacks("doc") and not has_usual_meaning(name):
        remedy = f'say in one sentence what it means: `{name[:20]}: {{..., doc: "..."}}`'
        fields.diagnostics.add(here, f"argument {quote(name)} has no `doc`", remedy)
    return fields.line("doc") or ""


def _number(name: str, here: Location, default: Node, mapping: Mapping, diagnostics: Diagnostics) -> Hyperparameter:
    fields = Fields(mapping, f"hyperparameter `{name}`", HYPERPARAMETER_KEYS, diagnostics, _HYPERPARAMETER_SYNONYMS)
    names = _names(fields, diagnostics)
    value, places = _default(name, default, names, fields)
    width = max(len(names), 1)
    ranges = ranges_of(fields, width, diagnostics)
    required = isinstance(default, Scalar) and default.text == "required"
    fixed = fields.boolean("fixed") or False
    if required and fixed and isinstance(default, Scalar):
        diagnostics.add(default.location, f"`{name}` is fixed, but has no value", "give it a default")
    values = value if isinstance(value, tuple) else () if value is None else (value,)
    for number, place, allowed in zip(values, places, ranges, strict=False):
        if allowed is not None and number not in allowed:
            diagnostics.add(
                place.location, f"the default {quote(place.text)} is outside the range {allowed}", "change one of them"
            )
    return Hyperparameter(
        name,
        value,
        names,
        ranges,
        _symbols(fields, width, diagnostics),
        tensor=fields.boolean("tensor") or False,
        fixed=fixed,
        required=required,
        error=_error(fields, width, diagnostics),
        doc=_doc(name, fields, here, is_argument=not fixed),
        location=here,
    )


def _default(
    name: str, node: Node, names: tuple[str, ...], fields: Fields
) -> tuple[float | int | tuple[float | int, ...] | None, tuple[Scalar, ...]]:
    """Return the default and the scalars that hold its numbers.

    The default is None for `required`. Where it cannot be read, return a stand-in and no scalars.
    """
    what, diagnostics = f"the default of `{name}`", fields.diagnostics
    if isinstance(node, yaml_tree.Sequence):
        places = tuple(
            text for item in node.items if (text := text_of(item, f"each number of {what}", diagnostics)) is not None
        )
        numbers = tuple(n for place in places if (n := number_of(place, what, diagnostics)) is not None)
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
        return numbers, places
    if isinstance(node, Scalar) and node.text.startswith("("):
        values = node.text.strip("() ")
        remedy = number_remedy(node.text) or f"write `[{values}]`"
        diagnostics.add(node.location, f"{what} is a list in brackets, not {quote(node.text)}", remedy)
        return (0,) * len(names), ()
    text = text_of(node, what, diagnostics)
    if text is None:
        return (0,) * len(names) if names else 0, ()
    if text.text == "required":
        return None, ()
    if names:
        diagnostics.add(
            text.location, f"`{name}` has names for elements, but one number", "a list of numbers, or no `names`"
        )
    if not is_number(text) and text.style == "":
        diagnostics.add(
            text.location,
            f"{what} is a number, a list of numbers, `true`, `false` or `required`, not {quote(text.text)}",
            number_remedy(text.text),
        )
        return 0, ()
    number = number_of(text, what, diagnostics)
    return (0, ()) if number is None else (number, (text,))


def _names(fields: Fields, diagnostics: Diagnostics) -> tuple[str, ...]:
    node = fields.get("names")
    if node is None:
        return ()
    if not isinstance(node, yaml_tree.Sequence) or not 1 <= len(node.items) <= MOST_ELEMENTS:
        diagnostics.add(node.location, f"`names` is a list of 1 to {MOST_ELEMENTS} names", "such as `[beta1, beta2]`")
        return ()
    texts = [text_of(item, "an element's name", diagnostics) for item in node.items]
    return tuple(name_of(text, diagnostics) for text in texts if text is not None)


def _symbols(fields: Fields, width: int, diagnostics: Diagnostics) -> tuple[str, ...]:
    symbols = [read_symbol(text, diagnostics) for text in each_of(fields, "symbol", width, diagnostics)]
    if len(symbols) == width:
        return tuple(symbols)
    return tuple(f"{symbols[0]}_{i + 1}" if symbols and symbols[0] else "" for i in range(width))


def read_symbol(text: Scalar, diagnostics: Diagnostics) -> str:
    """Return the LaTeX of a symbol, or an empty text after noting why it cannot be printed."""
    symbol = " ".join(text.text.split())
    if (problem := symbol_syntax.why_not(symbol)) is not None:
        diagnostics.add(text.location, *problem)
        return ""
    return symbol


def _error(fields: Fields, width: int, diagnostics: Diagnostics) -> str:
    """Return the author's error text; note an error if its braces are anything but the elements' indices."""
    wording = fields.line("error") or ""
    rest = wording
    for i in range(width):
        rest = rest.replace(f"{{{i}}}", "")
    node = fields.get("error")
    if node is not None and ("{" in rest or "}" in rest):
        known = join_names((f"{{{i}}}" for i in range(width)), "and")
        remedy = f"{known} stand for the numbers" if width > 1 else f"{known} stands for the number"
        diagnostics.add(node.location, "braces in `error` that stand for no value", remedy)
    return wording


def read_state(entry: Entry, diagnostics: Diagnostics) -> StateEntry:
    """Return one entry of `state`.

    Args:
        entry: The entry, whose key is the name.
        diagnostics: Gets a diagnostic for each error in the entry; a stand-in is returned then.
    """
    if (torn := _split_key(entry.key, diagnostics)) is not None:
        entry = Entry(replace(entry.key, text=torn), Scalar("counter", "", entry.key.location, (), exact=False))
    name, here = name_of(entry.key, diagnostics), entry.key.location
    if isinstance(entry.value, Scalar):
        if entry.value.text != "counter":
            remedy = f"`{name}: counter` or `{name}: {{init: zeros}}`"
            found = f"{quote(entry.value.text)} is no kind of state"
            if not entry.value.text.strip():
                found = f"nothing is said about state {quote(name)}"
            diagnostics.add(entry.value.location, found, remedy)
        kind = StateKind.COUNTER if entry.value.text == "counter" else StateKind.TENSOR
        return StateEntry(name, kind, None, None, on_param_device=False, symbol="", doc="", location=here)
    mapping = mapping_of(entry.value, quote(name), f"{name[:20]}: {{init: zeros}}", diagnostics)
    if mapping is None:
        return StateEntry(name, StateKind.TENSOR, None, None, on_param_device=False, symbol="", doc="", location=here)
    fields = Fields(mapping, f"state `{name}`", STATE_KEYS, diagnostics, _STATE_SYNONYMS)
    shape = fields.choice("shape", (*SHAPES, "number"))
    kind = _state_kind(name, fields, entry, shape)
    init = fields.text("init")
    symbol = fields.text("symbol")
    device = fields.choice("device", ("parameter",))
    if device is not None and kind in (StateKind.TENSOR, StateKind.NUMBER):
        diagnostics.add(here, f"state `{name}` is a tensor and always beside its parameter", "delete `device`")
    return StateEntry(
        name,
        kind,
        init=None if init is None or init.text == "zeros" else init,
        when=fields.text("when"),
        on_param_device=device is not None,
        symbol="" if symbol is None else read_symbol(symbol, diagnostics),
        doc=fields.line("doc") or "",
        location=here,
        dims=SHAPES.get(shape or "", EVERY_ELEMENT),
    )


def _state_kind(name: str, fields: Fields, entry: Entry, shape: str | None) -> StateKind:
    counter, scalar, diagnostics = fields.boolean("counter"), fields.boolean("scalar"), fields.diagnostics
    here = entry.key.location
    if shape is not None and (counter or scalar):
        what = "counter" if counter else "scalar"
        remedy = f"delete `shape`, or `{what}: true` where the state is computed from elements"
        diagnostics.add(here, f"{what} `{name}` is one number of the host, and has no shape", remedy)
    if counter and scalar:
        diagnostics.add(here, f"state `{name}` is a counter and a scalar", "choose one")
    if counter and "init" in fields:
        diagnostics.add(
            here,
            f"counter `{name}` has an initial value",
            "a counter starts from 0; use `scalar: true` for other numbers",
        )
    if not counter and fields.lacks("init"):
        diagnostics.add(
            here, f"state `{name}` has no initial value", "`init: zeros`, `grad`, `param` or an expression such as `lr`"
        )
    if counter:
        return StateKind.COUNTER
    if scalar:
        return StateKind.SCALAR
    return StateKind.NUMBER if shape == "number" else StateKind.TENSOR
