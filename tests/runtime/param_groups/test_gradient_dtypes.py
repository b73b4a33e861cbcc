"""Gradients of another dtype than their parameter, where torch's `grad_dtype` allows it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import thetac
from tests.support.comparing import assert_identical, assert_same_training
from tests.support.every_optimizer import every_class, one_in, ours, remembering
from tests.support.runtime_helpers import assert_unchanged, parameters, picture, run_kernels_of
from tests.support.step_helpers import every_list
from thetac.runtime.optimizer import Optimizer
from thetac.runtime.param_groups import checks

SHAPES = ((5, 3), (7,), ())
KERNELS = ("AdamW", "SGD", "NAdam", "Lion", "Adan")  # every pair of dtypes is a kernel to compile
PAIRS = (
    (torch.bfloat16, torch.float32),
    (torch.float16, torch.float32),
    (torch.float32, torch.bfloat16),
    (torch.float32, torch.float64),
    (torch.float64, torch.float32),
)
every_pair = pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair[1]}-on-{pair[0]}".replace("torch.", ""))
WAYS: dict[str, dict[str, bool]] = {
    "for-loop": {"foreach": False},
    "foreach": {"foreach": True},
    "C++": {"fused": True},
    "Triton": {"fused": True},
    "default": {},
    "capturable": {"capturable": True, "foreach": False},
}


@pytest.fixture(params=WAYS)
def options(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    run_kernels_of("Triton" if request.param == "Triton" else "C++", monkeypatch)
    monkeypatch.setattr(checks, "_get_capturable_supported_devices", lambda: ["cpu"])
    return WAYS[request.param]


def make(name: str, dtype: torch.dtype, grad_dtype: torch.dtype | None, **options: object) -> Optimizer:
    params = parameters(SHAPES, dtype=dtype)
    for param in params:
        param.grad_dtype = grad_dtype
    return ours(name)(params, **{**remembering(name), **options})


def params_of(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return list(optimizer.param_groups[0]["params"])


def give(optimizer: torch.optim.Optimizer, dtype: torch.dtype, seed: int, scale: float = 1.0) -> None:
    """Gradients that the narrowest dtype here holds, in the dtype that is asked for."""
    generator = torch.Generator().manual_seed(seed)
    for param in params_of(optimizer):
        param.grad = (torch.randn(param.shape, generator=generator).bfloat16() * scale).to(dtype)


@pytest.mark.parametrize("name", one_in(2, KERNELS))
@every_pair
def test_kernels_read_gradients_as_they_are(
    name: str, pair: tuple[torch.dtype, torch.dtype], options: dict[str, bool]
) -> None:
    _assert_same_as_with_the_parameter_s_dtype(name, pair, options)


@every_pair
@every_list
@every_class
def test_steps_are_those_on_gradients_that_have_the_parameter_s_dtype(
    name: str, pair: tuple[torch.dtype, torch.dtype], options: dict[str, bool]
) -> None:
    _assert_same_as_with_the_parameter_s_dtype(name, pair, options)


def _assert_same_as_with_the_parameter_s_dtype(
    name: str, pair: tuple[torch.dtype, torch.dtype], options: dict[str, bool]
) -> None:
    """Whose numbers are the same here. Native half precision rounds each operation then, so kernels are the control.

    What is computed in float64 because gradients are differs from float32 by the roundings of three steps.
    """
    dtype, grad_dtype = pair
    optimizer = make(name, dtype, grad_dtype, **options)
    control = make(
        name, dtype, dtype, **(options if ours(name).schema.half_precision == "float32" else {"fused": True})
    )
    for step in range(3):
        give(optimizer, grad_dtype, step)
        give(control, dtype, step)
        kept = [param.grad.clone() for param in params_of(optimizer) if param.grad is not None]
        optimizer.step()
        control.step()
        for param, grad in zip(params_of(optimizer), kept, strict=True):
            assert_identical(param.grad, grad)
    close = 8 * max(torch.finfo(dtype).eps, torch.finfo(torch.float32).eps)
    assert_same_training(optimizer, control, rtol=close, atol=close)
    assert all(
        optimizer.state[param][state.name].dtype is dtype
        for param in params_of(optimizer)
        for state in optimizer.schema.states
        if state.kind == "tensor" and state.name in optimizer.state[param]
    )


@every_pair
@every_class
def test_foreach_has_the_for_loop_s_bits(name: str, pair: tuple[torch.dtype, torch.dtype]) -> None:
    optimizers = [make(name, *pair, foreach=foreach) for foreach in (False, True)]
    for step in range(3):
        for optimizer in optimizers:
            give(optimizer, pair[1], step)
            optimizer.step()
    assert_same_training(*optimizers)


def test_the_for_loop_computes_in_float32_and_rounds_once() -> None:
    """Where torch's AdamW raises for bfloat16 parameters with float32 gradients, after it has counted the step."""
    optimizer = make("AdamW", torch.bfloat16, torch.float32, foreach=False)
    wide = thetac.AdamW([torch.nn.Parameter(param.detach().float()) for param in params_of(optimizer)], foreach=False)
    theirs = torch.optim.AdamW(parameters(SHAPES, dtype=torch.bfloat16), foreach=False)
    for param in params_of(theirs):
        param.grad_dtype = torch.float32
    for one in (optimizer, wide, theirs):
        give(one, torch.float32, 0)
    optimizer.step()
    wide.step()
    with pytest.raises(RuntimeError, match="expected dtype"):
        theirs.step()
    for param, other in zip(params_of(optimizer), params_of(wide), strict=True):
        assert_identical(other.detach().bfloat16(), param.detach())
    assert ", computed in float32, " in optimizer.explain()


