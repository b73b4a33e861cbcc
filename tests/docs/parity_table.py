"""Writes docs/parity.md: how close every implementation of every optimizer comes, measured now.

    python -m tests.docs.parity_table

Seeds are fixed. Takes two to three minutes on one core.
"""

from __future__ import annotations

import os

from tests.support.paths import ROOT

os.environ.setdefault("TRITON_INTERPRET", "1")  # before triton is imported: kernels run on the CPU

import random
import sys
from collections.abc import Iterator, Sequence
from functools import cache, partial

import numpy as np
import torch
import triton
from torch import Tensor
from torch.optim import Optimizer

import thetac
from tests.references.elements import ELEMENTS, Array
from tests.references.rules import rules
from tests.references.settings import settings_of, values_of
from tests.references.torch_inputs import IN_TORCH, Settings
from tests.references.training import Construct, run, values
from tests.support.comparing import differing_bits, entries
from thetac.codegen.ir.interpret import exact as keep_exactly
from thetac.codegen.ir.interpret import interpret, to_float32

PAGE = ROOT / "docs" / "parity.md"
DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.complex64, torch.complex128)
IMPLEMENTATIONS: dict[str, Settings] = {
    "for-loop": {"foreach": False},
    "foreach": {"foreach": True},
    "C++": {"fused": True},
    "Triton": {"fused": True},
}
SETTINGS = 4  # of one optimizer, the defaults among them, for errors; bits are compared for all that torch has
SIZE = 1500
STEPS = 10

INTRODUCTION = """\
# Parity

The accuracy of each implementation, measured with torch {torch} and triton {triton} on the
CPU. `make parity` writes this page.

- **bitwise**: parameters and states equal the reference in every bit. This covers all
  settings of the tests, eight steps, contiguous, transposed, permuted and stepped tensors,
  two parameter groups, a late gradient, NaN, infinities, zeros of both signs and subnormal
  numbers. The reference of the for-loop is torch's for-loop, if torch has the optimizer. The
  reference of foreach is thetac's for-loop.
- **two numbers**: errors of one step in units in the last place (ulp): the 99th percentile
  and the maximum. The reference is the specification, evaluated by the compiler's interpreter
  in extended precision. A step starts from the implementation's own state; the ulp is that of
  the larger of the values before and after. Measured are {steps} steps of {size:,} elements
  with up to {settings} settings: the defaults, and others drawn from those of the tests. An
  exact computation that is rounded once has at most 0.5. The for-loop's own errors follow in
  parentheses.
- The largest errors come from cancellation, for example where `grad + weight_decay * param`
  nearly vanishes and its rounding error does not. torch's vectorized operations round such a
  sum once, kernels twice. `inf` means an overflow, or a division by a square that
  underflowed: the for-loop stores every intermediate result in the parameter's dtype, a
  kernel computes in float32.
- C++ is the kernel built for this machine's CPU. Triton is the kernel run by Triton's
  interpreter.
"""


def main() -> None:
    PAGE.write_text(page(), encoding="utf-8")


