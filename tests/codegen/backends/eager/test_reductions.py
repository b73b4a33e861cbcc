"""Reductions in the for-loop, foreach and the rule on tensors: what each computes, and what it costs."""

from __future__ import annotations

import re
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from random import Random

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.references.elements import ELEMENTS
from tests.support.every_optimizer import examples
from tests.support.generated_calls import call
from tests.support.host_reads import no_host_reads
from tests.support.shaped_bodies import shaped_body, shaped_rule
from tests.support.views import shape_of_state
from thetac.codegen.backends.eager import foreach, forloop
from thetac.codegen.backends.printing.arguments import list_names
from thetac.codegen.backends.printing.layout import lay_out
from thetac.codegen.emit import environment
from thetac.codegen.errors import Diagnostics, SpecError
from thetac.codegen.frontend.load import load_spec
from thetac.codegen.frontend.lower import lower_specs
from thetac.codegen.ir.interpret import exact, interpret
from thetac.codegen.ir.listing import listing
from thetac.codegen.ir.nodes import ComplexMode, Rule, StateKind
from thetac.codegen.passes import features
from thetac.codegen.passes.expand import expand
from thetac.codegen.passes.fixed_flags import decide_fixed_flags
from thetac.codegen.passes.lift import lift
from thetac.codegen.pipeline import Source, front_end

HEADER = """
optimizer: Reducing
summary: A rule with reductions.
hyperparameters:
  lr: {default: 0.1}
  flag: {default: true, doc: a flag}
state:
  step: counter
"""
STATES = {
    "u": "{init: zeros}",
    "number": "{init: zeros, shape: number}",
    "row": "{init: zeros, shape: rows}",
    "column": "{init: zeros, shape: columns}",
}

# Updates of parameters of any shape.
WHOLE = {
    "norm": "n = norm(param)\nparam = param - lr * n * grad",
    "ratio": (
        "u = lerp(u, grad, 0.3)\nd = u / (1 - 0.9 ** step) + 0.1 * param\n"
        "param = param - lr * where(norm(param) > 0 and norm(d) > 0, norm(param) / norm(d), 1) * d"
    ),
    "every reduction": (
        "a = sum(grad)\nb = mean(grad * param)\nc = max(abs(grad)) - min(param)\nd = rms(grad) + dot(grad, param)\n"
        "u = u + where(a > b, d, c) * grad\nparam = param - lr * u"
    ),
    "old and new": "n = norm(param)\nparam = 0.5 * param\nm = norm(param)\nparam = param - lr * (n - m) * grad",
    "read in a branch": (
        "n = norm(grad)\nif step > 1:\n  n = norm(u) + n\n  u = u / (n + 1)\nelse:\n  u = n * grad\n"
        "if flag:\n  u = where(n > 2, u, grad)\nparam = param - lr * u"
    ),
    "of masks": "share = mean(where(grad * param > 0, 1, 0))\nparam = param - lr * grad / maximum(share, 0.001)",
    "of a reduced": ("m = mean(grad)\nu = grad - m\nparam = param - lr * u / (norm(u) + 1) - lr * mean(abs(u)) * grad"),
    "bounds": "s = max(abs(grad)) / 2\nu = clamp(grad, -s, s)\nparam = param - lr * minimum(u, s)",
    "number": "number = 0.9 * number + 0.1 * norm(grad) ** 2\nparam = param - lr * grad / (sqrt(number) + 1)",
    "number alone": "number = norm(grad)\nu = u + number * grad\nparam = param - lr * u",
}
# Updates of parameters that have rows and columns.
SHAPED = {
    "rows": "row = mean(grad * grad, axis=-1)\nparam = param - lr * grad / (row + 1)",
    "columns": "column = lerp(column, max(abs(grad), axis=-2), 0.5)\nparam = param - lr * grad * column",
    "factored": (
        "row = lerp(row, norm(grad, axis=-1) ** 2 + 0.1, 0.4)\n"
        "column = lerp(column, mean(grad * grad, axis=-2) + 0.1, 0.4)\n"
        "e = row * column / maximum(mean(row, axis=-2), 0.001)\nd = grad / sqrt(e)\n"
        "param = param - lr / maximum(1, rms(d)) * d"
    ),
    "wider and wider": (
        "row = row + sum(grad, axis=-1)\nw = row / 2 - mean(row, axis=-2) * 3 * column\nu = row - w\n"
        "column = 0.5 * column + min(param, axis=-2)\n"
        "param = param - lr * (row * 2 + u) + where(flag, column, 1) * grad"
    ),
    "chosen": (
        "t = where(flag, row, column)\nu = where(row > 0.1, t + grad, param)\nrow = row + mean(u, axis=-1)\n"
        "column = where(flag, column + sum(u, axis=-2), 0)\nparam = param - lr * (u + where(norm(u) > 1, row, 2))"
    ),
}
SHAPES: Mapping[str, Sequence[tuple[int, ...]]] = {
    "matrices": [(3, 4), (5, 2), (1, 6), (4, 1)],
    "batches": [(2, 3, 4), (1, 5, 2), (2, 2, 3)],
    "convolutions": [(3, 2, 2, 2), (1, 4, 1, 3), (2, 1, 1, 1, 2)],
    "vectors": [(7,), (1,), (600,)],
    "numbers": [(), ()],
    "nothing": [(0,), (0,)],
    "no rows": [(0, 3), (2, 0, 4)],
    "no columns": [(3, 0), (2, 1, 0), (2, 0, 3)],
}