@pytest.mark.parametrize("maximum", [0.1, 1e3])
def test_clipping(options: dict[str, bool], maximum: float) -> None:
    """By the norm in the gradients' own dtype, which they keep."""
    within = make("AdamW", torch.bfloat16, torch.float32, clip_grad_norm=maximum, **options)
    before = make("AdamW", torch.bfloat16, torch.float32, **options)
    for step in range(2):
        for optimizer in (within, before):
            give(optimizer, torch.float32, step)
        norm = torch.nn.utils.clip_grad_norm_(params_of(before), maximum)
        before.step()
        within.step()
        assert within.grad_norm is not None
        torch.testing.assert_close(within.grad_norm, norm)
    assert_same_training(within, before, rtol=1e-2, atol=1e-6)


@pytest.mark.parametrize("found", ["for-loop", "foreach", "C++", "Triton"])
def test_scaled_steps(found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unscaled gradients stay float32, and a step that overflowed writes nothing."""
    run_kernels_of("Triton" if found == "Triton" else "C++", monkeypatch)
    scaled, plain = (make("AdamW", torch.bfloat16, torch.float32, **WAYS[found]) for _ in range(2))
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    scaler.scale(torch.ones(()))
    for step in range(3):
        give(scaled, torch.float32, step, scale=1024.0)
        give(plain, torch.float32, step)
        if step == 1:
            before = [param.detach().clone() for param in params_of(scaled)]
            params_of(scaled)[0].grad.fill_(torch.inf)
        scaler.step(scaled)
        scaler.update(1024.0)
        if step == 1:
            assert_identical(before, [param.detach() for param in params_of(scaled)])
            continue
        plain.step()
        for mine, other in zip(params_of(scaled), params_of(plain), strict=True):
            assert_identical(mine.grad, other.grad)
    assert_same_training(scaled, plain)


def test_gradients_accumulate_in_their_dtype_from_a_backward_pass(options: dict[str, bool]) -> None:
    """Two passes add up to what bfloat16 could not tell from one of them."""
    param = torch.nn.Parameter(torch.zeros(3, dtype=torch.bfloat16))
    param.grad_dtype = torch.float32
    optimizer = thetac.GradientDescent([param], lr=1.0, **options)
    for factor in (1.0, 2**-9):
        (param * torch.full((3,), factor, dtype=torch.bfloat16)).sum().backward()
    assert param.grad is not None
    assert param.grad.dtype is torch.float32
    optimizer.param_groups[0]["lr"] = 256.0
    optimizer.step()
    assert torch.equal(param, torch.full((3,), -256.5).bfloat16())


def test_another_dtype_in_a_later_step_is_seen(options: dict[str, bool]) -> None:
    """`grad_dtype = None` lets each gradient have its own."""
    optimizer, control = (make("AdamW", torch.float32, None, **options) for _ in range(2))
    for step, dtype in enumerate((torch.float32, torch.bfloat16, torch.float64, torch.float32)):
        give(optimizer, dtype, step)
        give(control, torch.float32, step)
        optimizer.step()
        control.step()
    assert_same_training(optimizer, control, rtol=1e-6, atol=1e-7)


def test_parameters_beside_each_other(options: dict[str, bool]) -> None:
    """Of one group, with gradients of different dtypes."""
    optimizer, control = (make("AdamW", torch.bfloat16, None, **options) for _ in range(2))
    give(optimizer, torch.float32, 0)
    give(control, torch.float32, 0)
    params_of(optimizer)[0].grad = params_of(optimizer)[0].grad.bfloat16()
    optimizer.step()
    control.step()
    assert_same_training(optimizer, control, rtol=2e-2, atol=1e-6)


def test_what_grad_dtype_does_not_allow_is_an_error(options: dict[str, bool]) -> None:
    """A gradient that was there when the parameter got another dtype."""
    optimizer = thetac.AdamW(parameters(SHAPES), **options)
    give(optimizer, torch.float32, 0)
    params_of(optimizer)[1].data = params_of(optimizer)[1].data.double()
    before = picture(optimizer)
    with pytest.raises(
        RuntimeError, match=r"^the gradient of parameter 1 of group 0 is torch.float32, not torch.float64$"
    ):
        optimizer.step()
    assert_unchanged(before, optimizer)
