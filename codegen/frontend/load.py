"""Read a spec file into a Spec: check every key and the form of every value, collect all errors of the file.

In: the text of one file. Out: a Spec, and diagnostics. Must not know the other specs, nor what the texts of
expressions mean.
"""

from __future__ import annotations

import re

from thetac.codegen.errors import Diagnostics, Location, SpecError, did_you_mean, quote
from thetac.codegen.frontend import yaml_tree
from thetac.codegen.frontend.entries import read_symbol
from thetac.codegen.frontend.reading import Fields, choice_of, lines_of, mapping_of, text_of
from thetac.codegen.frontend.source import split_source
from thetac.codegen.frontend.spec import DecayEntry, Spec
from thetac.codegen.frontend.views import View
from thetac.codegen.frontend.yaml_tree import Entry, Mapping, Node, Scalar, read_tree
from thetac.codegen.ir import reserved_names
from thetac.codegen.ir.nodes import (
    ComplexMode,
    DecayStyle,
    HalfPrecision,
    SparseMode,
)
from thetac.drivers import DRIVERS, PIECES

KEYS = (
    *("optimizer", "extends", "summary", "references", "notes", "signature", "group_keys", "hyperparameters"),
    *("require", "state", "state_created", "weight_decay", "complex", "half_precision", "sparse", "features"),
    *("view", "symbols", "update", "driver", "entry", *PIECES),
)

_SYNONYMS = {
    **dict.fromkeys(("name", "class", "title"), "optimizer"),
    **dict.fromkeys(("rule", "step", "algorithm", "formula", "code", "body", "update_rule", "steps"), "update"),
    **dict.fromkeys(("params", "parameters", "arguments", "args", "defaults", "config", "options"), "hyperparameters"),
    **dict.fromkeys(("description", "doc", "desc", "docstring"), "summary"),
    **dict.fromkeys(("states", "buffers", "memory"), "state"),
    **dict.fromkeys(("inherits", "base", "parent", "inherit"), "extends"),
    **dict.fromkeys(("requires", "requirements", "constraints", "assert"), "require"),
    **dict.fromkeys(("paper", "papers", "source", "sources", "citation"), "references"),
    **dict.fromkeys(("decay", "wd"), "weight_decay"),
}
_ONLY = 'such as `sparse: {only: "Example needs sparse gradients"}`'
# Their entries are read where it is known what they inherit.
_SECTIONS = {
    "hyperparameters": "{lr: {default: 1e-3}}",
    "require": "{beta1 < beta2: beta1 must be below beta2}",
    "state": "{exp_avg: {init: zeros}}",
    "features": "{lookahead: {k: 5}}",
}


def load_spec(text: str, path: str, diagnostics: Diagnostics) -> Spec | None:
    """Return the spec in a file's text, with stand-ins for what cannot be read.

    Args:
        text: The text of the file.
        path: How messages name the file.
        diagnostics: Gets a diagnostic for each error.

    Returns:
        The spec, or None if the text is not a mapping.
    """
    try:
        source = split_source(text, path)
    except SpecError as error:
        diagnostics.take(error)
        return None
    before = len(diagnostics)
    tree = read_tree(source, diagnostics)
    if isinstance(tree, Mapping):
        return _spec(tree, path, diagnostics)
    if len(diagnostics) == before:
        cause = "the file is empty" if tree is None else "a spec is a mapping of keys to values"
        diagnostics.add(source.at(0, 0), cause, "a spec begins with `optimizer: Name`")
    return None


