"""How far fused kernels may be from the definition of a spec: the bound, and what is measured against it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tests.references.elements import ELEMENTS
from tests.support.every_optimizer import REPRESENTATIVES, everything
from tests.support.triton_support import VECTOR, Training, Values, described, of_shape
from thetac.codegen.ir.interpret import interpret
from thetac.codegen.ir.nodes import StateKind
from thetac.codegen.pipeline import Compiled

Array = NDArray[np.floating]
Start = Callable[[Compiled, Values, Tensor], Training]
KernelStep = Callable[[Training, Tensor], None]

ELEMENTS_COMPARED = 16384
STEPS = 10
DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)


def dtypes_of(name: str) -> tuple[torch.dtype, ...]:
    """Return which dtypes the kernels of a rule are tried in: float32, the code of which every dtype shares.

    Those of a representative are tried in all. With `pytest --all` others are tried in one more each, in turn.
    """
    if name in REPRESENTATIVES:
        return DTYPES
    others = DTYPES[1:]
    return (DTYPES[0], others[sum(name.encode()) % len(others)]) if everything() else DTYPES[:1]


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


def distance_of_most(share: float) -> Callable[[Tensor, Array, Array], float]:
    """The distance within which this share of the elements is from the truth, where that is a number of the dtype.

    For rules that nobody wrote: one that divides by differences, or chooses by their signs, is far from the truth in a
    few elements, by chance, and these few decide the root mean square of all.
    """

    def measure(tensor: Tensor, truth: Array, largest: Array) -> float:
        info = torch.finfo(tensor.dtype)
        usable = np.isfinite(truth) & (np.abs(truth) <= info.max) & np.isfinite(largest)
        if not usable.any():
            return 0.0
        unit = np.exp2(np.floor(np.log2(np.maximum(largest[usable], info.smallest_normal)))) * info.eps
        far = np.abs(exact(tensor, torch.float64)[usable] - truth[usable]) / unit
        return float(np.quantile(np.where(np.isnan(far), np.inf, far), share, method="lower"))

    return measure


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


def complaints(
    compiled: Compiled,
    values: Values,
    dtype: torch.dtype,
    step_kernel: KernelStep,
    start: Start = Training.start,
    grads: list[Tensor] | None = None,
    measure: Callable[[Tensor, Array, Array], float] = distance,
    slack_of_states: float = 0.0,
    shape: tuple[int, ...] = VECTOR,
) -> list[str]:
    """What is farther from the definition after ten steps than the bound allows."""
    param = parameters(dtype).reshape(shape)
    values = {**values, **of_shape(shape, dtype)}
    loop, kernel = Training.start(compiled, values, param), start(compiled, values, param)
    wide = Training.start(compiled, values, param)
    truth, state, usual = exact(param, dtype), {}, values["lr"]
    shared: Mapping[str, float] = {}
    largest: dict[str, Array] = {}
    for number, flat in enumerate(gradients(dtype) if grads is None else grads):
        grad = flat.reshape(shape)
        # A schedule: steps of one size, as sign-based rules make them, would all be rounded alike.
        values = {**values, "lr": usual * (1 + number / 7)}
        loop.values = kernel.values = wide.values = values
        loop.step_for_loop(grad)
        if dtype.itemsize == 2:
            wide.step_for_loop_in_float32(grad)
        step_kernel(kernel, grad)
        with np.errstate(all="ignore"):
            step = interpret(
                compiled.rule,
                {**values, **shared},
                state,
                truth,
                exact(grad, dtype),
                arithmetic=ELEMENTS,
                shape=shape,
                epsilon=torch.finfo(dtype).eps,
            )
        truth, state, shared = step.param, step.state, step.shared
        for name, value in {**state, "param": truth}.items():
            largest[name] = np.maximum(largest.get(name, 0), np.abs(value))
    found = []
    # One number is no sample: the for-loop, which multiplies such numbers by Python floats, may be close to the truth
    # by chance. In each step a kernel multiplies it by numbers of the row, which are rounded to the precision of the
    # parameter (less than one unit in its last place), and rounds it where it is stored (half a unit).
    slack_of_one = max(slack_of_states, 1.5 * STEPS)
    pairs = [("param", 1.1, 0.5)]
    pairs += [
        (s.name, 1.4, slack_of_one if kernel.states[s.name].numel() == 1 else slack_of_states)
        for s in compiled.rule.states
        if s.kind in (StateKind.TENSOR, StateKind.NUMBER) and s.name in kernel.states
    ]
    truth_of = {**state, "param": truth}
    for name, factor, slack in pairs:
        if dtype is torch.float32 and not np.max(largest[name], initial=0) <= torch.finfo(dtype).max:
            continue  # the definition leaves the range in which the others compute
        theirs, ours, in_float32 = (
            measure({"param": by.param, **by.states}[name], truth_of[name], largest[name])
            for by in (loop, kernel, wide)
        )
        if dtype.itemsize == 2:
            # The for-loop's arithmetic, in 16 bits, may overflow; and it may undo its own roundings, where a rule adds
            # what it subtracted in the step before. A kernel does what the for-loop does in float32.
            theirs = max(theirs, in_float32) if np.isfinite(theirs) else in_float32
        has_sums = any(one.folds for one in compiled.fused.passes)
        if has_sums and name != "param":
            slack = max(slack, 0.5)  # a number that is made of sums is rounded where elements read it, once for all
        if dtype is torch.float64 and has_sums:
            # Sums have no more digits than the for-loop's. What they are off by is shared by all elements, which are
            # then no sample either: a kernel's tree of sums rounds, by half a unit, on each of its levels.
            slack = max(slack, 0.5 * np.log2(ELEMENTS_COMPARED))
        if not ours <= factor * theirs + slack:
            found.append(
                f"{dtype} ({described(compiled.rule, values)}): {name} is {ours:.3g} ulp from the definition, "
                f"the for-loop {theirs:.3g}; allowed are {factor * theirs + slack:.3g}"
            )
    for name in compiled.fused.scalars:
        if name in loop.states and not torch.allclose(loop.states[name], kernel.states[name], rtol=3e-7, atol=0):
            found.append(f"({described(compiled.rule, values)}): scalar state {name} differs from the for-loop's")
    return found


def special(dtype: torch.dtype) -> Tensor:
    """NaN, infinities, zeros of both signs, large numbers, numbers below the smallest normal one; ordinary ones.

    Not the largest: where a square overflows, the for-loop's products inside an FMA do not.
    """
    info = torch.finfo(dtype)
    edges = [float("nan"), float("inf"), 0.0, info.max**0.4, info.smallest_normal, info.smallest_normal / 4, 1.0, 3e-3]
    return torch.tensor([sign * edge for edge in edges for sign in (1, -1)], dtype=torch.float64).to(dtype)


def every_pair(dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Every pair of special values: as parameter, and as gradient."""
    edges = special(dtype)
    param, grad = torch.meshgrid(edges, edges, indexing="ij")
    return param.flatten().contiguous(), grad.flatten().contiguous()


