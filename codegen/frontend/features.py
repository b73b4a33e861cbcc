"""Read the features that specs can add to their rules, and what a spec says about them.

In: the files of `codegen/features/`, and the section `features` of a family of specs. Out: what the features declare
and their statements, under names of their own: a feature `mark` that declares `level` gives a rule `mark_level`. Must
not know where a feature attaches to a rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from thetac.codegen.errors import Diagnostics, did_you_mean, join_names, quote
from thetac.codegen.frontend import yaml_tree
from thetac.codegen.frontend.entries import read_hyperparameter, read_state
from thetac.codegen.frontend.family import merge_entry
from thetac.codegen.frontend.inheritance import ParentUpdate
from thetac.codegen.frontend.parse import parse_expression, parse_statements
from thetac.codegen.frontend.reading import Fields, line_of, lines_of
from thetac.codegen.frontend.source import read_source, split_source
from thetac.codegen.frontend.spec import StateEntry
from thetac.codegen.frontend.translate import NOTHING_DECLARED
from thetac.codegen.frontend.views import View
from thetac.codegen.frontend.yaml_tree import Entry, Scalar, read_tree
from thetac.codegen.ir.nodes import (
    UPDATE,
    Choice,
    Const,
    Feature,
    Flag,
    Hyperparameter,
    If,
    Piece,
    Requirement,
    State,
    Stmt,
    assigned,
    comparison,
    names_in_body,
)
from thetac.codegen.ir.renaming import rename, rename_in
from thetac.drivers import DRIVERS

FOLDER = Path(__file__).resolve().parents[1] / "features"
KEYS = (
    *("feature", "position", "title", "summary", "references", "notes", "hyperparameters", "state"),
    *("require", "complex", "view", "gradient", "update", "param", "driver", "perturb"),
)


@dataclass(frozen=True, slots=True)
class FeatureFile:
    """The content of one file of `codegen/features/`."""

    name: str
    position: int  # among the features of a rule, in the order in which they attach
    title: str  # in names of classes
    summary: str
    references: tuple[str, ...]
    notes: tuple[str, ...]
    hyperparameters: tuple[Entry, ...]
    states: tuple[Entry, ...]
    requirements: tuple[Entry, ...]
    takes_complex: bool
    view: View
    gradient: Scalar | None
    update: Scalar | None
    param: Scalar | None
    perturb: Scalar | None
    driver: str  # which runs `perturb`; empty: it has none


@dataclass(frozen=True, slots=True)
class Added:
    """What one feature declares in a rule, under the rule's names, and its statements."""

    file: FeatureFile
    arguments: tuple[Hyperparameter | Flag | Choice, ...]
    states: tuple[State, ...]
    requirements: tuple[Requirement, ...]
    feature: Feature
    pieces: tuple[Piece, ...]
    needs: frozenset[str]  # hyperparameters of the rule that it reads


@cache
def feature_files() -> Mapping[str, FeatureFile]:
    """Return all features that there are by name, in the order in which they attach.

    Raises:
        SpecError: If a file is wrong.
    """
    files = sorted((read_feature(path) for path in FOLDER.glob("*.yaml")), key=lambda file: file.position)
    return {file.name: file for file in files}


def read_feature(path: Path) -> FeatureFile:
    """Return the feature in a file.

    Raises:
        SpecError: If it is wrong.
    """
    diagnostics = Diagnostics()
    source = split_source(read_source(path, path.name), path.name)
    tree = read_tree(source, diagnostics)
    diagnostics.raise_any()
    assert isinstance(tree, yaml_tree.Mapping), f"{path} is a mapping of keys to values"
    fields = Fields(tree, "a feature", KEYS, diagnostics)
    name, position = fields.text("feature"), fields.text("position")
    assert name is not None, f"{path} has a name"
    assert position is not None, f"{path} has a position"
    file = FeatureFile(
        name.text,
        int(position.text),
        fields.line("title") or "",
        fields.line("summary") or "",
        _lines(fields, "references"),
        _lines(fields, "notes"),
        _entries(fields, "hyperparameters"),
        _entries(fields, "state"),
        _entries(fields, "require"),
        fields.choice("complex", ("unsupported",)) is None,
        View(fields.choice("view", [view.value for view in View]) or View.LAST_AXES),
        fields.text("gradient"),
        fields.text("update"),
        fields.text("param"),
        fields.text("perturb"),
        fields.choice("driver", tuple(DRIVERS)) or "",
    )
    diagnostics.raise_any()
    return file


def _lines(fields: Fields, key: str) -> tuple[str, ...]:
    node = fields.get(key)
    return () if node is None else lines_of(node, f"`{key}`", fields.diagnostics)


def _entries(fields: Fields, key: str) -> tuple[Entry, ...]:
    node = fields.get(key)
    return node.entries if isinstance(node, yaml_tree.Mapping) else ()


def declare_features(entries: tuple[Entry, ...], diagnostics: Diagnostics) -> tuple[Added, ...]:
    """Return what the features of a rule declare, in the order in which they attach.

    Args:
        entries: The section `features`, with what is inherited.
        diagnostics: Gets a diagnostic for a feature that does not exist, and for settings that do not fit.
    """
    known = feature_files()
    wanted: dict[str, Entry] = {}
    for entry in entries:
        if (name := entry.key.text) in known:
            wanted[name] = entry
        else:
            remedy = did_you_mean(name, known, f"there are {join_names(known, 'and')}")
            diagnostics.add(entry.key.location, f"unknown feature {quote(name)}", remedy)
    return tuple(_declare(known[name], wanted[name], diagnostics) for name in known if name in wanted)