def spec(update: str, mode: str = "") -> str:
    """A spec around an update, with those of the states that it assigns."""
    states = "".join(f"  {name}: {entry}\n" for name, entry in STATES.items() if re.search(rf"\b{name} = ", update))
    body = "".join(f"  {line}\n" for line in update.split("\n"))
    return f"{HEADER}{states}{mode}update: |\n{body}"


@cache
def compiled(update: str, mode: str = "") -> Rule:
    """The rule as backends get it. Whether a parameter has the axes that it names is not checked."""
    diagnostics = Diagnostics()
    (written,) = lower_specs([load_spec(spec(update, mode), "<text>", diagnostics)], diagnostics, [])
    diagnostics.raise_any()
    return lift(features.apply(expand(decide_fixed_flags(written))))


@cache
def module(rule: Rule, how: str) -> types.ModuleType:
    """The generated module of an implementation."""
    made = types.ModuleType("made")
    exec(compile((foreach if how == "foreach" else forloop).render(rule, environment()), "made", "exec"), made.__dict__)
    return made


@dataclass
class Problem:
    """Parameters of one rule with their states, and their gradients step by step."""

    rule: Rule
    params: list[Tensor]
    grads: list[list[Tensor]]
    states: dict[str, list[Tensor]]

    @property
    def written(self) -> list[Tensor]:
        """All that a step writes."""
        return [*self.params, *(tensor for tensors in self.states.values() for tensor in tensors)]


def problem(rule: Rule, shapes: Sequence[tuple[int, ...]], dtype: torch.dtype = torch.float64) -> Problem:
    generator = torch.Generator().manual_seed(0)

    def draw(shape: tuple[int, ...]) -> Tensor:
        return torch.randn(shape, dtype=torch.float64, generator=generator).to(dtype)

    states: dict[str, list[Tensor]] = {}
    for state in rule.states:
        match state.kind:
            case StateKind.COUNTER:
                states[state.name] = [torch.tensor(0.0, dtype=torch.float64) for _ in shapes]
            case StateKind.NUMBER:
                states[state.name] = [torch.zeros((), dtype=dtype) for _ in shapes]
            case _:
                states[state.name] = [torch.zeros(shape_of_state(state, shape), dtype=dtype) for shape in shapes]
    params = [draw(shape) for shape in shapes]
    return Problem(rule, params, [[draw(shape) for shape in shapes] for _ in range(3)], states)


