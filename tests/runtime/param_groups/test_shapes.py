"""Rules that read the shapes of parameters: every implementation computes what the interpreter says of each shape."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import thetac
from tests.references.elements import ELEMENTS
from tests.support.generated_calls import call
from tests.support.runtime_helpers import run_kernels_of
from thetac.codegen.ir.interpret import interpret
from thetac.codegen.pipeline import Source, compile_specs
from thetac.runtime.tensor_facts.shape_numbers import shape_numbers_of
from thetac.shape_numbers import shape_numbers

SHAPELY = """
optimizer: Shapely
summary: A rule that differs between shapes.
hyperparameters:
  lr: {default: 1e-2, tensor: true}
  beta: {default: 0.9, doc: decay}
  fancy: {default: false, doc: vectors have state of their own}
require:
  rank(param) < 4 or fancy: "more than 3 axes: {shape}, the parameters {indices}, the first is {index}"
state:
  step: counter
  late: {counter: true, when: rank(param) == 0}
  buffer: {init: zeros, when: rank(param) > 1}
  vector: {init: zeros, when: rank(param) <= 1 and fancy}
  factor: {scalar: true, init: 1, when: size(param) > 4}
update: |
  direction = grad / columns(param)
  if rank(param) > 1:
    buffer = beta * buffer + grad * rows(param) * (1 - beta ** step)
    direction = buffer
  elif fancy:
    vector = beta * vector + grad
    direction = vector
  if size(param) > 4:
    factor = factor * beta + 1 / size(param)
    direction = direction * factor
  if rank(param) == 0:
    direction = direction * late
  if size(param) / step > 3:
    direction = direction + epsilon(param)
  param = param - lr / sqrt(size(param)) * direction - epsilon(param) * grad
"""
SHAPES = ((), (1,), (3,), (7,), (2, 2), (3, 5), (3, 5), (5, 3), (2, 3, 4), (4, 0))
IMPLEMENTATIONS: dict[str, dict[str, object]] = {
    "for-loop": {"foreach": False},
    "foreach": {"foreach": True},
    "C++": {"fused": True},
    "Triton": {"fused": True},
}


class Expected:
    """The interpreter's parameters and states, of all elements of a parameter at once."""

    def __init__(self, text: str, params: list[Tensor]) -> None:
        (compiled,) = compile_specs([Source("<text>", text)])
        self.rule = compiled.rule
        self.shapes = [(tuple(p.shape), torch.finfo(p.dtype).eps) for p in params]
        self.params: list[Any] = [p.detach().double().numpy().copy() for p in params]
        self.states: list[dict[str, Any]] = [{} for _ in params]

    def step(self, index: int, grad: Tensor, **values: float | bool) -> None:
        shape, epsilon = self.shapes[index]
        done = interpret(
            self.rule,
            values,
            self.states[index],
            self.params[index],
            grad.double().numpy(),
            arithmetic=ELEMENTS,
            shape=shape,
            epsilon=epsilon,
        )
        self.params[index], self.states[index] = np.asarray(done.param), done.state


def gradients(steps: int, dtype: torch.dtype) -> Iterator[list[Tensor]]:
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        yield [torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) for shape in SHAPES]


def parameters(dtype: torch.dtype) -> list[torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    return [
        torch.nn.Parameter(torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)) for shape in SHAPES
    ]