def _declare(file: FeatureFile, entry: Entry, diagnostics: Diagnostics) -> Added:
    settings = {one.key.text: one for one in _settings(file, entry, diagnostics)}
    arguments, states = [], []
    names: dict[str, str] = {"update": UPDATE}
    for one in file.hyperparameters:
        whole = merge_entry(one, settings[one.key.text], diagnostics) if one.key.text in settings else one
        argument = read_hyperparameter(whole, diagnostics)
        arguments.append(argument)
        names |= {name: f"{file.name}_{name}" for name in (argument.name, *_elements(argument))}
        if isinstance(argument, Choice):
            own = names[argument.name]
            names |= {comparison(argument.name, text): comparison(own, text) for _, text in argument.comparisons}
    for one in file.states:
        states.append(read_state(one, diagnostics))
        names[states[-1].name] = f"{file.name}_{states[-1].name}"
    bodies = [
        file.view.body(_parse(text, diagnostics)) for text in (file.gradient, file.update, file.param, file.perturb)
    ]
    given = ("grad", "param", "update")
    names |= {name: f"{file.name}_{name}" for body in bodies for name in assigned(body) if name not in (*given, *names)}
    *attached, perturb = (rename(body, names) for body in bodies)
    feature = Feature(file.name, *(_marked(body, file.name) for body in attached))
    return Added(
        file,
        tuple(_renamed_argument(argument, names) for argument in arguments),
        tuple(_state(state, names, file.view, diagnostics) for state in states),
        tuple(_requirement(one, names, file.view, diagnostics) for one in file.requirements),
        feature,
        (Piece("perturb", perturb, entry.key.location),) if perturb else (),
        needs=frozenset(n for body in bodies for n in names_in_body(body)) - names.keys() - {*given},
    )


def _parse(text: Scalar | None, diagnostics: Diagnostics) -> tuple[Stmt, ...]:
    return () if text is None else parse_statements(text, diagnostics, NOTHING_DECLARED, ParentUpdate(None))


def _settings(file: FeatureFile, entry: Entry, diagnostics: Diagnostics) -> tuple[Entry, ...]:
    """Return the settings of a feature as entries of its hyperparameters, each with another default."""
    match entry.value:
        case Scalar(text="true", style=""):
            return ()
        case yaml_tree.Mapping(entries=entries):
            known = [one.key.text for one in file.hyperparameters]
            found: list[Entry] = []
            for one in entries:
                if one.key.text in known:
                    default = Entry(replace(one.key, text="default"), one.value)
                    found.append(Entry(one.key, yaml_tree.Mapping((default,), one.key.location)))
                else:
                    there = f"it has {join_names(known, 'and')}" if known else "it has none: write `true`"
                    remedy = did_you_mean(one.key.text, known, there)
                    cause = f"feature `{file.name}` has no hyperparameter {quote(one.key.text)}"
                    diagnostics.add(one.key.location, cause, remedy)
            return tuple(found)
        case other:
            example = f"`{file.name}: true`"
            if file.hyperparameters:
                example += f" or `{file.name}: {{{file.hyperparameters[0].key.text}: ...}}`"
            diagnostics.add(other.location, f"feature `{file.name}` is `true` or a mapping of its values", example)
            return ()


def _elements(argument: Hyperparameter | Flag | Choice) -> tuple[str, ...]:
    return argument.elements if isinstance(argument, Hyperparameter) else ()


def _renamed_argument(
    argument: Hyperparameter | Flag | Choice, names: Mapping[str, str]
) -> Hyperparameter | Flag | Choice:
    if isinstance(argument, Hyperparameter):
        elements = tuple(names[name] for name in argument.elements)
        return replace(argument, name=names[argument.name], elements=elements)
    return replace(argument, name=names[argument.name])


def _requirement(entry: Entry, names: Mapping[str, str], view: View, diagnostics: Diagnostics) -> Requirement:
    condition = view.expression(rename_in(parse_expression(entry.key, diagnostics), names))
    return Requirement(condition, line_of(entry.value, "a message", diagnostics) or "", entry.key.location)


def _state(entry: StateEntry, names: Mapping[str, str], view: View, diagnostics: Diagnostics) -> State:
    """Return a state under its name in a rule."""
    init = Const(0) if entry.init is None else rename_in(parse_expression(entry.init, diagnostics), names)
    when = None if entry.when is None else view.expression(rename_in(parse_expression(entry.when, diagnostics), names))
    return State(
        names[entry.name],
        entry.kind,
        init,
        when,
        entry.on_param_device,
        entry.symbol,
        entry.doc,
        entry.location,
        entry.dims,
        entry.float64,
        entry.integer,
        of_matrix=view is View.MATRIX,
    )


def _marked(body: tuple[Stmt, ...], origin: str) -> tuple[Stmt, ...]:
    """Return statements that say where they come from."""
    marked: list[Stmt] = []
    for statement in body:
        if isinstance(statement, If):
            then, orelse = _marked(statement.then, origin), _marked(statement.orelse, origin)
            statement = replace(statement, then=then, orelse=orelse)
        marked.append(replace(statement, origin=origin))
    return tuple(marked)
