"""Legal specs that reduce: states of every shape, sums over parameters and along axes, conditions on shapes."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

from tests.support.strategies import functions
from thetac.codegen.ir.ops import OPS, Shape

# By kind: what every line may read, and what it may assign. Numbers are those per parameter, not of the host.
NAMES = {
    "element": ("param", "buffer", "e"),
    "row": ("per_row", "r"),
    "column": ("per_column", "c"),
    "number": ("whole", "n"),
}
WIDENS = {  # what a value of a kind may be made of without a reduction
    "element": ("element", "row", "column", "number"),
    "row": ("row", "number"),
    "column": ("column", "number"),
    "number": ("number",),
}
AXIS = {"row": "axis=-1", "column": "axis=-2"}
REDUCTIONS = {
    arity: tuple(name for name, op in OPS.items() if op.shape is Shape.REDUCTION and op.arity == arity)
    for arity in (1, 2)
}
# Without jumps and without poles: what is close stays close, so that implementations can be compared.
GENTLE = {1: ("abs", "tanh", "-"), 2: ("maximum", "minimum")}
SHAPE_CONDITIONS = (
    *("rank(param) > 1", "rank(param) == 1", "size(param) > 5", "size(param) <= 12 and flag"),
    *("columns(param) == 4", "rows(param) > columns(param)", "epsilon(param) < 1e-3", "not rank(param) == 2 or flag"),
)
CONDITIONS = (*SHAPE_CONDITIONS, "flag", "step > 2", "step > rank(param)", 'mode == "fast"', "first(buffer)", "h > 0")
HOST = ("lr", "beta", "h", "weight", "rank(param)", "size(param) / 8", "columns(param) / rows(param)", "0.5", "2", "1")
GENTLE_HOST = ("lr", "beta", "h", "rank(param) / 4", "1 / (1 + size(param))", "0.5", "0.25", "columns(param) / 64")


@dataclass(frozen=True, slots=True)
class _Lines:
    """Draw statements. `gentle` ones are continuous and keep values within some units."""

    gentle: bool
    of_matrix: bool = False  # the view of the spec

    def host(self) -> st.SearchStrategy[str]:
        return st.sampled_from(GENTLE_HOST if self.gentle else HOST)

    def value(self, kind: str, depth: int, *, axes: bool) -> st.SearchStrategy[str]:
        """Values of a kind exactly, from values of this kind and those that it takes in."""
        names = (*NAMES[kind], "grad") if kind == "element" else NAMES[kind]
        leaf = st.sampled_from((*names, "r * c", "per_row * per_column") if kind == "element" and axes else names)
        if depth == 0:
            return leaf
        inner = self.value(kind, depth - 1, axes=axes)
        wider = [one for one in WIDENS[kind] if axes or one in ("element", "number")]
        other = st.sampled_from(wider).flatmap(lambda one: self.value(one, depth - 1, axes=axes))
        either = st.one_of(other, self.host())
        made = [leaf, st.tuples(inner, st.sampled_from("+-*"), either).map(lambda t: f"({t[0]} {t[1]} {t[2]})")]
        made += [self.reduced(kind, depth, axes=axes)] * 2 if kind != "element" else []
        made += [inner.map(lambda row: f"mean_of_blocks({row}, parts)")] if kind == "row" and self.of_matrix else []
        made += self._gently(inner, either) if self.gentle else self._wildly(inner, either)
        return st.one_of(made)

    def _gently(self, inner: st.SearchStrategy[str], either: st.SearchStrategy[str]) -> list[st.SearchStrategy[str]]:
        return [
            st.tuples(st.sampled_from(GENTLE[1]), inner).map(lambda t: f"{t[0]}({t[1]})"),
            st.tuples(st.sampled_from(GENTLE[2]), inner, either).map(lambda t: f"{t[0]}({t[1]}, {t[2]})"),
            st.tuples(inner, either).map(lambda t: f"{t[0]} / (1 + abs({t[1]}))"),
            st.tuples(inner, either).map(lambda t: f"lerp({t[0]}, {t[1]}, beta)"),
            st.tuples(st.sampled_from(("flag", "step > 2", "size(param) > 5")), inner, either).map(
                lambda t: f"where({t[0]}, {t[1]}, {t[2]})"
            ),
        ]

    def _wildly(self, inner: st.SearchStrategy[str], either: st.SearchStrategy[str]) -> list[st.SearchStrategy[str]]:
        mask = st.tuples(inner, st.sampled_from((">", "<=", "==")), either).map(" ".join)
        return [
            st.tuples(st.sampled_from(functions(1, of_elements=True)), inner).map(lambda t: f"{t[0]}({t[1]})"),
            st.tuples(st.sampled_from(functions(2, of_elements=True)), inner, either).map(
                lambda t: f"{t[0]}({t[1]}, {t[2]})"
            ),
            st.tuples(inner, st.sampled_from(("2", "3", "0.5"))).map(lambda t: f"({t[0]}) ** {t[1]}"),
            st.tuples(inner, either).map(lambda t: f"({t[0]} / {t[1]})"),
            st.tuples(mask, inner, either).map(lambda t: f"where({t[0]}, {t[1]}, {t[2]})"),
            st.tuples(st.sampled_from(CONDITIONS), inner, either).map(lambda t: f"where({t[0]}, {t[1]}, {t[2]})"),
        ]

    def reduced(self, kind: str, depth: int, *, axes: bool) -> st.SearchStrategy[str]:
        """A reduction whose result is of this kind: to a row or column along an axis, to a number of anything."""
        kinds = ("element", "row", "column") if axes else ("element",)
        of = st.just("element") if kind in AXIS else st.sampled_from(kinds)
        ending = f", {AXIS[kind]}" if kind in AXIS else ""
        one = of.flatmap(lambda inner: self.value(inner, depth - 1, axes=axes))
        two = of.flatmap(lambda inner: st.tuples(*[self.value(inner, depth - 1, axes=axes)] * 2))
        return st.one_of(
            st.tuples(st.sampled_from(REDUCTIONS[1]), one).map(lambda t: f"{t[0]}({t[1]}{ending})"),
            st.tuples(st.sampled_from(REDUCTIONS[2]), two).map(lambda t: f"{t[0]}({', '.join(t[1])}{ending})"),
        )

    def lines(self, depth: int, *, axes: bool) -> st.SearchStrategy[list[str]]:
        """Assignments, and branches within each other to a depth; with `axes`, of rows and columns, too."""
        kinds = tuple(NAMES) if axes else ("element", "number")
        simple = st.sampled_from(kinds).flatmap(lambda kind: self.assignment(kind, axes=axes)).map(lambda one: [one])
        if depth == 0:
            return st.lists(simple, min_size=1, max_size=3).map(_joined)
        inner = self.lines(depth - 1, axes=axes)
        condition = st.sampled_from(CONDITIONS)
        branch = st.one_of(
            st.tuples(condition, inner).map(lambda t: [f"if {t[0]}:", *indented(t[1])]),
            st.tuples(condition, inner, inner).map(
                lambda t: [f"if {t[0]}:", *indented(t[1]), "else:", *indented(t[2])]
            ),
        )
        return st.lists(st.one_of(simple, simple, branch), min_size=1, max_size=3).map(_joined)

    def assignment(self, kind: str, *, axes: bool) -> st.SearchStrategy[str]:
        made = self.value(kind, 2, axes=axes)
        made = made.map(lambda value: f"tanh({value})") if self.gentle else made
        return st.tuples(st.sampled_from(NAMES[kind]), made).map(lambda t: f"{t[0]} = {t[1]}")


def _joined(blocks: list[list[str]]) -> list[str]:
    return [line for block in blocks for line in block]


def indented(lines: list[str]) -> list[str]:
    return [f"  {line}" for line in lines]


VECTORS = ("r = sum(e, axis=-1)", "c = mean(e, axis=-2)", "per_row = lerp(per_row, r, beta)")
BLOCKS = ("r = mean_of_blocks(r, parts)", "per_row = per_row * beta + r * parts / 8")
VECTORS_LATER = ("per_column = per_column * beta + c", "e = e + r * per_column")


@st.composite
def reducing_specs(draw: st.DrawFn, *, gentle: bool = False) -> str:
    """A legal optimizer, called Reducing, whose update mixes elements, rows, columns and numbers of the parameter.

    Half of them are for matrices and batches of matrices alone; the others ask for `rank(param) > 1` first. Gentle ones
    are continuous, and no value grows.
    """
    of_matrix, only_matrices = draw(st.booleans()), draw(st.booleans())
    lines = _Lines(gentle, of_matrix)
    before, after = draw(lines.lines(1, axes=False)), draw(lines.lines(1, axes=False))
    shaped = [*VECTORS, *(BLOCKS if of_matrix else ()), *draw(lines.lines(2, axes=True)), *VECTORS_LATER]
    body = [*before, *(shaped if only_matrices else ["if rank(param) > 1:", *indented(shaped)]), *after]
    if not only_matrices and draw(st.booleans()):
        body = [*before, "if rank(param) > 1:", *indented(shaped), "else:", *indented(["extra = extra + e"]), *after]
        extra = "\n  extra: {init: zeros, when: not rank(param) > 1}"
    else:
        extra = ""
    when = "" if only_matrices else ", when: rank(param) > 1"
    require = '\nrequire:\n  rank(param) > 1: "no matrix"' if only_matrices else ""
    whole = draw(st.sampled_from(("", ", dtype: float64")))
    starts = [draw(st.sampled_from(("zeros", "lr"))) for _ in range(3)]
    decay = draw(st.sampled_from(("none", "l2", "decoupled", "{flag: decoupled_after, else: cautious}")))
    half = draw(st.sampled_from(("native", "float32")))
    view = "view: matrix\n" if of_matrix else ""
    parts = '\n  parts: {default: 2, integer: true, range: "[1, inf)", doc: how many blocks}' if of_matrix else ""
    return f"""\
