"""`thetac.compose`: an optimizer with features that any rule may have, compiled at run time.

In: the name of an optimizer, or a spec, and the features with their values. Out: a class of its own. What is composed
is a spec that extends the other one, and nothing but a spec.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from thetac.codegen.cli.library import SUFFIXES, our_specs
from thetac.codegen.errors import Diagnostics, SpecError, did_you_mean, join_names
from thetac.codegen.frontend.features import FeatureFile, feature_files
from thetac.codegen.frontend.load import load_spec
from thetac.codegen.frontend.source import read_source
from thetac.codegen.ir.reserved_names import LONGEST
from thetac.codegen.pipeline import Source, front_end
from thetac.loader import load_source
from thetac.runtime.optimizer import Optimizer

Value = float | int | bool | str | None | Sequence[float]
PATH = "<composed>"


def compose(
    optimizer: str | os.PathLike[str], *, name: str | None = None, **features: bool | Mapping[str, Value]
) -> type[Optimizer]:
    """Compile an optimizer with further features and import its class.

    The features attach in an order of their own, whatever the order of the arguments; docs/features.md describes them.
    Their values become arguments of the constructor, `k` of `lookahead` as `lookahead_k`, and keys of parameter groups.
    The same arguments give the same class within a process; it is kept and pickled like those of `thetac.load`.

    Args:
        optimizer: The name of one of thetac's optimizers, or the path or the text of a spec.
        name: The name of the class; by default one made of the features' and the optimizer's, or of their number.
        **features: By name, True or a mapping of values that replace the defaults. One that is False is left out.

    Returns:
        The class, a subclass of `torch.optim.Optimizer`.

    Raises:
        TypeError: There is no such feature, or it has no such value.
        ValueError: There is no such optimizer, no feature is named, or a value is out of its range.
        thetac.codegen.errors.SpecError: The spec that was given is invalid.
        OSError: A file cannot be read, or no folder can be written.
    """
    wanted = {feature: _values(feature, given) for feature, given in features.items() if given is not False}
    if not wanted:
        raise ValueError(f"compose takes at least one feature: there are {join_names(feature_files(), 'and')}")
    ordered = {file: wanted[feature] for feature, file in feature_files().items() if feature in wanted}
    own = _spec(optimizer)
    base = front_end([own], our_specs)[0].name if own is not None else _known_name(optimizer)
    text = _text(name or _class_name(ordered, base), base, ordered)
    try:
        return load_source(Source(PATH, text, name="a composition"), lambda: (*our_specs(), *([own] if own else ())))
    except SpecError as error:  # the optimizer is right, so it is a value or the name
        raise ValueError("; ".join(f"{one.location.text.strip()}: {one.cause}" for one in error.diagnostics)) from error


def _values(feature: str, given: bool | Mapping[str, Value]) -> Mapping[str, Value]:
    """Return the values that a feature is given; raise TypeError for what it does not have."""
    known = feature_files()
    if feature not in known:
        there = f"there are {join_names(known, 'and')}"
        raise TypeError(f"compose got an unexpected feature `{feature}`: {did_you_mean(feature, known, there)}")
    if given is True:
        return {}
    if not isinstance(given, Mapping):
        raise TypeError(f"feature `{feature}` is True, False or a mapping of its values, not {given!r}")
    names = [entry.key.text for entry in known[feature].hyperparameters]
    for value in given:
        if value not in names:
            there = f"it has {join_names(names, 'and')}" if names else "it has none"
            hint = did_you_mean(value, names, there)
            raise TypeError(f"feature `{feature}` got an unexpected value `{value}`: {hint}")
    return given


def _spec(optimizer: str | os.PathLike[str]) -> Source | None:
    """Return the spec that was given by its text or path; None for a name."""
    if isinstance(optimizer, str) and "\n" in optimizer:
        return Source("<text>", optimizer)
    path = os.fspath(optimizer)
    if path.endswith(SUFFIXES) or os.sep in path:
        return Source(path, read_source(Path(path), path))
    return None


def _known_name(optimizer: str | os.PathLike[str]) -> str:
    """Return the name of one of thetac's optimizers, in any case; raise ValueError for another one."""
    given = os.fspath(optimizer)
    specs = (load_spec(source.text, source.path, Diagnostics()) for source in our_specs())
    known = {spec.name.lower(): spec.name for spec in specs if spec is not None}
    if given.lower() not in known:
        raise ValueError(f"no optimizer is named `{given}`: {did_you_mean(given, known.values(), 'see `thetac list`')}")
    return known[given.lower()]


def _class_name(features: Iterable[FeatureFile], base: str) -> str:
    """Return the name of a class, which counts the features where naming them all would be too long."""
    titles = [file.title for file in features]
    name = f"{''.join(titles)}{base}"
    return name if len(name) <= LONGEST else f"{base}With{len(titles)}Features"


def _text(name: str, base: str, features: Mapping[FeatureFile, Mapping[str, Value]]) -> str:
    """Return the composed spec."""
    titles = [file.title for file in features]
    lines = [f"optimizer: {name}", f"extends: {base}", f"summary: {base} with {', '.join(titles)}.", "features:"]
    for file, values in features.items():
        settings = ", ".join(f"{key}: {_written(value)}" for key, value in values.items())
        lines.append(f"  {file.name}: {{{settings}}}" if settings else f"  {file.name}: true")
    return "\n".join(lines) + "\n"


def _written(value: Value) -> str:
    """Return a value as a spec has it."""
    match value:
        case bool():
            return "true" if value else "false"
        case None:
            return "none"
        case str():
            return value
        case Sequence():
            return f"[{', '.join(map(_written, value))}]"
        case _:
            return repr(value)
