"""`thetac.compose`: an optimizer with features that any rule may have, compiled at run time.

In: the name of an optimizer, or a spec, and the features with their values. Out: a class of its own. What is composed
is a spec that extends the other one, and nothing but a spec.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import assert_never

from thetac import generated
from thetac.codegen.cli.library import SUFFIXES, our_specs, spec_and_parents
from thetac.codegen.errors import Diagnostics, SpecError, did_you_mean, join_names
from thetac.codegen.frontend.entries import read_hyperparameter
from thetac.codegen.frontend.features import FeatureFile, feature_files
from thetac.codegen.frontend.load import load_spec
from thetac.codegen.ir.nodes import Choice, Flag, Hyperparameter
from thetac.codegen.ir.reserved_names import LONGEST
from thetac.codegen.pipeline import Source, front_end
from thetac.loader import load_sources
from thetac.runtime.optimizer import Optimizer

Value = float | int | bool | str | None | Sequence[float]
PATH = "<composed>"


def compose(
    optimizer: str | os.PathLike[str] | type[Optimizer],
    *,
    name: str | None = None,
    **features: bool | Mapping[str, Value],
) -> type[Optimizer]:
    """Compile an optimizer with further features and import its class.

    The features attach in an order of their own, whatever the order of the arguments; docs/features.md describes them.
    Their values become arguments of the constructor, `k` of `lookahead` as `lookahead_k`, and keys of parameter groups.
    The same arguments give the same class within a process; it is kept and pickled like those of `thetac.load`.

    Args:
        optimizer: The name or the class of one of thetac's optimizers, or the path or the text of a spec.
        name: The name of the class, which no optimizer of thetac has; by default one made of the features' and the
            optimizer's, or of their number.
        **features: By name, True or a mapping of values that replace the defaults. One that is False is left out.

    Returns:
        The class, a subclass of `torch.optim.Optimizer`.

    Raises:
        TypeError: There is no such feature, it has no such value, or something is of another type.
        ValueError: There is no such optimizer, no feature is named, the name is taken, or a value is out of its range.
        thetac.codegen.errors.SpecError: The spec that was given is invalid.
        OSError: A file cannot be read, or no folder can be written.
    """
    wanted = {feature: _values(feature, given) for feature, given in features.items() if given is not False}
    if not wanted:
        raise ValueError(f"compose takes at least one feature: there are {join_names(feature_files(), 'and')}")
    ordered = {file: wanted[feature] for feature, file in feature_files().items() if feature in wanted}
    own = _specs(optimizer)
    base = front_end(own, our_specs)[0].name if own else _known_name(optimizer)
    if name is not None:
        _check_name(name, base)
    text = _text(name or _class_name(ordered, base), base, ordered)
    try:
        return load_sources([Source(PATH, text, name="a composition")], lambda: (*our_specs(), *own))
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
    for entry in known[feature].hyperparameters:
        if entry.key.text in given:
            _check_value(feature, read_hyperparameter(entry, Diagnostics()), given[entry.key.text])
    return given


def _check_value(feature: str, argument: Hyperparameter | Flag | Choice, given: Value) -> None:
    """Raise TypeError for a value of the wrong type, ValueError for one that is none of the choices.

    The compiler checks numbers as it does defaults.
    """
    what = f"`{argument.name}` of feature `{feature}` is"
    match argument:
        case Choice(choices=choices):
            if given not in choices and not (given == "none" and None in choices):  # as a spec writes it
                known = join_names(("None" if one is None else one for one in choices), "or")
                raise ValueError(f"{what} {known}, not {given!r}")
        case Flag():
            if not isinstance(given, bool):
                raise TypeError(f"{what} True or False, not {given!r}")
        case Hyperparameter(elements=(), integer=integer, ranges=(allowed, *_), none=none):
            is_number = isinstance(given, int | float) and not isinstance(given, bool)
            if not is_number and (given is not None or not none):
                within = "" if allowed is None else f" in the range {allowed}"
                raise TypeError(f"{what} {'an integer' if integer else 'a number'}{within}, not {given!r}")
        case Hyperparameter():
            pass
        case _:
            assert_never(argument)


def _specs(optimizer: str | os.PathLike[str] | type[Optimizer]) -> tuple[Source, ...]:
    """Return the spec that was given by its text or path, and those in its folder that it extends; none for a name."""
    if isinstance(optimizer, str) and "\n" in optimizer:
        return (Source("<text>", optimizer),)
    if not isinstance(optimizer, str | os.PathLike):
        return ()
    path = os.fspath(optimizer)
    return spec_and_parents(path) if path.endswith(SUFFIXES) or os.sep in path else ()


def _known_name(optimizer: str | os.PathLike[str] | type[Optimizer]) -> str:
    """Return the name of one of thetac's optimizers, given in any case or by its class.

    Raises:
        TypeError: Something else was given.
        ValueError: There is no such optimizer.
    """
    if isinstance(optimizer, type) and getattr(generated, optimizer.__name__, None) is optimizer:
        return str(optimizer.__name__)
    if not isinstance(optimizer, str | os.PathLike):
        kind = f"the class {optimizer.__module__}.{optimizer.__qualname__}" if isinstance(optimizer, type) else ""
        expected = "the name or the class of one of thetac's optimizers, or the path or the text of a spec"
        raise TypeError(f"compose takes {expected}, not {kind or repr(optimizer)}")
    given = os.fspath(optimizer)
    known = {name.lower(): name for name in _our_names()}
    if given.lower() not in known:
        raise ValueError(f"no optimizer is named `{given}`: {did_you_mean(given, known.values(), 'see `thetac list`')}")
    return known[given.lower()]


def _our_names() -> tuple[str, ...]:
    specs = (load_spec(source.text, source.path, Diagnostics()) for source in our_specs())
    return tuple(spec.name for spec in specs if spec is not None)


def _check_name(name: str, base: str) -> None:
    """Raise ValueError if a class may not have this name, because a spec has it."""
    if name.lower() == base.lower():
        raise ValueError(f"the name `{name}` is that of the optimizer which gets the features: choose another one")
    if name.lower() in (one.lower() for one in _our_names()):
        raise ValueError(f"the name `{name}` is taken by one of thetac's optimizers: choose another one")


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
        case float():  # NumPy's among them
            return repr(float(value))
        case _:
            return repr(value)
