"""Read the entries of `hyperparameters` and `state`, each by itself.

In: one entry of the YAML tree. Out: a Hyperparameter, a Flag or a StateEntry. An error in an entry is noted and
replaced by a stand-in, so that the entry's name is known to the rest of the spec. Must not know the other entries.
"""

from __future__ import annotations

import re
from dataclasses import replace

from thetac.codegen.errors import Diagnostics, Location, did_you_mean, join_names, quote
from thetac.codegen.frontend import symbol_syntax, yaml_tree
from thetac.codegen.frontend.defaults import check_integer, check_none, default_of, is_none, names_of, none_of, start_of
from thetac.codegen.frontend.ranges import each_of, ranges_of
from thetac.codegen.frontend.reading import Fields, is_number, line_of, mapping_of, name_of, text_of
from thetac.codegen.frontend.spec import StateEntry
from thetac.codegen.frontend.yaml_tree import Entry, Mapping, Node, Scalar, Sequence
from thetac.codegen.ir.meanings import has_usual_meaning
from thetac.codegen.ir.nodes import Choice, Flag, Hyperparameter, Scope, StateKind
from thetac.codegen.ir.reserved_names import is_identifier
from thetac.codegen.ir.value_kinds import COLUMN_VECTOR, EVERY_ELEMENT, ROW_VECTOR, Dims

HYPERPARAMETER_KEYS = ("default", "range", "names", "symbol", "tensor", "integer", "none", "fixed", "error", "doc")
CHOICE_KEYS = ("default", "choices", "fixed", "error", "checked", "doc")
FLAG_KEYS = ("default", "fixed", "doc")
STATE_KEYS = (
    "counter",
    "scalar",
    "per",
    "history",
    "shape",
    "dtype",
    "integer",
    "init",
    "when",
    "symbol",
    "device",
    "doc",
)
OF_ONE_PARAMETER = ("counter", "scalar", "shape", "dtype", "integer", "when", "device")  # no keys of shared numbers
SHAPES: dict[str, Dims] = {"rows": ROW_VECTOR, "columns": COLUMN_VECTOR}
ANY: tuple[float, ...] = ()  # replaces a default that cannot be read: a number, a truth value or a tuple


def read_hyperparameter(entry: Entry, diagnostics: Diagnostics) -> Hyperparameter | Flag | Choice:
    """Return one entry of `hyperparameters`: a flag if its default is a truth value, a choice if it has choices.

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
        names = names_of(Fields(mapping, what, HYPERPARAMETER_KEYS, Diagnostics()))
        return Hyperparameter(name, (0,) * len(names), names, location=here)
    if isinstance(default, Scalar) and default.style == "" and default.text.lower() in _TRUTHS:
        return _flag(name, here, mapping, diagnostics)
    if any(e.key.text == "choices" for e in mapping.entries):
        return _choice(name, here, mapping, diagnostics)
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


def _choice(name: str, here: Location, mapping: Mapping, diagnostics: Diagnostics) -> Choice:
    fields = Fields(mapping, f"choice `{name}`", CHOICE_KEYS, diagnostics)
    fixed = fields.boolean("fixed") or False
    node = fields.get("choices")
    items = node.items if isinstance(node, Sequence) else ()
    texts = [text for item in items if (text := text_of(item, "each of `choices`", diagnostics)) is not None]
    for text in texts:
        if not is_none(text) and not is_identifier(text.text):
            remedy = "letters, digits and `_`, beginning with a letter"
            diagnostics.add(text.location, f"{quote(text.text)} is no text that can be chosen", remedy)
    choices = tuple(None if is_none(text) else text.text for text in texts)
    if node is not None and len(set(choices)) < 2:
        diagnostics.add(node.location, f"`{name}` has nothing to choose from", "a list of two or more texts")
    elif node is not None and len(set(choices)) < len(choices):
        diagnostics.add(node.location, f"`{name}` has a choice twice", "delete one of them")
    default = fields.text("default")
    chosen = None if default is None or is_none(default) else default.text
    if default is not None and choices and chosen not in choices:
        _refuse_default(default, chosen, choices, diagnostics)
    error = fields.text("error")
    checked = fields.choice("checked", ("construction", "step"))
    return Choice(
        name,
        chosen,
        choices,
        fixed,
        "" if error is None else error_of(error, 1, diagnostics),
        _doc(name, fields, here, is_argument=not fixed),
        checked == "step",
        here,
    )


def _refuse_default(
    default: Scalar, chosen: str | None, choices: tuple[str | None, ...], diagnostics: Diagnostics
) -> None:
    """Note an error for a default that is none of the choices; a text in quotes is never None."""
    cause = f"the default {quote(default.text)} is none of the choices"
    if chosen is None and default.text in choices:
        diagnostics.add(default.location, cause, f'it is None; the text is written in quotes: `"{default.text}"`')
    elif None in choices and chosen is not None and is_none(replace(default, style="")):
        diagnostics.add(default.location, f"{cause}: in quotes it is a text, not None", "delete the quotes")
    else:
        known = join_names(("none" if choice is None else choice for choice in choices), "and")
        remedy = did_you_mean(default.text, [c for c in choices if c is not None], f"there are {known}")
        diagnostics.add(default.location, cause, remedy)


def _doc(name: str, fields: Fields, here: Location, *, is_argument: bool) -> str:
    """Return the author's text about a hyperparameter or flag; note an error where an argument has none."""
    if is_argument and fields.lacks("doc") and not has_usual_meaning(name):
        remedy = f'say in one sentence what it means: `{name[:20]}: {{..., doc: "..."}}`'
        fields.diagnostics.add(here, f"argument {quote(name)} has no `doc`", remedy)
    return fields.line("doc") or ""


