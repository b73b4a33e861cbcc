"""Numbers that a dtype cannot hold: torch's error before anything is written, or an infinity as in a kernel."""

from __future__ import annotations

import math
from inspect import signature

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import thetac
from tests.support.comparing import assert_identical
from tests.support.every_optimizer import error_of, every_class, ours, remembering, torchs
from tests.support.runtime_helpers import assert_unchanged, give_gradients, parameters, picture
from tests.support.step_helpers import FOR_LOOP, LISTS, Options, every_list
from tests.support.strategies import functions
from thetac.codegen.backends.eager.magnitudes import ORDINARY, Magnitudes
from thetac.codegen.backends.printing.host_python import known_numbers
from thetac.codegen.ir.interpret import FLOATS
from thetac.codegen.ir.nodes import Call, Const, Expr, Ref, Rule
from thetac.codegen.passes.analysis.kinds import infer
from thetac.codegen.pipeline import Source, compile_specs
from thetac.runtime.implementations import rehearsal

DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)


@every_list
@every_dtype
def test_torch_s_error_comes_before_the_first_write(dtype: torch.dtype, options: Options) -> None:
    """Of the second group too, and in a step with a plan; torch's momentum has moved by then."""
    large = float(torch.finfo(dtype).max) * 1.5 if dtype is not torch.float64 else math.inf
    optimizer = thetac.SGD([{"params": parameters(dtype=dtype)}, {"params": parameters(dtype=dtype)}], 0.1, 0.9)
    for group in optimizer.param_groups:
        group |= options
    theirs = torch.optim.SGD(parameters(dtype=dtype), large, 0.9, **options)
    params = [param for group in optimizer.param_groups for param in group["params"]]
    give_gradients(theirs.param_groups[0]["params"], 0)
    for step in range(2):
        give_gradients(params, step)
        optimizer.param_groups[1]["lr"] = large
        if dtype is torch.float64:
            optimizer.step()
            theirs.step()
            continue
        before = picture(optimizer)
        assert error_of(optimizer.step) == error_of(theirs.step)
        assert_unchanged(before, optimizer)
        optimizer.param_groups[1]["lr"] = 0.1
        optimizer.step()


@every_class
@every_list
@every_dtype
def test_a_step_is_whole_or_not_at_all(name: str, dtype: torch.dtype, options: Options) -> None:
    """For every hyperparameter, at sizes around the limits of all dtypes; where torch's for-loop steps, so do we."""
    cls, control = ours(name), torchs(name)
    for hyperparameter in cls.schema.hyperparameters:
        if hyperparameter.name in cls.schema.fixed or hyperparameter.integer:
            continue
        for size in (7e4, 1e30, 3.395e38, 1e39, 1e300):
            value = (size,) * len(hyperparameter.elements) if hyperparameter.is_tuple else size
            change = {hyperparameter.name: value}  # in a group, where it is no argument
            in_group, arguments = ({}, change) if hyperparameter.name in signature(cls).parameters else (change, {})
            arguments = {**remembering(name), **arguments}
            before: object = None
            try:
                group = {"params": parameters(dtype=dtype), **in_group}
                optimizer = cls([group], **options, **arguments)
                give_gradients(optimizer.param_groups[0]["params"], 0)
                before = picture(optimizer)
                optimizer.step()
            except ValueError:
                assert before is None, "out of range"
            except RuntimeError as error:
                if "without overflow" not in str(error):
                    raise
                assert before is not None or cls.schema.state_at_construction
                if before is not None:
                    assert_unchanged(before, optimizer)
                assert control is None or _refuses(control, arguments, dtype), hyperparameter.name


def _refuses(cls: type[torch.optim.Optimizer], arguments: dict[str, object], dtype: torch.dtype) -> bool:
    params = parameters(dtype=dtype)
    give_gradients(params, 0)
    try:
        cls(params, **FOR_LOOP, **arguments).step()
    except RuntimeError:
        return True
    return False


GROWING = """
optimizer: Growing
summary: Numbers that no range bounds, at every place where torch refuses some.
hyperparameters:
  lr: {default: 0.5}
state:
  step: counter
  scale: {scalar: true, init: 3e38}
  m: {init: zeros}
  last: {init: zeros}
update: |
  limit = 2 ** (40 * step)
  scale = 1 + 10 * scale
  m = clamp(m + 0.5 * grad, -1e39, 1e39)
  m = maximum(m, -limit)
  m = minimum(m, limit)
  last = where(last > 0, 1e39 * lr, limit * scale)
  m = where(m > 0, m, where(m < -1e38, limit, -1e39))
  param = lerp(param, m, 1 / limit)
  param = param - lr / limit * m + limit * m * m + 0 * last
"""


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_numbers_that_grow_become_infinities_as_in_kernels(dtype: torch.dtype) -> None:
    """float64 holds them all; from the fourth step on, float32 does not."""
    cls = thetac.load(GROWING)
    optimizers = [cls(parameters(dtype=dtype), **options) for options in ({"fused": True}, *LISTS.values())]
    for step in range(6):
        for optimizer in optimizers:
            give_gradients(optimizer.param_groups[0]["params"], step)
            optimizer.step()
    kernels, *lists = optimizers
    for optimizer in lists:
        for mine, theirs in zip(optimizer.param_groups[0]["params"], kernels.param_groups[0]["params"], strict=True):
            torch.testing.assert_close(mine, theirs, equal_nan=True)
            assert_identical(optimizer.state[mine]["scale"], kernels.state[theirs]["scale"])
            assert_identical(optimizer.state[mine]["last"], kernels.state[theirs]["last"])
            torch.testing.assert_close(optimizer.state[mine]["m"], kernels.state[theirs]["m"], equal_nan=True)
    for mine, other in zip(*(optimizer.param_groups[0]["params"] for optimizer in lists), strict=True):
        assert_identical(mine.detach(), other.detach())


