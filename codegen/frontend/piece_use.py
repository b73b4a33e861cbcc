"""Check which pieces of a spec there are, and find what runs them.

In: a family of specs, the pieces that it and its features have. Out: the driver and the entry, and diagnostics where a
piece has nothing that runs it, or where something that runs pieces lacks one. Must not know what pieces compute.
"""

from __future__ import annotations

from collections.abc import Sequence

from thetac.codegen.errors import Diagnostics, Location
from thetac.codegen.frontend.family import nearest
from thetac.codegen.frontend.features import Added
from thetac.codegen.frontend.spec import Spec
from thetac.codegen.ir.nodes import Piece
from thetac.drivers import DRIVERS, ENTRY_PIECE, MODES


def check_pieces(
    family: tuple[Spec, ...], pieces: Sequence[Piece], added: Sequence[Added], diagnostics: Diagnostics
) -> tuple[str, str]:
    """Return the driver of a rule and the method by which users run a piece; each is empty where there is none.

    Args:
        family: The spec and those that it extends.
        pieces: Theirs and those of the features.
        added: The features.
        diagnostics: Gets a diagnostic for everything that does not fit together.
    """
    own, entry = nearest(family, lambda s: s.driver), nearest(family, lambda s: s.entry)
    driver = own.text if own is not None else ""
    have: dict[str, Piece] = {}
    for piece in pieces:
        if piece.name in have:
            cause = f"there is a `{piece.name}` already, in line {have[piece.name].location.line}"
            diagnostics.add(piece.location, cause, "a rule has one of each")
        have.setdefault(piece.name, piece)
    for one in added:
        if one.file.driver and driver not in ("", one.file.driver):
            here = one.pieces[0].location if one.pieces else family[0].location
            cause = f"feature `{one.file.name}` needs the driver `{one.file.driver}`, and there is `{driver}` already"
            diagnostics.add(here, cause, "a rule has one driver")
        driver = driver or one.file.driver
    if driver and DRIVERS[driver].piece not in have:
        _miss(DRIVERS[driver].piece, f"`driver: {driver}`", own.location if own else family[0].location, diagnostics)
    if entry is not None and ENTRY_PIECE not in have:
        _miss(ENTRY_PIECE, f"`entry: {entry.text}`", entry.location, diagnostics)
    if entry is not None and driver and DRIVERS[driver].piece == ENTRY_PIECE:
        cause = f"`{driver}` runs `{ENTRY_PIECE}` already"
        diagnostics.add(entry.location, cause, "a rule has a driver for a piece, or a method")
    if len(modes := [have[name] for name in MODES if name in have]) == 1:
        other = next(name for name in MODES if name not in have)
        _miss(other, f"`{modes[0].name}`", modes[0].location, diagnostics)
    runners = dict.fromkeys(MODES, "") | {one.piece: f"driver: {name}" for name, one in DRIVERS.items()}
    runs = {*MODES, *([DRIVERS[driver].piece] if driver else []), *([ENTRY_PIECE] if entry is not None else [])}
    lost = any({"driver", "entry"} & spec.unreadable for spec in family)  # which has its own diagnostic
    for name, piece in have.items():
        if name not in runs and not lost:
            remedy = f"`{runners[name]}` runs it" + (", or `entry: NAME`, a method" if name == ENTRY_PIECE else "")
            diagnostics.add(piece.location, f"nothing runs `{name}`", remedy)
    return driver, "" if entry is None else entry.text


def _miss(piece: str, what: str, location: Location, diagnostics: Diagnostics) -> None:
    diagnostics.add(location, f"{what} needs `{piece}`", f"write `{piece}: |` and its statements")