def test_numbers_of_shapes() -> None:
    expected = {
        (): (0, 1, 1, 1, 1, 1),
        (3,): (1, 3, 1, 3, 1, 3),
        (3, 5): (2, 15, 3, 5, 3, 5),
        (2, 3, 4): (3, 24, 3, 4, 2, 12),
        (2, 0): (2, 0, 2, 0, 2, 0),
        (0, 3, 2, 2): (4, 0, 2, 2, 0, 12),
    }
    for shape, (rank, size, rows, columns, matrix_rows, matrix_columns) in expected.items():
        for dtype, epsilon in ((torch.float32, 2.0**-23), (torch.bfloat16, 2.0**-7), (torch.complex128, 2.0**-52)):
            numbers = {"rank": rank, "size": size, "rows": rows, "columns": columns, "epsilon": epsilon}
            numbers |= {"matrix_rows": matrix_rows, "matrix_columns": matrix_columns}
            assert shape_numbers(shape, epsilon) == numbers
            assert shape_numbers_of(torch.empty(shape, dtype=dtype)) == numbers


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_every_implementation_agrees_with_the_interpreter(
    implementation: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In two groups, with a scheduler, a late gradient, and a checkpoint half way."""
    run_kernels_of(implementation, monkeypatch)
    made, params = thetac.load(SHAPELY), parameters(dtype)
    expected = Expected(SHAPELY, list(params))

    def new() -> tuple[Any, torch.optim.lr_scheduler.LRScheduler]:
        groups = [{"params": params[::2]}, {"params": params[1::2], "fancy": True}]
        optimizer = made(groups, **IMPLEMENTATIONS[implementation])
        return optimizer, torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)

    optimizer, scheduler = new()
    for count, grads in enumerate(gradients(6, dtype)):
        for index, (param, grad) in enumerate(zip(params, grads, strict=True)):
            param.grad = None if index == 4 and count < 2 else grad
            if param.grad is not None:
                group = optimizer.param_groups[index % 2]
                expected.step(index, grad, lr=group["lr"], fancy=group["fancy"])
        optimizer.step()
        scheduler.step()
        if count == 3:
            saved, saved_schedule = optimizer.state_dict(), scheduler.state_dict()
            optimizer, scheduler = new()
            optimizer.load_state_dict(saved)
            scheduler.load_state_dict(saved_schedule)
            optimizer = pickle.loads(pickle.dumps(copy.deepcopy(optimizer)))
            for param, other in zip(params[::2] + params[1::2], all_parameters(optimizer), strict=True):
                assert torch.equal(param, other)
            params = [all_parameters(optimizer)[index // 2 + index % 2 * 5] for index in range(10)]  # type: ignore[misc]
    for index, param in enumerate(params):
        tolerance = 1e-6 if dtype is torch.float32 else 1e-7  # the scalar state is float32
        wanted = torch.from_numpy(expected.params[index]).to(dtype)
        torch.testing.assert_close(param.detach(), wanted, rtol=tolerance, atol=tolerance)
        assert list(optimizer.state[param]) == list(expected.states[index])


def all_parameters(optimizer: Any) -> list[Tensor]:
    return [param for group in optimizer.param_groups for param in group["params"]]


def test_tensors_of_other_shapes_share_no_launch_where_conditions_differ() -> None:
    optimizer = thetac.load(SHAPELY)(parameters(torch.float32), fused=True)  # type: ignore[call-arg]
    for param, grad in zip(all_parameters(optimizer), next(gradients(1, torch.float32)), strict=True):
        param.grad = grad
    optimizer.step()
    # Numbers, vectors and matrices, the latter two with few and with many elements; but not one launch for each shape.
    assert "step plan: 5 launches per step for 10 parameters" in optimizer.explain()


@pytest.mark.parametrize("capturable", [False, True])
def test_on_tensors_too(capturable: bool) -> None:
    """Called directly: no device here supports capturable."""
    made = thetac.load(SHAPELY)
    forloop = __import__(f"{made.schema.package}.forloop", fromlist=["step"])
    for shape in SHAPES:
        results = []
        for function in (forloop.step, forloop.step_on_tensors):
            generator = torch.Generator().manual_seed(0)
            param = torch.randn(shape, generator=generator, dtype=torch.float64)
            numbers = shape_numbers_of(param)
            keywords: dict[str, object] = {"lr": 0.1, "beta": 0.9, "fancy": True, "maximize": False}
            keywords |= {f"{name}s_of_params".replace("ss_", "s_"): [number] for name, number in numbers.items()}
            for state in made.schema.states:
                there = state.exists({"fancy": True}, numbers)
                start = (
                    torch.zeros_like(param) if state.kind == "tensor" else torch.tensor(float(state.name == "factor"))
                )
                keywords[state.argument] = [start.double() if there else None]
            if function is forloop.step_on_tensors:
                keywords |= {"capturable": capturable, "differentiable": not capturable}
            for _ in range(4):
                call(function, [param], [torch.randn(shape, generator=generator, dtype=torch.float64)], **keywords)
            results.append(param)
        torch.testing.assert_close(results[1], results[0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("options", IMPLEMENTATIONS.values(), ids=IMPLEMENTATIONS)
def test_epsilon_is_that_of_the_parameter_and_not_of_the_computation(
    options: dict[str, object], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    run_kernels_of(request.node.callspec.id, monkeypatch)
    param = torch.nn.Parameter(torch.zeros(3, 3, dtype=torch.bfloat16))
    optimizer = thetac.load(SHAPELY)([param], lr=0.0, **options)  # type: ignore[call-arg]
    param.grad = torch.ones_like(param)
    optimizer.step()
    assert torch.equal(param, torch.full_like(param, -torch.finfo(torch.bfloat16).eps))


@pytest.mark.parametrize("fused", [None, True])
def test_a_compiled_step_is_the_same(fused: bool | None) -> None:
    made = thetac.load(SHAPELY)
    params, others = parameters(torch.float32), parameters(torch.float32)
    optimizer, other = made(params, fused=fused), made(others, fused=fused, foreach=None if fused else False)  # type: ignore[call-arg]
    traced = type(optimizer).step.__wrapped__.__wrapped__  # type: ignore[attr-defined]
    compiled = torch.compile(lambda: traced(optimizer), fullgraph=True, backend="aot_eager")
    for grads in gradients(3, torch.float32):
        for one, two, grad in zip(params, others, grads, strict=True):
            one.grad, two.grad = grad, grad.clone()
        compiled()
        other.step()
    for one, two in zip(params, others, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-6, atol=1e-6 if fused is None else 0)


def test_a_requirement_on_shapes_is_checked_before_anything_changes() -> None:
    made = thetac.load(SHAPELY)
    wrong = [torch.nn.Parameter(torch.zeros(shape)) for shape in ((2,), (1, 1, 1, 2), (3,), (1, 1, 1, 3))]
    message = r"^more than 3 axes: torch.Size\(\[1, 1, 1, 2\]\), the parameters \[1, 3\], the first is 1$"
    with pytest.raises(ValueError, match=message):
        made(wrong)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match=message):
        made((f"p{index}", param) for index, param in enumerate(wrong))  # type: ignore[call-arg]
    optimizer = made(wrong[:1])  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="the first is 0"):
        optimizer.add_param_group({"params": wrong[1]})
    assert len(optimizer.param_groups) == 1
    optimizer.add_param_group({"params": iter(wrong[1:]), "fancy": True})
    assert [len(group["params"]) for group in optimizer.param_groups] == [1, 3]
    with pytest.raises(TypeError, match="ordered collections"):
        optimizer.add_param_group({"params": set(wrong)})


def test_a_rule_without_complex_parameters_says_so_before_anything_changes() -> None:
    made = thetac.load(SHAPELY.replace("update: |", "complex: unsupported\nupdate: |"))
    params = [torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(2, dtype=torch.complex64))]
    for options in ({}, {"foreach": False}, {"foreach": True}, {"fused": True}):
        optimizer = made(params, **options)  # type: ignore[arg-type]
        for param in params:
            param.grad = torch.ones_like(param)
        with pytest.raises(RuntimeError, match=r"^Shapely does not support complex parameters$"):
            optimizer.step()
        assert not optimizer.state
        assert all(torch.equal(param, torch.ones_like(param)) for param in params)


ROWS = """
optimizer: Rows
summary: Momentum of the rows that a gradient stores.
hyperparameters:
  lr: {default: 0.1}
  momentum: {default: 0.9}
require:
  not is_sparse(param): "sparse: {places}, of shape {shape}, in its group {indices}, the first {index}"
  not is_complex(param): "complex: {places}"
state:
  buffer: {init: zeros}
sparse: {only: "Rows takes sparse gradients alone"}
update: |
  buffer = momentum * buffer + grad
  param = param - lr * buffer
"""


def test_parameters_are_checked_in_all_groups_together() -> None:
    """The first requirement before the second one, in whichever groups they are broken; later groups as they come."""
    made: Any = thetac.load(ROWS)
    plain, sparse, pairs = torch.ones(3), torch.ones(2, 2).to_sparse(), torch.ones(2, dtype=torch.complex64)
    for groups, text in (
        ([{"params": [pairs, plain]}, {"params": [plain.clone(), sparse, sparse.clone()]}],
         "sparse: [[1, 1], [1, 2]], of shape torch.Size([2, 2]), in its group [1, 2], the first 1"),
        ([{"params": pairs}, {"params": [plain, pairs.clone()]}], "complex: [[0, 0], [1, 1]]"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
            made(groups)
    optimizer = made([plain])
    for added in (pairs, [pairs], {"params": [("name", pairs)]}["params"]):
        with pytest.raises(ValueError, match=r"^complex: \[\[1, 0\]\]$"):
            optimizer.add_param_group({"params": added})
    assert len(optimizer.param_groups) == 1


@pytest.mark.parametrize("options", [{"foreach": False}, {"foreach": True}, {"fused": True}, {}], ids=str)
def test_a_dense_gradient_is_refused_before_anything_is_written(options: dict[str, bool]) -> None:
    made: Any = thetac.load(ROWS)
    params = [torch.ones(4, 3), torch.ones(3)]
    optimizer = made(params, **options)
    params[0].grad, params[1].grad = torch.ones(4, 3).to_sparse(1), torch.ones(3)
    with pytest.raises(RuntimeError, match=r"^Rows takes sparse gradients alone$"):
        optimizer.step()
    assert not optimizer.state
    assert torch.equal(params[0], torch.ones(4, 3))
    params[1].grad = torch.sparse_coo_tensor(torch.tensor([[2, 0, 2]]), torch.tensor([0.5, 1.0, 0.5]), (3,))
    optimizer.step()
    assert params[1].tolist() == pytest.approx([0.9, 1.0, 0.9])
    assert optimizer.state[params[1]]["buffer"].tolist() == pytest.approx([1.0, 0.0, 1.0])


def test_a_sparse_gradient_without_axes_stores_all_or_nothing() -> None:
    made: Any = thetac.load(ROWS)
    param = torch.ones(())
    optimizer = made([param], foreach=False)
    for values in ([], [0.5, 0.5]):
        param.grad = torch.sparse_coo_tensor(torch.zeros((0, len(values)), dtype=torch.int64), torch.tensor(values), ())
        optimizer.step()
    assert param.item() == pytest.approx(0.9)
