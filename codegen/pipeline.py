"""Run the whole compiler: source text to Rule, passes, one file per backend.

In: spec texts. Out: for each optimizer its rules at every stage and the files of its package, as text. The
diagnostics of all specs are raised together. Must not write files: emit.py does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from thetac.codegen.backends.eager import direction, foreach, forloop
from thetac.codegen.backends.kernels import cpp, scalar_program, staged_scalars, triton
from thetac.codegen.backends.package import optimizer_class
from thetac.codegen.backends.package.init_files import package_init, piece_init
from thetac.codegen.backends.printing.escaping import module_name
from thetac.codegen.backends.printing.layout import lay_out
from thetac.codegen.emit import environment
from thetac.codegen.errors import NOWHERE, Diagnostic, Diagnostics
from thetac.codegen.frontend.load import load_spec
from thetac.codegen.frontend.lower import lower_specs
from thetac.codegen.ir.nodes import Rule
from thetac.codegen.ir.totals import has_totals
from thetac.codegen.ir.verify import verify, verify_fused
from thetac.codegen.passes import features
from thetac.codegen.passes.analysis.kinds import infer
from thetac.codegen.passes.check.advice import advice
from thetac.codegen.passes.check.rule import check_all
from thetac.codegen.passes.expand import expand
from thetac.codegen.passes.fixed_flags import decide_fixed_flags
from thetac.codegen.passes.group_values import resolve
from thetac.codegen.passes.hoist import Fused, hoist
from thetac.codegen.passes.kernel_form import kernel_form
from thetac.codegen.passes.lift import lift
from thetac.codegen.passes.phases import phases
from thetac.codegen.passes.pieces import rule_of
from thetac.codegen.passes.reachable import reachable
from thetac.codegen.passes.totals import name_totals
from thetac.drivers import DRIVERS, PIECES

MOST_NUMBERS = 500  # in the scalar row of a kernel: the time to compile it grows with their square

# file name -> its text, from the rule as written, the rule after features, and the latter split for fused kernels
BACKENDS: Mapping[str, Callable[[Rule, Rule, Fused], str]] = {
    "__init__.py": lambda written, rule, fused: package_init(written, environment()),
    "optimizer.py": lambda written, rule, fused: optimizer_class.render(written, rule, fused, environment()),
    "forloop.py": lambda written, rule, fused: forloop.render(rule, environment()),
    "foreach.py": lambda written, rule, fused: foreach.render(rule, environment()),
    "scalars.py": lambda written, rule, fused: _scalars(rule, fused),  # one program, or one in stages
    "triton_kernels.py": lambda written, rule, fused: triton.render(rule, fused, environment()),
    "kernels.cpp": lambda written, rule, fused: cpp.render(rule, fused, environment()),
}


IMPLEMENTATIONS = tuple(name for name in BACKENDS if name not in ("__init__.py", "optimizer.py"))


@dataclass(frozen=True, slots=True)
class Source:
    """The text of one spec, and its path as its author writes it."""

    path: str
    text: str
    name: str = ""  # what generated files call it, the same on every machine; empty: the file's own name


@dataclass(frozen=True, slots=True)
class Compiled:
    """One optimizer at every stage."""

    written: Rule  # what the spec says
    rule: Rule  # with the features in its body
    fused: Fused  # split into host scalars and element code
    module: str  # the name of its package, "adamw"
    files: Mapping[str, str]  # relative name -> text; those of its pieces in folders of their own
    warnings: tuple[Diagnostic, ...] = ()  # what the author probably did not mean
    pieces: tuple[Compiled, ...] = ()  # its module is the piece's name

    @property
    def class_name(self) -> str:
        return self.written.name


Parents = Callable[[], Sequence[Source]]  # returns specs that may be extended; called only if one is


def front_end(sources: Sequence[Source], parents: Parents = tuple) -> tuple[Rule, ...]:
    """Return the checked rules of all specs, in the order given.

    Args:
        sources: The specs.
        parents: Returns further specs that they may extend. Called only if one is extended.

    Raises:
        SpecError: With the diagnostics of all specs.
    """
    diagnostics = Diagnostics()
    specs = [load_spec(source.text, source.path, diagnostics) for source in sources]
    names = {spec.name for spec in specs if spec is not None}
    strangers = any(spec.extends is not None and spec.extends.text not in names for spec in specs if spec is not None)
    # A parent's diagnostics are raised where it is compiled itself.
    families = [load_spec(parent.text, parent.path, Diagnostics()) for parent in parents()] if strangers else []
    rules = lower_specs(specs, diagnostics, families)
    check_all(rules, diagnostics)
    diagnostics.raise_any()
    return tuple(replace(rule, source=source.name or rule.source) for rule, source in zip(rules, sources, strict=True))


def compile_specs(sources: Sequence[Source], parents: Parents = tuple) -> tuple[Compiled, ...]:
    """Return every spec at every stage, in the order given.

    Args:
        sources: The specs.
        parents: Returns further specs that they may extend. Called only if one is extended.

    Raises:
        SpecError: With the diagnostics of all specs.
    """
    lowered = [(written, *lower(written)) for written in front_end(sources, parents)]
    diagnostics = Diagnostics()
    for written, _, fused in lowered:
        _check_row(written, fused, diagnostics)
    diagnostics.raise_any()
    return tuple(_render(*one) for one in lowered)


def lower(written: Rule) -> tuple[Rule, Fused]:
    """Return a checked rule with the features in its body, and that rule split for fused kernels."""
    rule = with_features(written)
    in_kernels = kernel_form(reachable(rule))
    small = {state.name: state.value_kind.dims for state in rule.small_states}
    fused = phases(hoist(in_kernels), infer(in_kernels), small)
    verify_fused(fused, rule)
    return rule, fused


def with_features(written: Rule) -> Rule:
    """Return a checked rule with the features in its body."""
    verify(written, "checked")
    decided = decide_fixed_flags(written)
    verify(decided, "decided")
    rule = lift(name_totals(resolve(features.apply(expand(decided)))))
    verify(rule, "features")
    return rule


def _check_row(written: Rule, fused: Fused, diagnostics: Diagnostics) -> None:
    """Note an error if kernels would read more numbers than a compiler can handle in seconds."""
    if len(fused.row) > MOST_NUMBERS:
        location = fused.row[MOST_NUMBERS].definition.location
        cause = f"elements are computed from more than {MOST_NUMBERS} different numbers"
        diagnostics.add(written.location if location is NOWHERE else location, cause, "compute fewer of them")


def _scalars(rule: Rule, fused: Fused) -> str:
    render = staged_scalars.render if has_totals(rule) else scalar_program.render
    return render(rule, fused, environment())


def _render(written: Rule, rule: Rule, fused: Fused) -> Compiled:
    """Return the optimizer with the file of every backend, and those of its pieces."""
    replaced = bool(written.driver) and DRIVERS[written.driver].replaces_update
    files = {
        name: render(written, rule, fused)
        for name, render in BACKENDS.items()
        if not replaced or name not in IMPLEMENTATIONS
    }
    pieces = tuple(_render_piece(piece.name, rule_of(written, piece), fused) for piece in written.pieces)
    return Compiled(
        written,
        rule,
        fused,
        module_name(written.name),
        {**_laid_out(files), **{f"{one.module}/{name}": text for one in pieces for name, text in one.files.items()}},
        advice(written),
        pieces,
    )


def _render_piece(name: str, written: Rule, of_rule: Fused) -> Compiled:
    """Return a piece with the file of every backend; a flat one has torch operations on one vector alone."""
    if PIECES[name].is_flat:
        rule = with_features(written)
        text = direction.render(rule, name, forloop.FUNCTIONS, environment())
        files = {"__init__.py": piece_init(name, written, environment()), "forloop.py": text}
        return Compiled(written, rule, of_rule, name, _laid_out(files))
    rule, fused = lower(written)
    # What runs without gradients is rare: the for-loop does it.
    implementations = IMPLEMENTATIONS if PIECES[name].takes_grad else ("forloop.py",)
    files = {
        "__init__.py": piece_init(name, written, environment()),
        "schema.py": optimizer_class.render_piece(name, written, rule, fused, environment()),
        **{file: BACKENDS[file](written, rule, fused) for file in implementations},
    }
    return Compiled(written, rule, fused, name, _laid_out(files))


def _laid_out(files: Mapping[str, str]) -> dict[str, str]:
    return {name: lay_out(text) if name.endswith(".py") else text for name, text in files.items()}