def page() -> str:
    introduction = INTRODUCTION.format(
        torch=torch.__version__.partition("+")[0],
        triton=triton.__version__,
        steps=STEPS,
        size=SIZE,
        settings=SETTINGS,
    )
    names = [str(dtype).removeprefix("torch.") for dtype in DTYPES]
    lines = [introduction, f"| algorithm | implementation | {' | '.join(names)} |", "| --- " * (2 + len(names)) + "|"]
    for name in sorted(rules(), key=str.lower):
        print(name, file=sys.stderr, flush=True)
        for implementation in IMPLEMENTATIONS:
            cells = [cell(name, implementation, dtype) for dtype in DTYPES]
            lines.append(f"| {name} | {implementation} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def cell(name: str, implementation: str, dtype: torch.dtype) -> str:
    """What the table says of one algorithm in one implementation and dtype."""
    if implementation == "foreach":
        return bits(name, thetac, dtype)
    if implementation == "for-loop" and name in IN_TORCH:
        return bits(name, torch.optim, dtype)
    own = measured(name, "for-loop", dtype)
    return own if implementation == "for-loop" else f"{measured(name, implementation, dtype)} ({own})"


def bits(name: str, reference: object, dtype: torch.dtype) -> str:
    """Our for-loop against torch's, or our foreach against our for-loop."""
    ours = IMPLEMENTATIONS["foreach" if reference is thetac else "for-loop"]
    different = 0

    def count(expected: Optimizer, actual: Optimizer, _: str) -> None:
        nonlocal different
        for (_, param, state), (_, other, wanted) in zip(entries(actual), entries(expected), strict=True):
            pairs = [(other, param), *((wanted[key], state[key]) for key in wanted)]
            different += sum(int(differing_bits(*pair).sum()) for pair in pairs)

    for settings in settings_of(name):
        constructs: Sequence[Construct] = (
            partial(getattr(reference, name), foreach=False, **settings),
            partial(getattr(thetac, name), **ours, **settings),
        )
        run(constructs, dtype, steps=8, other={"lr": 0.03}, preload={4: 68, 6: 344}, compare=count)
    return "bitwise" if different == 0 else f"{different} elements differ"


@cache
def measured(name: str, implementation: str, dtype: torch.dtype) -> str:
    """Errors in ulps over parameters and states, elements, steps and settings."""
    os.environ["THETAC_CPU_KERNELS"] = "triton" if implementation == "Triton" else "cpp"
    double = dtype in (torch.float64, torch.complex128)
    torch.set_default_dtype(torch.float64 if double else torch.float32)  # also that of scalar states
    try:
        options = IMPLEMENTATIONS[implementation]
        found = [e for settings in some_settings(name) for e in errors(name, options, settings, dtype)]
    finally:
        torch.set_default_dtype(torch.float32)
    everything = np.concatenate(found)
    return f"{np.quantile(everything, 0.99, method='lower'):.2f}, {everything.max():.2f}"


def some_settings(name: str) -> list[Settings]:
    everything = list(settings_of(name))
    return everything[:1] + random.Random(name).sample(everything[1:], min(SETTINGS - 1, len(everything) - 1))


def errors(name: str, implementation: Settings, settings: Settings, dtype: torch.dtype) -> Iterator[Array]:
    generator = torch.Generator().manual_seed(11)
    parameter = values((SIZE,), dtype, generator, spread=0.5)
    optimizer = getattr(thetac, name)([parameter], **implementation, **settings)
    store = keep_exactly if torch.get_default_dtype() is torch.float64 else to_float32
    for _ in range(STEPS):
        parameter.grad = values((SIZE,), dtype, generator, spread=0.5)
        state = {key: exact(value) for key, value in optimizer.state.get(parameter, {}).items()}
        before: dict[str, Array | float] = {"param": exact(parameter), **state}
        given = values_of(name, settings)
        with np.errstate(all="ignore"):
            step = interpret(
                rules()[name], given, state, before["param"], exact(parameter.grad), arithmetic=ELEMENTS, store=store
            )
        optimizer.step()
        after: dict[str, Array | float] = {"param": step.param, **step.state}
        now = {"param": parameter, **optimizer.state[parameter]} if step.state else {"param": parameter}
        for key, value in after.items():
            if isinstance(value, np.ndarray):
                yield ulps(exact(now[key]), value, before.get(key, 0.0), torch.finfo(dtype))


def exact(tensor: Tensor) -> Array | float:
    """The numbers of a tensor, complex ones as pairs, with digits to spare; a 0-d tensor as a number."""
    if not tensor.dim():
        return tensor.item()
    real = torch.view_as_real(tensor) if tensor.is_complex() else tensor
    return real.to(torch.float64).numpy().astype(np.longdouble)


def ulps(got: Array, wanted: Array, before: Array | float, info: torch.finfo) -> Array:
    with np.errstate(all="ignore"):
        size = np.fmax(np.fmax(np.abs(wanted), np.abs(before)), np.longdouble(info.smallest_normal))
        unit = np.ldexp(np.longdouble(info.eps), np.frexp(size)[1] - 1)
        same = (got == wanted) | (np.isnan(got) & np.isnan(wanted))
        error = np.where(same, 0, np.abs(got - wanted) / unit)
    return np.nan_to_num(error, nan=np.inf, posinf=np.inf).ravel()


if __name__ == "__main__":
    main()