def run(done: Problem, how: str, *, flag: bool = True) -> list[Tensor]:
    """Run the steps, and return what they wrote."""
    made = module(done.rule, "foreach" if how == "foreach" else "for-loop")
    lists = list_names(done.rule)
    values = {"lr": 0.1, "flag": flag, "maximize": False}
    options = {"capturable": how == "capturable", "differentiable": how == "differentiable"}
    for grads in done.grads:
        states = {lists[name]: tensors for name, tensors in done.states.items()}
        if how in ("for-loop", "foreach"):
            call(made.step, done.params, grads, **states, **values)
        else:
            call(made.step_on_tensors, done.params, grads, **states, **values, **options)
    return done.written


def defined(done: Problem, *, flag: bool = True) -> list[Tensor]:
    """What the interpreter computes on NumPy arrays, with sums rounded once."""
    numbers = {state.name for state in done.rule.states if state.kind is not StateKind.TENSOR}
    params, states = list[object](), {name: list[object]() for name in done.states}
    for index, tensor in enumerate(done.params):
        param, state = tensor.numpy(), {name: tensors[index].numpy() for name, tensors in done.states.items()}
        state = {name: float(value) if name in numbers else value for name, value in state.items()}
        for grads in done.grads:
            with np.errstate(all="ignore"):
                grad = grads[index].numpy()
                step = interpret(done.rule, {"flag": flag}, state, param, grad, arithmetic=ELEMENTS, store=exact)
            param, state = step.param, step.state
        params.append(param)
        for name, value in state.items():
            states[name].append(value)
    found = [*params, *(value for values in states.values() for value in values)]
    return [torch.as_tensor(np.asarray(value, dtype=np.float64)) for value in found]


WITH_AXES = [shapes for shapes, (first, *_) in SHAPES.items() if len(first) > 1]
CASES = [(name, update, shapes, "") for name, update in WHOLE.items() for shapes in SHAPES]
CASES += [(name, update, shapes, "") for name, update in SHAPED.items() for shapes in WITH_AXES]
CASES += [(f"{name} of the matrix", update, s, "view: matrix\n") for name, update in SHAPED.items() for s in WITH_AXES]
NAMED = [pytest.param(*case, id=f"{name}, {case[1]}") for name, *case in CASES]


@pytest.mark.parametrize("flag", [True, False])
@pytest.mark.parametrize(
    ("update", "shapes", "view"), [pytest.param(*case, id=f"{n}, {case[1]}") for n, *case in CASES]
)
def test_every_implementation_computes_what_the_interpreter_says(
    update: str, shapes: str, view: str, flag: bool
) -> None:
    rule = compiled(update, view)
    expected = defined(problem(rule, SHAPES[shapes]), flag=flag)
    for how in ("for-loop", "foreach", "capturable", "differentiable"):
        for got, want in zip(run(problem(rule, SHAPES[shapes]), how, flag=flag), expected, strict=True):
            assert got.shape == want.shape, how
            close = torch.allclose(got.double(), want, rtol=1e-12, atol=1e-12, equal_nan=True)
            assert close, f"{how}: {got.tolist()} for {want.tolist()}"
    for dtype in (torch.float64, torch.float32, torch.bfloat16, torch.float16):
        plain = run(problem(rule, SHAPES[shapes], dtype), "for-loop", flag=flag)
        for got, want in zip(run(problem(rule, SHAPES[shapes], dtype), "foreach", flag=flag), plain, strict=True):
            assert torch.equal(got.nan_to_num(7), want.nan_to_num(7)), f"foreach differs from the for-loop in {dtype}"


