"""Random programs on two optimizers side by side: after each action, parameters and states agree.

Set THETAC_ADVERSARY to a number of examples for a longer run, which also makes a failure small.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator, Mapping, Sequence

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from torch import Tensor

import thetac as ours
from tests.references.torch_inputs import DIVIDE_BY_SIZES
from tests.support.adversary import (
    ACTIONS,
    Compared,
    compare,
    done_by_both,
    pass_over_what_is_imported,
    shared_names,
)
from tests.support.adversary_world import Action, Make, Switch, World
from tests.support.every_optimizer import NAMES, every_class, of_every_class, torchs
from tests.support.runtime_helpers import run_kernels_of

EXAMPLES = int(os.environ.get("THETAC_ADVERSARY", "0"))
# torch's raise ZeroDivisionError in the middle of a step, for a parameter without elements.
OF_TORCH = [name for name in NAMES if torchs(name) is not None and name not in DIVIDE_BY_SIZES]
OF_SIGNS = ("Lion", "Signum")  # of a number that is computed: near zero, another rounding is another sign
FLAGS: Mapping[str, Mapping[str, object]] = {
    "SGD": {"momentum": 0.9, "nesterov": True},
    "AdamW": {"amsgrad": True},
    "RMSprop": {"momentum": 0.9, "centered": True},
    "Signum": {"momentum": 0.9},
}
FOR_LOOP: Switch = {"foreach": False, "fused": None}
FOREACH: Switch = {"foreach": True, "fused": None}
FUSED: Switch = {"foreach": None, "fused": True}
FASTEST: Switch = {"foreach": None, "fused": None}

Program = list[tuple[Action, int]]
programs = st.lists(
    st.tuples(st.sampled_from(ACTIONS), st.integers(min_value=0, max_value=1 << 16)), min_size=10, max_size=25
)


def play(game: Callable[[Program, torch.dtype], None], dtypes: Sequence[torch.dtype]) -> None:
    """A game with many programs, the same in every run."""
    often = settings(
        max_examples=EXAMPLES or 10,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=tuple(Phase) if EXAMPLES else (Phase.generate,),  # making a failure small takes minutes
    )
    often(given(programs, st.sampled_from(dtypes))(game))()


def maker(library: object, name: str, options: Switch) -> Make:
    def make(params: Sequence[Tensor] | Sequence[dict[str, object]]) -> torch.optim.Optimizer:
        cls = torchs(name) if library is torch.optim else getattr(library, name)
        assert cls is not None
        optimizer: torch.optim.Optimizer = cls(params, lr=0.01, **FLAGS.get(name, {}), **options)
        return optimizer

    return make


def world(name: str, dtype: torch.dtype, switches: Sequence[Switch]) -> World:
    """Of our optimizer, in the first of these implementations until it is switched."""
    return World(maker(ours, name, switches[0]), dtype, switches)


def same_bits(index: int, what: str, a: Tensor, b: Tensor) -> None:
    assert a.dtype == b.dtype
    if torch.equal(a, b):  # which NaN is not
        return
    torch.testing.assert_close(
        a, b, rtol=0, atol=0, equal_nan=True, msg=lambda text: f"{what} of parameter {index}: {text}"
    )


def run(
    program: Program,
    left: World,
    right: World,
    comparison: Callable[[World, World], Compared],
    shared_rtol: float = 0.0,
) -> None:
    for action, number in program:
        compared = comparison(left, right)
        try:
            done_by_both(action, number, left, right)
            compare(left, right, compared, shared_rtol)
        except AssertionError as error:
            raise AssertionError(f"after {action.__name__}({number}): {error}") from error


def bit_for_bit(left: World, right: World) -> Compared:
    return same_bits


SHARED_RTOL = 1e-3  # of sums whose terms may cancel


def within_rounding(left: World, right: World) -> Compared:
    """One step, from equal values to values that differ by rounding, which are made equal before the next."""
    before: dict[tuple[int, str], Tensor] = {}
    # Scalar states are float32 beside any parameter, and their last bit reaches the rest.
    has_scalars = any(state.kind == "scalar" for state in left.optimizer.schema.states)  # type: ignore[attr-defined]
    least = torch.finfo(torch.float32).eps if has_scalars else 0.0

    def remember(index: int, what: str, a: Tensor, b: Tensor) -> None:
        if what != "gradient":
            with torch.no_grad():
                b.copy_(a)
        before[index, what] = a.detach().clone()

    compare(left, right, remember, SHARED_RTOL)
    for mine, theirs in zip(left.optimizer.param_groups, right.optimizer.param_groups, strict=True):
        theirs.update({name: mine[name] for name in shared_names(left) if name in mine})

    def compared(index: int, what: str, a: Tensor, b: Tensor) -> None:
        assert a.dtype == b.dtype
        if torch.equal(a, b):
            return
        old = before.get((index, what), a)
        found = [_reals(tensor) for tensor in (a, b, old if old.shape == a.shape else a)]
        size = torch.stack([tensor.abs() for tensor in found]).amax(dim=0)
        # A state may be wider than its parameter; it follows from what is computed in the parameter's precision.
        computed = torch.promote_types(left.params[index].dtype, torch.float32)
        if what != "gradient" and size.numel():
            size = size + (found[0] - found[2]).abs().max() + 0.01  # of an update, whose terms may cancel
        torch.testing.assert_close(
            found[0] / size.where(size > 0, 1),
            found[1] / size.where(size > 0, 1),
            rtol=0,
            atol=16 * max(torch.finfo(a.dtype).eps, torch.finfo(computed).eps, least),
            equal_nan=True,
            msg=lambda text: f"{what} of parameter {index}: {text}",
        )

    return compared


def _reals(tensor: Tensor) -> Tensor:
    tensor = tensor.detach().resolve_conj().resolve_neg()
    return (torch.view_as_real(tensor) if tensor.is_complex() else tensor).to(torch.float64).reshape(-1)


def dtypes_for_kernels(name: str) -> Sequence[torch.dtype]:
    found = (torch.float32, torch.complex64, torch.float64, torch.complex128)
    return found if name in OF_SIGNS else (*found, torch.bfloat16)


@pytest.fixture(autouse=True, scope="module")
def collections_of_new_objects_only() -> Iterator[None]:
    pass_over_what_is_imported()
    yield
    gc.unfreeze()


@pytest.fixture
def in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the compiled reader cannot be built."""
    monkeypatch.setenv("THETAC_COMPILED_READER", "0")


