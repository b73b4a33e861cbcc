"""The arguments of a constructor, and the keys of its parameter groups.

In: what a family of specs declares, and the signature and the keys as they are written. Out: names in order, and a
diagnostic for each one that does not belong there. Must not know what the names mean.
"""

from __future__ import annotations

from thetac.codegen.errors import Diagnostics, Location, did_you_mean, quote
from thetac.codegen.frontend.spec import Spec
from thetac.codegen.frontend.yaml_tree import Scalar
from thetac.codegen.ir.nodes import UNREADABLE, Choice, Flag, Hyperparameter
from thetac.options import OPTIONS


def make_signature(
    spec: Spec,
    written: tuple[Scalar, ...] | None,
    declared: tuple[Hyperparameter | Flag | Choice, ...],
    diagnostics: Diagnostics,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the constructor's arguments: those that may be positional, and those by keyword only.

    Args:
        spec: The spec of the class; it may inherit its signature.
        written: The signature as it is written, `*` included; None if no spec of the family has one.
        declared: All hyperparameters and flags, inherited ones too.
        diagnostics: Gets a diagnostic for each argument that is unknown, twice there, missing or out of order.
    """
    inherited = written is not None and spec.signature is None
    readable = all(entry.name != UNREADABLE for entry in declared)
    free = [entry.name for entry in declared if not entry.fixed and entry.name != UNREADABLE]
    if written is None:
        return tuple(free), tuple(OPTIONS)
    seen: dict[str, Location] = {}
    fixed = {entry.name for entry in declared if entry.fixed}
    for text in written:
        name, here = text.text, spec.location if inherited else text.location
        if name in seen:
            diagnostics.add(here, f"{quote(name)} is twice in the signature", "delete one of them")
        elif name in fixed:
            remedy = "give this spec a signature without it" if inherited else "delete it here, or delete `fixed`"
            diagnostics.add(here, f"`{name}` is fixed and no argument", remedy)
        elif name not in free and name not in OPTIONS and name != "*" and readable:
            remedy = did_you_mean(
                name, [*free, *OPTIONS], "hyperparameters, flags, `*` and the options of every optimizer stand here"
            )
            diagnostics.add(here, f"unknown argument {quote(name)} in the signature", remedy)
        seen.setdefault(name, here)
    where = spec.location if inherited or not written else written[0].location
    for name in free:
        if name not in seen:
            remedy = "every hyperparameter and flag is an argument, or `fixed`"
            if inherited:
                remedy = "write a signature here: the inherited one does not know it"
            diagnostics.add(where, f"`{name}` is missing from the signature", remedy)
    arguments = list(seen)
    _check_order(seen, declared, diagnostics)
    if "*" not in arguments:
        return tuple(arguments), ()
    star = arguments.index("*")
    if star == len(arguments) - 1:
        diagnostics.add(
            seen["*"], "nothing follows the `*` of the signature", "arguments behind it are passed by keyword only"
        )
    return tuple(arguments[:star]), tuple(arguments[star + 1 :])


def order_group_keys(
    written: tuple[Scalar, ...],
    declared: tuple[Hyperparameter | Flag | Choice, ...],
    shared: tuple[str, ...],
    diagnostics: Diagnostics,
) -> tuple[str, ...]:
    """Return the keys of a parameter group in order: those that are written, then the others in the usual order.

    Args:
        written: `group_keys` as it is written.
        declared: All hyperparameters and flags.
        shared: The names of the numbers that parameters share.
        diagnostics: Gets a diagnostic for each key that is unknown or twice there.
    """
    usual = (*(entry.name for entry in declared), *OPTIONS, *shared)
    seen: list[str] = []
    for text in written:
        if text.text in seen:
            diagnostics.add(text.location, f"{quote(text.text)} is twice in `group_keys`", "delete one of them")
        elif text.text not in usual and UNREADABLE not in usual:
            remedy = did_you_mean(
                text.text, usual, "hyperparameters, flags and the options of every optimizer stand here"
            )
            diagnostics.add(text.location, f"unknown key {quote(text.text)} in `group_keys`", remedy)
        seen.append(text.text)
    return (*seen, *(name for name in usual if name not in seen))


def _check_order(
    seen: dict[str, Location], declared: tuple[Hyperparameter | Flag | Choice, ...], diagnostics: Diagnostics
) -> None:
    """Note where an argument without a default follows one that has one, unless it is passed by keyword."""
    required = {entry.name for entry in declared if isinstance(entry, Hyperparameter) and entry.required}
    optional_before = ""
    for name, location in seen.items():
        if name == "*":
            return
        if name in required and optional_before:
            diagnostics.add(
                location,
                f"`{name}` is required, but follows `{optional_before}`, which has a default",
                "required ones come first",
            )
        if name not in required:
            optional_before = name