@settings(deadline=None, max_examples=examples(60), suppress_health_check=[HealthCheck.too_slow])
@given(st.randoms(use_true_random=False), st.integers(0, 2), st.booleans())
def test_any_rule_is_computed_as_the_interpreter_says(random: Random, depth: int, flag: bool) -> None:
    """What may be overwritten, what is read when, which sides of a branch: bodies that are made to hit it."""
    rule = lift(features.apply(expand(replace(shaped_rule(), body=shaped_body(random, depth)))))
    expected = defined(problem(rule, SHAPES["matrices"]), flag=flag)
    text = "\n".join(listing(rule.body))
    for how in ("for-loop", "capturable", "differentiable"):
        for got, want in zip(run(problem(rule, SHAPES["matrices"]), how, flag=flag), expected, strict=True):
            assert torch.allclose(got.double(), want, rtol=1e-9, atol=1e-9), f"{how} of\n{text}"
    plain = run(problem(rule, SHAPES["matrices"], torch.float32), "for-loop", flag=flag)
    listed = run(problem(rule, SHAPES["matrices"], torch.float32), "foreach", flag=flag)
    for got, want in zip(listed, plain, strict=True):
        assert torch.equal(got.nan_to_num(7), want.nan_to_num(7)), f"foreach of\n{text}"


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128], ids=str)
@pytest.mark.parametrize("mode", ["pairs", "pairs_before_decay", "native"])
def test_a_norm_of_complex_numbers_is_that_of_their_pairs(mode: str, dtype: torch.dtype) -> None:
    update = "n = norm(grad)\nm = norm(param)\nparam = param - lr * n / (m + 1) * grad"
    rule = compiled(update, f"complex: {mode}\n")
    for how in ("for-loop", "foreach", "capturable", "differentiable"):
        done = problem(rule, [(3,), (4, 5)])
        done.params = [param.to(dtype) * (1 + 2j) for param in done.params]
        done.grads = [[grad.to(dtype) * (2 - 1j) for grad in grads] for grads in done.grads]
        expected = [param.numpy().astype(complex) for param in done.params]
        for grads in done.grads:
            for index, grad in enumerate(grad.numpy() for grad in grads):
                factor = 0.1 * np.linalg.norm(grad.ravel()) / (np.linalg.norm(expected[index].ravel()) + 1)
                expected[index] = expected[index] - factor * grad
        run(done, how)
        for got, want in zip(done.params, expected, strict=True):
            np.testing.assert_allclose(got.numpy(), want, rtol=1e-5 if dtype is torch.complex64 else 1e-12)


OF_PAIRS = """\
optimizer: OfPairs
summary: Made for a test.
references: [none]
hyperparameters:
  lr: {{default: 0.1}}
require:
  rank(param) > 1: "no matrix"
{mode}update: |
  n = {value}
  param = param - lr * n * grad
"""


@pytest.mark.parametrize("value", ["mean(grad)", "rms(grad)", "max(grad)", "min(grad)", "norm(grad, axis=-1)"])
@pytest.mark.parametrize("mode", ["", "complex: pairs\n"])
def test_what_has_no_meaning_of_pairs_has_to_refuse_complex_parameters(value: str, mode: str) -> None:
    """A mean counts numbers, an order is of numbers, and an axis of pairs is the pair."""

    def mode_of(value: str, mode: str) -> ComplexMode:
        (written,) = front_end([Source("pairs.yaml", OF_PAIRS.format(mode=mode, value=value))])
        return written.complex_mode

    with pytest.raises(SpecError, match="has no meaning of complex parameters"):
        mode_of(value, mode)
    assert mode_of(value, "complex: unsupported\n") is ComplexMode.UNSUPPORTED
    assert mode_of("sum(grad * grad)", mode) is ComplexMode.PAIRS


def lines_of(text: str, function: str = "step") -> list[str]:
    """The lines of a generated function, without comments."""
    body = lay_out(text).partition(f"def {function}(")[2].partition("\ndef ")[0].partition('"""\n')[2]
    return [line.strip() for line in body.split("\n") if line.strip() and not line.strip().startswith("#")]


