"""Generated Triton kernels, in Triton's interpreter, against the definition of the spec and beside the for-loop."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from references.elements import ELEMENTS
from torch import Tensor
from triton_support import Training, Values, combinations, described, every_spec, launch

from thetac.codegen.ir.interpret import interpret
from thetac.codegen.ir.nodes import StateKind
from thetac.codegen.pipeline import Compiled

Array = NDArray[np.floating]

ELEMENTS_COMPARED = 16384
STEPS = 10
DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)


def one_pass(dtype: torch.dtype) -> dict[str, int]:
    """One block for everything: the time of Triton's interpreter goes by operations, not by elements."""
    return {"chunk_size": ELEMENTS_COMPARED, "threads": ELEMENTS_COMPARED * dtype.itemsize // 16}


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def exact(tensor: Tensor, dtype: torch.dtype) -> Array:
    """The same numbers in the dtype of the definition, which has at least twice the digits of what it judges."""
    return tensor.double().numpy().astype(np.longdouble if dtype is torch.float64 else np.float64)


def distance(tensor: Tensor, truth: Array, largest: Array) -> float:
    """Root mean square distance in units of the last place, below the smallest normal number in units of that one.

    The unit is that of the largest value which the element has had: what is left after cancellation is as far from the
    truth as what was cancelled, however small it is.
    """
    info = torch.finfo(tensor.dtype)
    unit = np.exp2(np.floor(np.log2(np.maximum(largest, info.smallest_normal)))) * info.eps
    return float(np.sqrt(np.mean(np.square((exact(tensor, torch.float64) - truth) / unit))))


def numbers(seed: int, low: float, high: float, dtype: torch.dtype) -> Tensor:
    """Magnitudes from 2**low to 2**high, evenly on a logarithmic scale, and signs."""
    generator = torch.Generator().manual_seed(seed)
    sign = torch.randint(0, 2, (ELEMENTS_COMPARED,), generator=generator) * 2 - 1
    return (sign * torch.exp2(low + (high - low) * torch.rand(ELEMENTS_COMPARED, generator=generator).double())).to(
        dtype
    )


def gradients(dtype: torch.dtype) -> list[Tensor]:
    """Not so small that weight decay cancels them or that float16 loses their squares."""
    return [numbers(step, -2, 4, dtype) for step in range(1, STEPS + 1)]


def parameters(dtype: torch.dtype) -> Tensor:
    """Far enough from zero that no step crosses it, where units of the last place would say nothing."""
    return numbers(0, 2, 3, dtype)


def complaints(compiled: Compiled, values: Values, dtype: torch.dtype) -> list[str]:
    """What is farther from the definition after ten steps than the bound allows."""
    param = parameters(dtype)
    loop, kernel = Training.start(compiled, values, param), Training.start(compiled, values, param)
    truth, state, usual = exact(param, dtype), {}, values["lr"]
    largest: dict[str, Array] = {}
    for number, grad in enumerate(gradients(dtype)):
        # A schedule: steps of one size, as sign-based rules make them, would all be rounded alike.
        values = {**values, "lr": usual * (1 + number / 7)}
        loop.values = kernel.values = values
        loop.step_for_loop(grad)
        kernel.step_triton(grad, **one_pass(dtype))
        with np.errstate(all="ignore"):
            step = interpret(compiled.rule, values, state, truth, exact(grad, dtype), arithmetic=ELEMENTS)
        truth, state = step.param, step.state
        for name, value in {**state, "param": truth}.items():
            largest[name] = np.maximum(largest.get(name, 0), np.abs(value))
    found = []
    pairs = [("param", loop.param, kernel.param, truth, 1.1, 0.5)]
    pairs += [
        (s.name, loop.states[s.name], kernel.states[s.name], state[s.name], 1.4, 0.0)
        for s in compiled.rule.states
        if s.kind is StateKind.TENSOR and s.name in kernel.states
    ]
    for name, by_loop, by_kernel, wanted, factor, slack in pairs:
        theirs, ours = (distance(by, wanted, largest[name]) for by in (by_loop, by_kernel))
        if not ours <= factor * theirs + slack:
            found.append(
                f"{dtype} ({described(compiled.rule, values)}): {name} is {ours:.3g} ulp from the definition, "
                f"the for-loop {theirs:.3g}; allowed are {factor * theirs + slack:.3g}"
            )
    for name in compiled.fused.scalars:
        if not torch.allclose(loop.states[name], kernel.states[name], rtol=3e-7, atol=0):
            found.append(f"({described(compiled.rule, values)}): scalar state {name} differs from the for-loop's")
    return found


@pytest.mark.parametrize("name", every_spec())
def test_kernels_are_as_close_to_the_definition_as_the_for_loop(name: str) -> None:
    compiled = every_spec()[name]
    found: list[str] = []
    for values in combinations(compiled):
        # Negating the gradient is exact in every dtype: one will do.
        for dtype in DTYPES[:1] if values["maximize"] else DTYPES:
            found += complaints(compiled, values, dtype)
    assert not found, "\n".join(found)


def special(dtype: torch.dtype) -> Tensor:
    """NaN, infinities, zeros of both signs, large numbers, numbers below the smallest normal one; ordinary ones.

    Not the largest: where a square overflows, the for-loop's products inside an FMA do not.
    """
    info = torch.finfo(dtype)
    edges = [float("nan"), float("inf"), 0.0, info.max**0.4, info.smallest_normal, info.smallest_normal / 4, 1.0, 3e-3]
    return torch.tensor([sign * edge for edge in edges for sign in (1, -1)], dtype=torch.float64).to(dtype)


def nature(tensor: Tensor) -> Tensor:
    """Which elements are NaN, infinite, or finite."""
    return torch.where(tensor.isnan(), 2, torch.where(tensor.isinf(), tensor.sign(), 0)).to(torch.int8)


@pytest.mark.filterwarnings("ignore:(overflow|invalid value|divide by zero) encountered:RuntimeWarning")
@pytest.mark.parametrize("name", every_spec())
def test_nan_and_infinity_propagate_as_in_the_for_loop(name: str) -> None:
    """Every pair of special values as parameter and gradient, then the same gradients in another order.

    Where the arithmetic of the for-loop overflows in the dtype of storage the kernel, which computes in float32, may
    still be finite; so this compares the dtypes whose arithmetic is their own.
    """
    compiled = every_spec()[name]
    for values in combinations(compiled):
        for dtype in (torch.float32, torch.float64):
            edges = special(dtype)
            param, grad = (t.flatten().contiguous() for t in torch.meshgrid(edges, edges, indexing="ij"))
            loop, kernel = Training.start(compiled, values, param), Training.start(compiled, values, param)
            for step in range(3):
                loop.step_for_loop(grad.roll(step))
                kernel.step_triton(grad.roll(step))
            tensors = {"param": (loop.param, kernel.param)}
            tensors |= {key: (loop.states[key], kernel.states[key]) for key in loop.states}
            for key, (expected, found) in tensors.items():
                differ = nature(expected) != nature(found)
                assert not differ.any(), (
                    f"{dtype} ({described(compiled.rule, values)}): {key} is {found[differ][:4].tolist()}, in the "
                    f"for-loop {expected[differ][:4].tolist()}, for gradients {grad[differ][:4].tolist()}"
                )


def guarded(tensor: Tensor, offset: int) -> tuple[Tensor, Tensor]:
    """A copy that starts `offset` elements behind an aligned address, and the memory around it."""
    around = torch.full((tensor.numel() + offset + 64,), -7.0, dtype=tensor.dtype)
    assert around.data_ptr() % 16 == 0
    inside = around[offset : offset + tensor.numel()]
    inside.copy_(tensor)
    return inside, around


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", ["AdamW", "SGD"])
def test_results_do_not_depend_on_chunks_alignment_or_neighbours(name: str, dtype: torch.dtype) -> None:
    """Tensors of many sizes in one launch, each with its own row, against one launch each in one block."""
    compiled = every_spec()[name]
    values = {**list(combinations(compiled))[-1], "maximize": False}
    chunk = 2048
    members, rows, wanted, around = [], [], [], []
    for index, size in enumerate((1, 7, 511, 512, 2047, 2048, 2049, 4096, 5000, 4096, 4100)):
        param, grad = parameters(dtype)[:size].clone(), gradients(dtype)[0][index : index + size].clone()
        alone = Training.start(compiled, values, param)
        for state in alone.states.values():
            if state.dim():
                state.copy_(numbers(index, -1, 1, dtype)[:size].abs())
        offset = index % 2 if size > 4096 else 0  # some start where no 128-bit access may
        states = {}
        for key, state in {**alone.states, "param": param, "grad": grad}.items():
            states[key], guard = guarded(state.reshape(-1), offset)
            around.append((states[key], guard))
        alone.created = False
        if "step" in alone.states:
            alone.states["step"].fill_(index)
        row, _ = alone.row()
        rows.append(row)
        members.append((states.pop("param"), states.pop("grad"), states))
        launch(compiled, values, [(alone.param, grad, alone.states)], [row], **one_pass(dtype))
        wanted.append(alone)
    launch(compiled, values, members, rows, chunk_size=chunk)
    for (param, _, states), alone in zip(members, wanted, strict=True):
        assert torch.equal(param, alone.param), f"parameter of {param.numel()} elements"
        for key, state in alone.states.items():
            if state.dim():
                assert torch.equal(states[key], state), f"{key} of {param.numel()} elements"
    for inside, guard in around:
        outside = torch.ones_like(guard, dtype=torch.bool)
        outside[inside.storage_offset() : inside.storage_offset() + inside.numel()] = False
        assert (guard[outside] == -7).all(), "a kernel wrote beside a tensor"
