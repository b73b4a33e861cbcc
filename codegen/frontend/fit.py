"""Check that what one part of a spec says fits what the others say: numbers of entries, what decay and features need.

In: parts of a Spec, read. Out: diagnostics. Must not know what updates mean.
"""

from __future__ import annotations

from collections.abc import Sequence

from thetac.codegen.errors import Diagnostics, Location
from thetac.codegen.frontend.features import Added
from thetac.codegen.frontend.spec import DecayEntry, Spec
from thetac.codegen.frontend.views import View
from thetac.codegen.ir.nodes import DECAY_READS, UNREADABLE, ComplexMode, DecayStyle, Hyperparameter, Stmt
from thetac.codegen.ir.reductions import blocks_in


def check_number(locations: Sequence[Location], most: int, what: tuple[str, str], diagnostics: Diagnostics) -> None:
    """Note an error if there are more than `most` of something.

    Args:
        locations: Where they are.
        most: How many are allowed.
        what: Their name, and the remedy.
        diagnostics: Gets the diagnostic.
    """
    if len(locations) > most:
        diagnostics.add(locations[most], f"more than {most} {what[0]}", what[1])


def check_needs(
    added: tuple[Added, ...], hyperparameters: tuple[Hyperparameter, ...], spec: Spec, diagnostics: Diagnostics
) -> None:
    """Note an error where a feature reads a hyperparameter that the rule does not have, or has as a tuple."""
    single = {hyperparameter.name for hyperparameter in hyperparameters if not hyperparameter.elements}
    for one in added:
        for name in sorted(one.needs - single):
            here = next((e.key.location for e in spec.features if e.key.text == one.file.name), spec.location)
            cause = f"feature `{one.file.name}` needs a hyperparameter `{name}`"
            diagnostics.add(here, cause, "declare it as a number, or leave the feature out")


def check_decay(
    entries: tuple[DecayEntry, ...], hyperparameters: tuple[Hyperparameter, ...], spec: Spec, diagnostics: Diagnostics
) -> None:
    """Note an error where a style of decay reads a hyperparameter that is missing or is now a tuple."""
    single = {hyperparameter.name for hyperparameter in hyperparameters if not hyperparameter.elements}
    for entry in entries:
        for name in DECAY_READS[entry.style]:
            if name not in single and UNREADABLE not in single:
                cause = f"weight decay `{entry.style.value}` needs a hyperparameter `{name}`"
                if spec.decay is None:
                    own = next(
                        (one.key.location for one in spec.hyperparameters if one.key.text == name), spec.location
                    )
                    diagnostics.add(own, cause, "declare it as a number, or say `weight_decay: none` here")
                else:
                    diagnostics.add(entry.location, cause, "declare it, or choose another style")


def check_decay_of_complex(
    entries: tuple[DecayEntry, ...], mode: ComplexMode, spec: Spec, diagnostics: Diagnostics
) -> None:
    """Note an error where a style of decay compares signs of parameters that stay complex."""
    for entry in entries:
        if entry.style is DecayStyle.CAUTIOUS and mode in (ComplexMode.NATIVE, ComplexMode.PAIRS_EXCEPT_PARAM):
            cause = f"weight decay `cautious` compares signs, which `complex: {mode.value}` leaves to complex numbers"
            here = entry.location if spec.decay is not None else spec.location
            diagnostics.add(here, cause, "say `complex: pairs`, or choose another style")


def check_blocks(body: tuple[Stmt, ...], view: View, diagnostics: Diagnostics) -> None:
    """Note an error for the first mean of blocks of rows, unless all rows of a parameter are those of one matrix."""
    call = next(blocks_in(body), None)
    if call is not None and view is not View.MATRIX:
        cause = f"`{call.op}` of a parameter that may be many matrices"
        diagnostics.add(call.location, cause, "say `view: matrix`: rows are then the indices of the first axis")