def _spec(tree: Mapping, path: str, diagnostics: Diagnostics) -> Spec:
    fields = Fields(tree, "a spec", KEYS, diagnostics, _SYNONYMS)
    name, location = _name(fields, tree, diagnostics)
    summary = fields.line("summary")
    if fields.lacks("summary"):
        diagnostics.add(location, "key `summary` is missing", "say in one sentence what the optimizer does")
    extends = fields.text("extends")
    if extends is None and "extends" not in fields and not fields.is_broken("extends"):
        replaced = any(one.key.text == "driver" and _replaces_update(one.value) for one in tree.entries)
        for key in ("hyperparameters", *(() if replaced else ("update",))):
            if fields.lacks(key):
                diagnostics.add(
                    location, f"key `{key}` is missing", "write it, or name with `extends` a spec that has it"
                )
    sparse_mode, sparse_error, dense_error = _sparse(fields, diagnostics)
    complex_mode = fields.choice("complex", [mode.value for mode in ComplexMode])
    half_precision = fields.choice("half_precision", [precision.value for precision in HalfPrecision])
    view = fields.choice("view", [view.value for view in View])
    created = fields.choice("state_created", ("construction", "first_step"))
    driver = fields.text("driver") if fields.choice("driver", tuple(DRIVERS)) is not None else None
    entry = _entry(fields, diagnostics)
    sections = {key: _entries(fields, key, example) for key, example in _SECTIONS.items()}
    return Spec(
        path=path,
        name=name,
        extends=extends,
        summary=summary or "",
        references=_lines(fields, "references", diagnostics),
        notes=_lines(fields, "notes", diagnostics),
        signature=_names(fields, "signature", '[lr, betas, "*", maximize]', diagnostics),
        group_keys=_names(fields, "group_keys", "[lr, betas, maximize]", diagnostics),
        hyperparameters=sections["hyperparameters"] or (),
        requirements=sections["require"] or (),
        states=sections["state"] or (),
        features=sections["features"] or (),
        state_at_construction=None if created is None else created == "construction",
        decay=_decay(fields, diagnostics),
        complex_mode=None if complex_mode is None else ComplexMode(complex_mode),
        half_precision=None if half_precision is None else HalfPrecision(half_precision),
        sparse_mode=sparse_mode,
        sparse_error=sparse_error,
        dense_error=dense_error,
        view=None if view is None else View(view),
        update=_statements(fields, "update", diagnostics),
        pieces=tuple((key, text) for key in PIECES if (text := _statements(fields, key, diagnostics)) is not None),
        driver=driver,
        entry=entry,
        symbols=_symbols(fields, diagnostics),
        unreadable=frozenset(
            (
                *(key for key, found in sections.items() if found is None),
                *(key for key, found in (("driver", driver), ("entry", entry)) if found is None and key in fields),
            )
        ),
        location=location,
    )


def _name(fields: Fields, tree: Mapping, diagnostics: Diagnostics) -> tuple[str, Location]:
    text = fields.text("optimizer")
    if text is None:
        if fields.lacks("optimizer"):
            diagnostics.add(tree.location, "key `optimizer` is missing", "`optimizer: Name` names the class")
        return "", tree.location
    if (problem := reserved_names.why_not_class(text.text)) is not None:
        diagnostics.add(text.location, *problem)
    return text.text, text.location


def _lines(fields: Fields, key: str, diagnostics: Diagnostics) -> tuple[str, ...] | None:
    node = fields.get(key)
    return None if node is None else lines_of(node, f"`{key}`", diagnostics)


def _entries(fields: Fields, key: str, example: str) -> tuple[Entry, ...] | None:
    """Return the entries of a section, which may be missing; None if there is a section but it cannot be read."""
    node = fields.get(key)
    if node is None:
        return None if fields.is_broken(key) else ()
    mapping = mapping_of(node, f"`{key}`", example, fields.diagnostics)
    return None if mapping is None else mapping.entries


def _names(fields: Fields, key: str, example: str, diagnostics: Diagnostics) -> tuple[Scalar, ...] | None:
    node = fields.get(key)
    if node is None:
        return None
    if not isinstance(node, yaml_tree.Sequence):
        diagnostics.add(node.location, f"`{key}` is a list of names", f"such as `{example}`")
        return None
    texts = [text_of(item, f"an entry of `{key}`", diagnostics) for item in node.items]
    return tuple(text for text in texts if text is not None)