@pytest.mark.feature("random programs", "beside torch's class, both for-loop: the same bits after every action")
@pytest.mark.parametrize("name", of_every_class(OF_TORCH))
def test_for_loop_and_torchs(name: str) -> None:
    def game(program: Program, dtype: torch.dtype) -> None:
        mine, theirs = (
            World(maker(library, name, {"foreach": False}), dtype, of_torch=library is torch.optim, tensor_rates=False)
            for library in (ours, torch.optim)
        )
        run(program, mine, theirs, bit_for_bit)

    play(game, [torch.float32, torch.bfloat16, torch.complex64])


@pytest.mark.feature("random programs", "switched between foreach and for-loop: the for-loop's bits")
@every_class
def test_foreach_and_for_loop(name: str) -> None:
    def game(program: Program, dtype: torch.dtype) -> None:
        left = world(name, dtype, [FOREACH, FOREACH, FOR_LOOP])
        run(program, left, world(name, dtype, [FOR_LOOP]), bit_for_bit)

    play(game, [torch.float32, torch.bfloat16, torch.complex64])


@pytest.mark.feature("random programs", "switched between kernels and the rest: the for-loop's numbers, to rounding")
@every_class
def test_fused_and_for_loop(name: str) -> None:
    def game(program: Program, dtype: torch.dtype) -> None:
        left = world(name, dtype, [FUSED, FASTEST, FOREACH, FASTEST, FOR_LOOP])
        run(program, left, world(name, dtype, [FOR_LOOP]), within_rounding, SHARED_RTOL)

    play(game, dtypes_for_kernels(name))


@pytest.mark.parametrize("name", ["AdamW", "NAdam", "SGD"])
def test_without_the_compiled_helper(name: str, in_python: None) -> None:
    def foreach(program: Program, dtype: torch.dtype) -> None:
        run(program, world(name, dtype, [FOREACH, FOR_LOOP]), world(name, dtype, [FOR_LOOP]), bit_for_bit)

    def fused(program: Program, dtype: torch.dtype) -> None:
        left = world(name, dtype, [FUSED, FASTEST, FOREACH])
        run(program, left, world(name, dtype, [FOR_LOOP]), within_rounding)

    play(foreach, [torch.float32, torch.bfloat16, torch.complex64])
    play(fused, dtypes_for_kernels(name))


@pytest.mark.parametrize("name", ["AdamW", "NAdam", "SGD"])
def test_triton_and_for_loop(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run_kernels_of("Triton", monkeypatch)

    def game(program: Program, dtype: torch.dtype) -> None:
        left = world(name, dtype, [FUSED, FUSED, FOR_LOOP])
        run(program, left, world(name, dtype, [FOR_LOOP]), within_rounding)

    play(game, [torch.float32, torch.float64, torch.complex64])
