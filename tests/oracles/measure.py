"""Writes specs/oracles.toml: what each optimizer was compared with, and how far it came apart from it.

    python -m tests.oracles.measure [NAME ...]

Takes about ten seconds for an optimizer. With names, the rows of others stay as they are.
"""

from __future__ import annotations

import contextlib
import io
import sys
import tomllib
from collections.abc import Mapping

import torch

from tests.oracles.compare import IMPLEMENTATIONS, deviations, double_precision, single_changes
from tests.oracles.oracles import ORACLES
from tests.support.paths import ROOT
from tests.support.sparse_gradients import as_sparse_for

FILE = ROOT / "specs" / "oracles.toml"
HEAD = "# Written by `make oracles`. deviation: the largest, as a fraction of the distance moved, rounded up.\n"


def largest_deviation(name: str) -> float:
    """Return how far any implementation comes apart from the optimizer's first oracle, rounded up to one digit.

    foreach has the bits of the for-loop (`tests/torch_contract/test_foreach_parity.py`).
    """
    with double_precision(), contextlib.redirect_stdout(io.StringIO()):  # some oracles print
        found = max(
            apart
            for implementation in IMPLEMENTATIONS.keys() - {"foreach"}
            for settings in single_changes(name)
            for _, apart in deviations(name, ORACLES[name][0], implementation, settings)
        )
    return _round_up(found)


def _round_up(value: float) -> float:
    """Return the next larger number with one digit."""
    rounded = float(f"{value:.0e}")
    return rounded if rounded >= value else float(f"{value * 1.5:.0e}")


def rows() -> dict[str, dict[str, str | float]]:
    """Return what the file holds, by the name of the optimizer."""
    return tomllib.loads(FILE.read_text(encoding="utf-8")) if FILE.is_file() else {}


def _text(found: Mapping[str, Mapping[str, str | float]]) -> str:
    lines = [
        f'{name} = {{ oracle = "{row["oracle"]}", deviation = {float(row["deviation"])!r} }}\n'
        for name, row in sorted(found.items())
    ]
    return HEAD + "".join(lines)


def _deviation(name: str) -> float:
    with as_sparse_for(name):
        return largest_deviation(name)


def main(names: list[str]) -> None:
    """Measure the optimizers of these names, or all, and write the file after each."""
    torch.set_num_threads(1)
    found = {name: row for name, row in rows().items() if name in ORACLES}
    for name in names or ORACLES:
        found[name] = {"oracle": ORACLES[name][0].label, "deviation": _deviation(name)}
        print(name, found[name], flush=True)
        FILE.write_text(_text(found), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