NAMED = """\
r = norm(grad, axis=-1)
row = lerp(row, r ** 2 / 3, 0.4)
m = mean(row, axis=-2)
e = row * column / maximum(m, 0.001)
s = sum(e, axis=-2)
column = column + s
n = norm(e)
param = param - lr / maximum(1, n) * e"""


def test_the_for_loop_computes_as_torch_does() -> None:
    """Reductions are read at once; nothing is overwritten by what has more elements."""
    assert lines_of(forloop.render(compiled(NAMED), environment()))[-8:] == [
        "r = grad.norm(dim=-1, keepdim=True)",
        "row.lerp_(r.mul(r).div_(3), 0.4)",
        "m = row.mean(-2, keepdim=True)",
        "e = row.mul(column).div_(m.clamp(min=0.001))",
        "s = e.sum(-2, keepdim=True)",
        "column.add_(s)",
        "n = e.norm().item()",
        "param.add_(e, alpha=fitting(-lr / scalar_math.maximum(1, n), param.dtype))",
    ]


def test_foreach_reads_numbers_together_before_the_first_is_needed() -> None:
    update = "a = norm(param)\nb = sum(grad)\nparam = param + 0.5 * grad\nc = a * b\nparam = param - lr * c * grad"
    assert lines_of(foreach.render(compiled(update), environment()))[-13:] == [
        "a_tensors = torch._foreach_norm(params)",
        "b_tensors = [",
        "grad.sum()",
        "for grad in grads",
        "]",
        "torch._foreach_add_(params, grads, alpha=0.5)",
        "as_, bs = read_numbers(a_tensors, b_tensors)",
        "cs = [",
        "a * b",
        "for a, b in zip(as_, bs, strict=True)",
        "]",
        "for param, grad, c in zip(params, grads, cs, strict=True):",
        "param.add_(grad, alpha=fitting(-lr * c, params[0].dtype))",
    ]


@pytest.mark.parametrize(("update", "reads"), [(WHOLE["ratio"], 1), (WHOLE["every reduction"], 2)])
def test_foreach_waits_for_the_device_once_and_not_for_each_parameter(
    update: str, reads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = problem(compiled(update), SHAPES["vectors"])
    module(done.rule, "foreach")
    waits: list[str] = []
    for name in ("item", "tolist"):
        original = getattr(Tensor, name)
        monkeypatch.setattr(Tensor, name, lambda tensor, read=original: waits.append("") or read(tensor))
    run(done, "foreach")
    counter = 1 if "step" in update else 0
    assert len(waits) == (reads + counter) * len(done.grads)


def test_nothing_is_read_if_capturable() -> None:
    for update in (*WHOLE.values(), *SHAPED.values()):
        done = problem(compiled(update), SHAPES["matrices"])
        with no_host_reads():
            run(done, "capturable")


@pytest.mark.parametrize("update", [WHOLE["ratio"], WHOLE["of a reduced"], SHAPED["factored"]])
def test_gradients_flow_through_reductions(update: str) -> None:
    """The derivative of a step, by autograd and by finite differences."""
    done = problem(compiled(update), [(3, 4)])
    made, lists = module(done.rule, "for-loop"), list_names(done.rule)
    states = {lists[name]: tensors for name, tensors in done.states.items()}

    def step(param: Tensor, grad: Tensor) -> Tensor:
        fresh = {name: [tensor.clone() for tensor in tensors] for name, tensors in states.items()}
        values = {"lr": 0.1, "flag": True, "maximize": False, "capturable": False, "differentiable": True}
        result = param.clone()
        call(made.step_on_tensors, [result], [grad], **fresh, **values)
        return result

    inputs = [tensor.clone().requires_grad_() for tensor in (done.params[0], done.grads[0][0])]
    assert torch.autograd.gradcheck(step, inputs)