optimizer: Reducing
summary: An arbitrary legal program that reduces.
hyperparameters:
  lr: {{default: 1e-1}}
  beta: {{default: 0.9, range: "[0, 1)", doc: decay}}
  weight_decay: {{default: 0.1}}
  flag: {{default: false, doc: a flag}}
  mode: {{default: slow, choices: [slow, fast], doc: a choice}}
  least: {{default: none, none: epsilon(param), doc: a number or None}}{parts}{require}
complex: unsupported
{view}half_precision: {half}
state:
  step: counter
  buffer: {{init: {starts[0]}}}
  weight: {{scalar: true, init: 1}}
  whole: {{init: {starts[1]}, shape: number{whole}}}
  per_row: {{init: {starts[2]}, shape: rows{when}}}
  per_column: {{init: zeros, shape: columns{when}}}{extra}
weight_decay: {decay}
update: |
  e = grad{" + weight_decay * param" if decay == "none" else ""}
  h = lr + beta * least
  n = norm(grad) * 0.1
{"".join(f"  {line}" + chr(10) for line in body)}\
  if mode == "fast" and (flag or size(param) > 5):
    n = n + max(abs(e)) / columns(param)
  weight = weight * beta + h
  whole = beta * whole + n / (1 + abs(n))
  buffer = beta * buffer + e / (1 + rms(e))
  param = param - lr * buffer * weight / (1 + abs(whole))
"""