def _decay(fields: Fields, diagnostics: Diagnostics) -> tuple[DecayEntry, ...] | None:
    node = fields.get("weight_decay")
    if node is None:
        return None
    if not isinstance(node, Mapping):
        return (DecayEntry(None, _style(node, diagnostics), node.location),)
    cases: list[DecayEntry] = []
    for i, entry in enumerate(node.entries):
        style = _style(entry.value, diagnostics)
        last = i == len(node.entries) - 1
        if (entry.key.text == "else") != last:
            cause = "`else` comes last" if entry.key.text == "else" else "the cases of `weight_decay` end with `else`"
            diagnostics.add(entry.key.location, cause, "such as `{decoupled_weight_decay: decoupled, else: l2}`")
        cases.append(DecayEntry(None if entry.key.text == "else" else entry.key, style, entry.key.location))
    if not node.entries:
        diagnostics.add(node.location, "`weight_decay` has no case", "one of its styles, such as `l2`")
    return tuple(cases)


def _style(node: Node, diagnostics: Diagnostics) -> DecayStyle:
    """Return the style; L2 replaces an unknown one, because it reads what any style reads."""
    remedy = "`l2` adds to the gradient, `decoupled` shrinks the parameter, with `lr`"
    style = choice_of(node, "a style of `weight_decay`", [style.value for style in DecayStyle], diagnostics, remedy)
    return DecayStyle.L2 if style is None else DecayStyle(style)


def _sparse(fields: Fields, diagnostics: Diagnostics) -> tuple[SparseMode | None, str | None, str | None]:
    """Return how sparse gradients are treated, and the errors for sparse ones and for dense ones that are refused."""
    node = fields.get("sparse")
    if isinstance(node, Mapping):
        sentence = Fields(node, "`sparse`", ("only",), diagnostics).line("only")
        if sentence is None and not node.entries:
            diagnostics.add(node.location, "`sparse` has no `only`", _ONLY)
        return SparseMode.ROWS, None, sentence
    line = fields.line("sparse")
    if line is None or node is None:
        return None, None, None
    modes = [mode.value for mode in SparseMode]
    if line in modes:
        return SparseMode(line), None, None
    if line == "only":
        diagnostics.add(node.location, "`sparse: only` without the error for a dense gradient", _ONLY)
        return SparseMode.ROWS, None, line
    if re.fullmatch(r"\S*", line):
        remedy = did_you_mean(line, modes, "one of them, or the sentence of the error")
        diagnostics.add(node.location, f"`sparse` is `unsupported`, `native` or `rows`, not {quote(line)}", remedy)
    return SparseMode.UNSUPPORTED, line, None


def _symbols(fields: Fields, diagnostics: Diagnostics) -> tuple[tuple[Scalar, str], ...]:
    """Return the symbols of locals, each with the name that it is for."""
    node = fields.get("symbols")
    if node is None:
        return ()
    mapping = mapping_of(node, "`symbols`", '{direction: d, rate: "\\\\alpha"}', diagnostics)
    found: list[tuple[Scalar, str]] = []
    for entry in () if mapping is None else mapping.entries:
        text = text_of(entry.value, f"the symbol of {quote(entry.key.text)}", diagnostics)
        if text is not None:
            found.append((entry.key, read_symbol(text, diagnostics)))
    return tuple(found)


def _statements(fields: Fields, key: str, diagnostics: Diagnostics) -> Scalar | None:
    """Return the text of a body."""
    text = fields.text(key)
    if text is not None and not text.exact:
        diagnostics.add(
            text.location,
            f"`{key}` is a folded or quoted text",
            f"write `{key}: |` and the statements on lines of their own",
        )
        return None
    return text


def _replaces_update(node: Node) -> bool:
    """Return whether a driver is named whose rules have no update."""
    return isinstance(node, Scalar) and node.text in DRIVERS and DRIVERS[node.text].replaces_update


def _entry(fields: Fields, diagnostics: Diagnostics) -> Scalar | None:
    """Return the name of the method that a spec asks for."""
    text = fields.text("entry")
    if text is not None and (problem := reserved_names.why_not_method(text.text)) is not None:
        diagnostics.add(text.location, *problem)
        return None
    return text
