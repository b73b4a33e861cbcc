"""Writes docs/compatibility.md from a run of the tests that are marked with `feature` or `difference`.

    python -m tests.docs.compatibility [--tests PATH ...] [--page PATH]

A test says what it shows by a marker, `@pytest.mark.feature("step", "gradients that come and go")`; if its argument
`name` is that of an optimizer, the result counts for that optimizer, else for the whole. What holds only in part says
so by `record_property("why not", "...")`, and how many cases it ran by `record_property("cases", 17)`. A test marked
`@pytest.mark.difference("...")` shows how torch and this library differ on purpose. Nothing in the page but its
introduction is written by hand. Ends with an error if a test fails; the page then says where.

Tests run in two processes. There, this file is a plugin of pytest that hands markers on with the reports.
"""

from __future__ import annotations

import argparse
import os
import sys
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from tests.support.every_optimizer import ALL, NAMES, torchs
from tests.support.paths import ROOT

PAGE = ROOT / "docs" / "compatibility.md"

AREAS = (
    "construction",
    "step",
    "hooks",
    "state_dict",
    "pickling",
    "faults",
    "modes",
    "schedulers",
    "averaging",
    "rules written by hand",
    "ecosystem",
    "torch's own cases",
    "random programs",
)
FEATURE, DIFFERENCE = "shows a feature", "shows a difference"  # names of properties in reports

INTRODUCTION = """\
# Compatibility

What torch 2 guarantees for its optimizers, tested on every optimizer here with torch {torch}
on the CPU. `make compatibility` generates this page from a test run. A cell is the outcome of
all tests of that feature and that optimizer, in all implementations that they cover.

- **yes**: all of them pass. A number counts the cases of
  `torch.testing._internal.common_optimizers.optim_db` that were run.
- **a letter**: they pass, and show that the feature is supported in part, or rejected. The
  list below the tables gives the reason.
- `-`: the tests of that feature do not apply to that optimizer.
- **FAILS**: this must not appear.
"""


Place = tuple[str, int]  # of a test: its file and line


@dataclass(slots=True)
class Outcome:
    """Of all tests of one feature, for one optimizer or for the whole."""

    tests: int = 0
    failed: list[str] = field(default_factory=list)
    reasons: set[str] = field(default_factory=set)
    cases: int = 0