def nature(tensor: Tensor) -> Tensor:
    """Which elements are NaN, infinite, or finite."""
    return torch.where(tensor.isnan(), 2, torch.where(tensor.isinf(), tensor.sign(), 0)).to(torch.int8)


def unlike_the_for_loop(
    compiled: Compiled, values: Values, dtype: torch.dtype, step_kernel: KernelStep, start: Start = Training.start
) -> list[str]:
    """Where three steps over every pair of special values leave NaN or infinity that the for-loop does not, or not.

    Where the arithmetic of the for-loop overflows in the dtype of storage the kernel, which computes in float32, may
    still be finite; so this is for dtypes whose arithmetic is their own.
    """
    param, grad = every_pair(dtype)
    loop, kernel = Training.start(compiled, values, param), start(compiled, values, param)
    for step in range(3):
        loop.step_for_loop(grad.roll(step))
        step_kernel(kernel, grad.roll(step))
    tensors = {"param": (loop.param, kernel.param)}
    tensors |= {key: (loop.states[key], kernel.states[key]) for key in loop.states}
    found = []
    for key, (expected, ours) in tensors.items():
        differ = nature(expected) != nature(ours)
        if differ.any():
            found.append(
                f"{dtype} ({described(compiled.rule, values)}): {key} is {ours[differ][:4].tolist()}, in the "
                f"for-loop {expected[differ][:4].tolist()}, for gradients {grad[differ][:4].tolist()}"
            )
    return found