def _number(name: str, here: Location, default: Node, mapping: Mapping, diagnostics: Diagnostics) -> Hyperparameter:
    fields = Fields(mapping, f"hyperparameter `{name}`", HYPERPARAMETER_KEYS, diagnostics, _HYPERPARAMETER_SYNONYMS)
    names = names_of(fields)
    fixed = fields.boolean("fixed") or False
    starts_as = start_of(default) if fixed else ""
    value, places = (0, list[Scalar]()) if starts_as else default_of(name, default, names, fields)
    width = max(len(names), 1)
    ranges = ranges_of(fields, width, diagnostics)
    required = isinstance(default, Scalar) and default.text == "required"
    if required and fixed and isinstance(default, Scalar):
        diagnostics.add(default.location, f"`{name}` is fixed, but has no value", "give it a default")
    values = value if isinstance(value, tuple) else (value,)
    none = none_of(name, fields, width)
    check_none(name, values, places, none, fields)
    for number, place, allowed in zip(values, places, ranges, strict=False):
        if allowed is not None and number is not None and number not in allowed:
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
        starts_as=starts_as,
        required=required,
        integer=check_integer(name, values, places, fields),
        none=none,
        errors=_errors(fields, width, diagnostics),
        doc=_doc(name, fields, here, is_argument=not fixed),
        location=here,
    )


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


def _errors(fields: Fields, width: int, diagnostics: Diagnostics) -> tuple[str, ...]:
    """Return the author's error texts; note an error if their braces are anything but the elements' indices."""
    texts = each_of(fields, "error", width, diagnostics)
    return tuple(error_of(text, width, diagnostics) for text in texts)


def error_of(text: Scalar, width: int, diagnostics: Diagnostics) -> str:
    """Return an author's error text on one line; note an error if its braces stand for none of the values."""
    wording = line_of(text, "`error`", diagnostics) or ""
    rest = wording
    for i in range(width):
        rest = rest.replace(f"{{{i}}}", "")
    if "{" in rest or "}" in rest:
        known = join_names((f"{{{i}}}" for i in range(width)), "and")
        remedy = f"{known} stand for the numbers" if width > 1 else f"{known} stands for the number"
        diagnostics.add(text.location, "braces in `error` that stand for no value", remedy)
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
    if "per" in fields:
        return _shared(name, here, fields)
    if "history" in fields:
        return _history(name, here, fields)
    shape = fields.choice("shape", (*SHAPES, "number"))
    kind = _state_kind(name, fields, entry, shape)
    init = fields.text("init")
    symbol = fields.text("symbol")
    device, dtype = fields.choice("device", ("parameter",)), fields.choice("dtype", ("float64",))
    integer = fields.boolean("integer") or False
    if dtype is not None and kind not in (StateKind.SCALAR, StateKind.NUMBER):
        remedy = "delete `dtype`" if kind is StateKind.COUNTER else "its elements have the dtype of the parameter"
        diagnostics.add(here, f"state `{name}` is no single number that is computed", remedy)
    if integer and kind is not StateKind.COUNTER:
        diagnostics.add(here, f"state `{name}` is no counter, and no integer", "delete `integer`, or make it a counter")
    if integer and device is not None:
        diagnostics.add(here, f"the integer `{name}` is on no device", "delete `device` or `integer`")
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
        float64=dtype is not None,
        integer=integer,
    )


def _history(name: str, here: Location, fields: Fields) -> StateEntry:
    """Return the entry of a history: its size stands where others have their first value."""
    for key in (*OF_ONE_PARAMETER, "init"):
        if key in fields:
            remedy = f"delete `{key}`: a history begins empty, and is there in every group"
            fields.diagnostics.add(here, f"`{key}` of the history {quote(name)}", remedy)
    symbol = fields.text("symbol")
    return StateEntry(
        name,
        StateKind.HISTORY,
        init=fields.text("history"),
        when=None,
        on_param_device=False,
        symbol="" if symbol is None else read_symbol(symbol, fields.diagnostics),
        doc=fields.line("doc") or "",
        location=here,
    )


def _shared(name: str, here: Location, fields: Fields) -> StateEntry:
    """Return the entry of a number that parameters share."""
    scope = fields.choice("per", tuple(scope.value for scope in Scope))
    for key in OF_ONE_PARAMETER:
        if key in fields:
            remedy = f"delete `{key}`, or `per` where every parameter has its own"
            fields.diagnostics.add(here, f"`{key}` of the shared number {quote(name)}", remedy)
    init = fields.text("init")
    if fields.lacks("init") or (init is not None and init.text == "zeros"):
        remedy = "a number or an expression of hyperparameters, such as `init: 0`"
        fields.diagnostics.add(here, f"shared number {quote(name)} has no initial value", remedy)
        init = None
    symbol = fields.text("symbol")
    return StateEntry(
        name,
        StateKind.SCALAR,
        init,
        when=None,
        on_param_device=False,
        symbol="" if symbol is None else read_symbol(symbol, fields.diagnostics),
        doc=fields.line("doc") or "",
        location=here,
        scope=Scope.OPTIMIZER if scope is None else Scope(scope),
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