@dataclass(slots=True)
class Row:
    """A feature or a difference; for the whole, the optimizer is called ""."""

    place: Place  # of its first test
    outcomes: dict[str, Outcome] = field(default_factory=dict)  # by optimizer


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In every process that runs tests: what a test is marked with becomes part of its reports."""
    for item in items:
        callspec = getattr(item, "callspec", None)
        name = "" if callspec is None else callspec.params.get("name", "")
        for mark in item.iter_markers("feature"):
            area, text = mark.args
            item.user_properties.append((FEATURE, (area, text, name if name in NAMES else "")))
        for mark in item.iter_markers("difference"):
            item.user_properties.append((DIFFERENCE, mark.args[0]))


@dataclass(slots=True)
class Recorder:
    """In the process that writes the page: takes down what the reports of marked tests say, in whatever order."""

    features: dict[tuple[str, str], Row] = field(default_factory=dict)  # by area and text
    differences: dict[str, Row] = field(default_factory=dict)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        file, line, _ = report.location
        for key, value in report.user_properties:
            if key == FEATURE:
                area, text, name = value  # type: ignore[misc]
                row = self.features.setdefault((area, text), Row((file, line or 0)))
            elif key == DIFFERENCE:
                name, row = "", self.differences.setdefault(str(value), Row((file, line or 0)))
            else:
                continue
            row.place = min(row.place, (file, line or 0))
            _take_down(report, row.outcomes.setdefault(name, Outcome()))

    @property
    def failed(self) -> list[str]:
        rows = [*self.features.values(), *self.differences.values()]
        return sorted({test for row in rows for outcome in row.outcomes.values() for test in outcome.failed})


def _take_down(report: pytest.TestReport, outcome: Outcome) -> None:
    properties = dict(report.user_properties)
    if report.failed:
        outcome.failed.append(report.nodeid)
    elif report.skipped and isinstance(report.longrepr, tuple):
        outcome.reasons.add(f"not tried: {report.longrepr[2].removeprefix('Skipped: ')}")
    elif report.when == "call":
        outcome.tests += 1
        if "why not" in properties:
            outcome.reasons.add(str(properties["why not"]))
        outcome.cases = max(outcome.cases, int(str(properties.get("cases", 0))))


def page_of(recorder: Recorder) -> str:
    """The whole page."""
    letters: dict[str, str] = {}
    parts = [INTRODUCTION.format(torch=torch.__version__.partition("+")[0])]
    if unknown := {area for area, _ in recorder.features} - set(AREAS):
        raise ValueError(f"{', '.join(sorted(unknown))} has no place among the areas of the page, {', '.join(AREAS)}")
    rows = dict(sorted(recorder.features.items(), key=lambda row: (AREAS.index(row[0][0]), row[1].place)))
    per_optimizer = {key: row for key, row in rows.items() if "" not in row.outcomes}
    of_the_whole = {key: row for key, row in rows.items() if set(row.outcomes) == {""}}
    if len(per_optimizer) + len(of_the_whole) < len(rows):
        mixed = [": ".join(key) for key in rows if key not in per_optimizer and key not in of_the_whole]
        raise ValueError(f"some tests say for which optimizer they hold, and some do not: {', '.join(mixed)}")
    in_torch = tuple(name for name in NAMES if torchs(name) is not None)
    for title, columns in (
        ("Optimizers that torch has", in_torch),
        ("Optimizers that torch does not have", tuple(name for name in NAMES if name not in in_torch)),
    ):
        parts.append(f"## {title}\n\n" + "\n".join(_table(per_optimizer, columns, letters)) + "\n")
    if letters:
        parts.append("\n".join(f"- **{letter}**: {reason}" for reason, letter in letters.items()) + "\n")
    if of_the_whole:
        parts.append("## Features tested with some optimizers\n\n" + "\n".join(_whole(of_the_whole)) + "\n")
    if recorder.differences:
        differences = sorted(recorder.differences.items(), key=lambda difference: difference[1].place)
        lines = [
            textwrap.fill(
                f"{text}{' FAILS' if row.outcomes[''].failed else ''}",
                100,
                initial_indent="- ",
                subsequent_indent="  ",
                break_long_words=False,
                break_on_hyphens=False,
            )
            for text, row in differences
        ]
        parts.append("## Intended differences from torch\n\n" + "\n".join(lines) + "\n")
    return "\n".join(parts)


def _table(rows: dict[tuple[str, str], Row], columns: Sequence[str], letters: dict[str, str]) -> Iterator[str]:
    yield f"| | {' | '.join(columns)} |"
    yield f"| --- {'| :-: ' * len(columns)}|"
    for (area, text), row in rows.items():
        cells = (_cell(row.outcomes.get(name, Outcome()), letters) for name in columns)
        yield f"| **{area}**: {text} | {' | '.join(cells)} |"


def _cell(outcome: Outcome, letters: dict[str, str]) -> str:
    if outcome.failed:
        return "FAILS"
    if not outcome.tests and not outcome.reasons:
        return "-"
    given = [letters.setdefault(reason, _letter(len(letters))) for reason in sorted(outcome.reasons)]
    return " ".join([*([str(outcome.cases)] if outcome.cases else []), *given]) or "yes"


def _letter(number: int) -> str:
    """a, b, ..., z, aa, ab, ..."""
    more, last = divmod(number, 26)
    return (_letter(more - 1) if more else "") + chr(ord("a") + last)


def _whole(rows: dict[tuple[str, str], Row]) -> Iterator[str]:
    yield "| | |"
    yield "| --- | --- |"
    for (area, text), row in rows.items():
        outcome = row.outcomes[""]
        yield f"| **{area}**: {text} | {'FAILS' if outcome.failed else '; '.join(sorted(outcome.reasons)) or 'yes'} |"


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the marked tests and write the page of what they show.")
    parser.add_argument("--tests", nargs="+", default=[str(ROOT / "tests")], help="files or folders with tests")
    parser.add_argument("--page", type=Path, default=PAGE, help="where the page goes")
    arguments = parser.parse_args()
    recorder = Recorder()
    options = ["-q", "-p", "no:cacheprovider", "-p", "tests.docs.compatibility", "-c", str(ROOT / "pyproject.toml")]
    options += ["-n", "2", "--dist", "worksteal", "-m", "feature or difference", "--disable-warnings"]
    os.environ[ALL] = "1"
    code = pytest.main([*options, *arguments.tests], plugins=[recorder])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        return int(code)
    arguments.page.write_text(page_of(recorder), encoding="utf-8")
    for test in recorder.failed:
        print(f"FAILS: {test}", file=sys.stderr)
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
