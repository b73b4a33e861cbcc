"""The catalogue of thetac's optimizers: what each costs, what it was compared with, and what frameworks call it.

In: optimizers after all passes, and facts that no spec holds. Out: rows of texts, and the page docs/catalogue.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from thetac.codegen.backends.documentation.docstring import state_size
from thetac.codegen.backends.documentation.pages import markdown
from thetac.codegen.backends.printing.escaping import module_name
from thetac.codegen.emit import environment, header
from thetac.codegen.ir.fused import Barrier, Fused
from thetac.codegen.ir.nodes import Rule
from thetac.codegen.passes.analysis.traffic import bytes_moved


@dataclass(frozen=True, slots=True)
class Code:
    """The authors' own implementation."""

    name: str  # where it is
    lines: int  # without blank lines, comments and docstrings


@dataclass(frozen=True, slots=True)
class Comparison:
    """How an optimizer was compared with an implementation that owes nothing to its spec."""

    oracle: str
    deviation: float  # the largest, as a fraction of the distance moved


@dataclass(frozen=True, slots=True)
class Framework:
    """What a framework calls the rules that are here too."""

    name: str
    version: str
    names: Mapping[str, str]  # the name of the class here, by theirs


@dataclass(frozen=True, slots=True)
class Facts:
    """What no spec holds."""

    authors: Mapping[str, Code]  # by the name of the class
    comparisons: Mapping[str, Comparison]
    frameworks: tuple[Framework, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One optimizer."""

    rule: Rule  # as written
    lowered: Rule  # after all passes
    fused: Fused
    lines: int  # of its spec, without blank lines and comments


HEAD = (
    "name",
    "class",
    "source",
    "lines of YAML",
    "of the source",
    "state bytes",
    "passes",
    "bytes per step",
    "oracle",
    "deviation",
    "shipped by",
)


def row(entry: Entry, facts: Facts) -> tuple[str, ...]:
    """Return the texts of an optimizer, one for each column of `HEAD`."""
    name = entry.rule.name
    code, comparison = facts.authors.get(name), facts.comparisons.get(name)
    return (
        name,
        _class_of(entry.fused),
        "" if code is None else code.name,
        str(entry.lines),
        "" if code is None else str(code.lines),
        state_size(entry.rule),
        str(entry.fused.sweeps),
        str(bytes_moved(entry.lowered, entry.fused)),
        "" if comparison is None else comparison.oracle,
        "" if comparison is None else f"{comparison.deviation:.0e}" if comparison.deviation else "0",
        ", ".join(one.name for one in facts.frameworks if name in one.names.values()),
    )


def page(entries: Sequence[Entry], facts: Facts) -> str:
    """Return the text of docs/catalogue.md."""
    rows = [row(entry, facts) for entry in sorted(entries, key=lambda entry: entry.rule.name.lower())]
    linked = [
        [f"[{name}](optimizers/{module_name(name)}.md)", *(markdown(cell) for cell in cells)] for name, *cells in rows
    ]
    frameworks = [
        (
            f"{one.name} {one.version}",
            [(f"`{theirs}`", f"[{ours}](optimizers/{module_name(ours)}.md)") for theirs, ours in one.names.items()],
        )
        for one in facts.frameworks
    ]
    return (
        environment()
        .get_template("catalogue.md.jinja")
        .render(header=header("specs/"), head=HEAD, rows=linked, frameworks=frameworks)
    )


def _class_of(fused: Fused) -> str:
    """Return what a step adds up before elements can be computed, in words."""
    if any(one.barrier is Barrier.TOTAL for one in fused.passes):
        return "sums over all parameters"
    return "sums over a parameter" if fused.tensor_values or fused.small else "elementwise"