@pytest.mark.parametrize("size", [1e39, 7e4])
def test_bounds_on_tensors_become_infinities(size: float) -> None:
    """A differentiable step has no number that it could not do with; torch's raises after the first write."""
    results = []
    for upper in (size, math.inf):
        param = torch.ones(3, dtype=torch.float16 if size == 7e4 else torch.float32)
        param.grad = torch.ones_like(param)
        optimizer = thetac.Rprop([param], step_sizes=(1e-6, upper), differentiable=True)
        optimizer.step()
        results.append(param)
    assert torch.equal(*results)


@every_list
def test_a_scalar_state_saturates_as_torch_s_does(options: Options) -> None:
    def run(cls: type[torch.optim.Optimizer], options: Options = FOR_LOOP) -> tuple[Tensor, dict[str, Tensor]]:
        param = torch.nn.Parameter(torch.ones(3))
        param.grad = torch.zeros(3)
        optimizer = cls([param], lr=1e-2, lambd=-99.0, alpha=21.0, **options)
        optimizer.step()
        return param.detach(), optimizer.state[param]

    (param, state), (control, expected) = run(thetac.ASGD, options), run(torch.optim.ASGD)
    assert math.isinf(expected["eta"])
    assert_identical(param, control)
    assert_identical(state["eta"], expected["eta"])


@every_list
@every_class
def test_ordinary_steps_are_not_rehearsed(name: str, options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those with default arguments, an lr that a schedule changes, and hyperparameters that need not be ordinary."""
    if name == "Amos":
        pytest.skip("its default epsilon, the smallest normal number of float32, is not ordinary")
    rehearsed: list[object] = []
    monkeypatch.setattr(rehearsal.Rehearsal, "of", lambda self, *arguments: rehearsed.append(arguments))
    optimizer = ours(name)(parameters(dtype=torch.float16), **remembering(name), **options)
    for step in range(3):
        optimizer.param_groups[0]["lr"] = 0.1 / (step + 1)
        give_gradients(optimizer.param_groups[0]["params"], step)
        optimizer.step()
    assert not rehearsed


# The compiler's bounds.


def test_compiler_and_runtime_agree_on_what_is_ordinary() -> None:
    assert (ORDINARY.low, ORDINARY.high) == (rehearsal._SMALLEST, rehearsal._LARGEST)


def _rule() -> Rule:
    spec = """
optimizer: Bounded
summary: Names for expressions.
hyperparameters:
  lr: {default: 0.5}
  beta: {default: 0.5, range: "[0, 1)", doc: decay}
  eps: {default: 1e-8, range: "[0, inf)"}
state:
  step: counter
  s: {scalar: true, init: 1}
update: |
  s = s * beta + eps
  param = param - lr * s * step * grad
"""
    (one,) = compile_specs([Source("<text>", spec)])
    return one.rule


RULE = _rule()
leaves = st.one_of(
    st.sampled_from([Ref(name) for name in ("lr", "beta", "eps", "step", "s")]),
    st.sampled_from([Const(number) for number in (0, 1, 2, 0.5, 0.25, 1e-3, 3.0)]),
)


def _larger(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    one = st.tuples(st.sampled_from(["neg", *functions(1)]), st.tuples(inner))
    two = st.tuples(st.sampled_from(["add", "sub", "mul", "div", "mod", "pow", *functions(2)]), st.tuples(inner, inner))
    three = st.tuples(st.sampled_from(functions(3)), st.tuples(inner, inner, inner))
    return st.one_of(one, two, two, three).map(lambda call: Call(*call))


def _value(expression: Expr, names: dict[str, float]) -> float:
    match expression:
        case Const(value=value):
            return float(value)
        case Ref(name=name):
            return names[name]
        case Call(op=op, args=args):
            return float(FLOATS.operations[op](*(_value(argument, names) for argument in args)))


ordinary = st.one_of(
    st.floats(ORDINARY.low, ORDINARY.high), st.floats(ORDINARY.low, ORDINARY.high).map(lambda x: -x), st.just(0.0)
)


@settings(max_examples=1000, deadline=None)
@given(
    expression=st.recursive(leaves, _larger, max_leaves=8),
    lr=ordinary,
    beta=st.one_of(st.floats(0, 1, exclude_max=True), st.just(1 - 2**-53)).filter(lambda x: x == 0 or x >= 1e-30),
    eps=st.one_of(st.floats(ORDINARY.low, ORDINARY.high), st.just(0.0)),
    step=st.one_of(st.integers(1, 2000), st.just(2**53)),
    s=st.one_of(st.floats(width=32), st.sampled_from([1.0, 1 - 2**-24, 1 + 2**-23])),
)
def test_no_number_is_larger_than_its_bound(
    expression: Expr, lr: float, beta: float, eps: float, step: int, s: float
) -> None:
    """Whatever ordinary hyperparameters, counters and states are, what is neither 0 nor infinite lies in it."""
    kinds = infer(RULE)
    assert kinds["s"].is_host_number
    bound = Magnitudes(RULE, kinds, known_numbers(RULE)).of(expression)
    value = abs(_value(expression, {"lr": lr, "beta": beta, "eps": eps, "step": float(step), "s": s}))
    if value and math.isfinite(value):
        assert bound.low * 0.99 <= value <= bound.high * 1.01
