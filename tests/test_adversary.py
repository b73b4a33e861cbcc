"""Random programs on two optimizers side by side: after each action, parameters and states agree.

Set THETAC_ADVERSARY to a number of examples for a longer run.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

import pytest
import torch
from adversary import ACTIONS, Action, World, compare, done_by_both
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from runtime_helpers import run_kernels_of
from torch import Tensor

import thetac as ours
from thetac.runtime import assumptions, numbers, polling

EXAMPLES = int(os.environ.get("THETAC_ADVERSARY", "5"))
OF_TORCH = ["SGD", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "Adagrad", "Adadelta", "RMSprop", "Rprop", "ASGD"]
OTHERS = ["Lion", "Adan", "AdaBelief", "Yogi", "AdEMAMix", "ADOPT", "QHAdam", "Signum"]
FLAGS: Mapping[str, Mapping[str, object]] = {
    "SGD": {"momentum": 0.9, "nesterov": True},
    "AdamW": {"amsgrad": True},
    "RMSprop": {"momentum": 0.9, "centered": True},
    "Signum": {"momentum": 0.9},
}

programs = st.lists(
    st.tuples(st.sampled_from(ACTIONS), st.integers(min_value=0, max_value=1 << 16)), min_size=8, max_size=20
)
often = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.generate,) if EXAMPLES <= 10 else tuple(Phase),  # making a failure small takes minutes
)


def maker(library: object, name: str, **options: bool) -> Callable[[list[Tensor]], torch.optim.Optimizer]:
    def make(params: list[Tensor]) -> torch.optim.Optimizer:
        optimizer: torch.optim.Optimizer = getattr(library, name)(params, lr=0.01, **FLAGS.get(name, {}), **options)
        return optimizer

    return make


def same_bits(a: Tensor, b: Tensor, what: str) -> None:
    assert a.dtype == b.dtype, what
    torch.testing.assert_close(a, b, rtol=0, atol=0, equal_nan=True, msg=lambda text: f"{what}: {text}")


def nearly(a: Tensor, b: Tensor, what: str) -> None:
    """Worlds of float64; scalar states are float32, and a last bit of theirs reaches the rest."""
    assert a.dtype == b.dtype, what
    torch.testing.assert_close(a, b, rtol=2e-6, atol=1e-7, equal_nan=True, msg=lambda text: f"{what}: {text}")


def run(
    program: list[tuple[Action, int]], left: World, right: World, how: Callable[[Tensor, Tensor, str], None]
) -> None:
    for action, number in program:
        done_by_both(action, number, left, right)
        try:
            compare(left, right, how)
        except AssertionError as error:
            raise AssertionError(f"after {action.__name__}({number}): {error}") from error


@pytest.mark.parametrize("name", OF_TORCH)
def test_for_loop_and_torchs(name: str) -> None:
    @often
    @given(programs, st.sampled_from([torch.float32, torch.bfloat16, torch.complex64]))
    def same(program: list[tuple[Action, int]], dtype: torch.dtype) -> None:
        worlds = (World(maker(library, name, foreach=False), dtype) for library in (ours, torch.optim))
        run(program, *worlds, same_bits)

    same()


@pytest.mark.parametrize("name", [*OF_TORCH, *OTHERS])
def test_foreach_and_for_loop(name: str) -> None:
    # Loading makes scalar states bfloat16 beside such parameters, as torch does, and lists round them otherwise.
    has_scalars = any(state.kind == "scalar" for state in getattr(ours, name).schema.states)

    @often
    @given(
        programs, st.sampled_from([torch.float32, torch.float64 if has_scalars else torch.bfloat16, torch.complex64])
    )
    def same(program: list[tuple[Action, int]], dtype: torch.dtype) -> None:
        worlds = (World(maker(ours, name, foreach=foreach), dtype) for foreach in (True, False))
        run(program, *worlds, same_bits)

    same()


@pytest.mark.parametrize("name", [*OF_TORCH, *OTHERS])
def test_fused_and_for_loop(name: str) -> None:
    @often
    @given(programs, st.sampled_from([torch.float64, torch.complex128]))
    def same(program: list[tuple[Action, int]], dtype: torch.dtype) -> None:
        worlds = (World(maker(ours, name, **options), dtype) for options in ({"fused": True}, {"foreach": False}))
        run(program, *worlds, nearly)

    same()


@pytest.mark.parametrize("name", ["AdamW", "NAdam", "SGD"])
def test_fused_and_for_loop_without_the_compiled_helper(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (assumptions, numbers, polling):
        monkeypatch.setattr(module, "native", lambda: None)

    @often
    @given(programs, st.sampled_from([torch.float64, torch.complex128]))
    def same(program: list[tuple[Action, int]], dtype: torch.dtype) -> None:
        worlds = (World(maker(ours, name, **options), dtype) for options in ({"fused": True}, {"foreach": False}))
        run(program, *worlds, nearly)

    same()


@pytest.mark.parametrize("name", ["AdamW", "NAdam", "SGD"])
def test_triton_and_for_loop(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run_kernels_of("Triton", monkeypatch)

    @often
    @given(programs)
    def same(program: list[tuple[Action, int]]) -> None:
        worlds = (
            World(maker(ours, name, **options), torch.float64) for options in ({"fused": True}, {"foreach": False})
        )
        run(program, *worlds, nearly)

    same()
