"""The optimizers that torch has: our for-loop and our foreach equal torch's for-loop in every bit."""

from __future__ import annotations

from functools import partial

import pytest
import torch

import thetac
from tests.references.torch_inputs import DIVIDE_BY_SIZES, IN_TORCH, Settings, float_settings
from tests.references.training import Construct, layouts, run, values
from tests.support.comparing import assert_same_bits
from tests.support.every_optimizer import one_in, torchs

DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.complex64, torch.complex128)

# Hyperparameters of the second parameter group.
OTHER: dict[str, dict[str, object]] = {name: {"lr": 0.03, "weight_decay": 0.2} for name in IN_TORCH}
OTHER["SparseAdam"] = {"lr": 0.03, "eps": 1e-4}
OTHER["Rprop"] = {"lr": 0.03, "etas": (0.4, 1.3)}
OTHER["ASGD"] = {"lr": 0.03, "t0": 1.0}
OTHER["SGD"] = {"lr": 0.03, "momentum": 0.5}
OTHER["RAdam"] = {"lr": 0.03, "betas": (0.8, 0.95)}
OTHER["Adafactor"] = {"lr": 0.03, "weight_decay": 0.2, "d": 1.2}
OTHER["RMSprop"] = {"lr": 0.03, "alpha": 0.9, "weight_decay": 0.2}


def constructs(name: str, settings: Settings) -> list[Construct]:
    """torch's for-loop, our for-loop, our foreach."""
    ours = getattr(thetac, name)
    return [
        partial(torchs(name), foreach=False, **settings),
        partial(ours, foreach=False, **settings),
        partial(ours, foreach=True, **settings),
    ]


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: str(dtype).removeprefix("torch."))
@pytest.mark.parametrize("name", IN_TORCH)
def test_same_bits_in_every_layout(name: str, dtype: torch.dtype) -> None:
    """All shapes and layouts, two groups, a late gradient, special values, step counts 1 to 3, 69, 70, 345, 346."""
    if dtype.is_complex and getattr(thetac, name).schema.complex_error:
        pytest.skip("no complex parameters, as in torch")
    start = None
    if name in DIVIDE_BY_SIZES:
        start = [tensor for tensor in layouts(dtype, torch.Generator().manual_seed(7)) if tensor.numel()]
    for settings in one_in(4, float_settings(name)):
        compare = partial(_compare, name, settings)
        preload = {4: 68.0, 6: 344.0}
        run(
            constructs(name, settings), dtype, steps=8, other=OTHER[name], preload=preload, compare=compare, start=start
        )


@pytest.mark.parametrize("name", IN_TORCH)
def test_same_bits_after_hundreds_of_steps(name: str) -> None:
    """Host arithmetic that differs once in a thousand times (a root, say) shows only in float64, after many steps."""
    start = [values((65,), torch.float64, torch.Generator().manual_seed(3), spread=1.0)]
    # `maximize` negates gradients, which changes nothing on the host.
    for settings in one_in(8, [case for case in float_settings(name) if not case.get("maximize")]):
        compare = partial(_compare, name, settings)
        run(constructs(name, settings), torch.float64, steps=400, other={}, compare=compare, start=start)


def _compare(
    name: str, settings: Settings, expected: torch.optim.Optimizer, actual: torch.optim.Optimizer, message: str
) -> None:
    assert_same_bits(expected, actual, f"{name} with {settings}, {message}")
