"""torch's GradScaler around steps of all optimizers, torch's classes beside them."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator

import pytest
import torch
from every_optimizer import error_of, every_optimizer, ours, remembering, torchs
from host_reads import HostRead, no_host_reads
from runtime_helpers import assert_identical, assert_same_training, parameters, picture, run_kernels_of, states
from torch import Tensor

import thetac
from thetac.runtime.optimizer import Optimizer

IMPLEMENTATIONS: dict[str, dict[str, bool]] = {
    "for-loop": {"foreach": False},
    "foreach": {"foreach": True},
    "default": {},
    "C++": {"fused": True},
    "Triton": {"fused": True},
}
SHAPES = ((5, 3), (7,), ())
SCALE = 1000.0  # no power of two, so that unscaling rounds
TORCH_FUSED = ("Adagrad", "Adam", "AdamW", "SGD")


@pytest.fixture(params=IMPLEMENTATIONS)
def options(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bool]]:
    if request.param in ("C++", "Triton"):
        run_kernels_of(request.param, monkeypatch)
    return IMPLEMENTATIONS[request.param]


@pytest.fixture
def triton(monkeypatch: pytest.MonkeyPatch) -> None:
    run_kernels_of("Triton", monkeypatch)


def scaler(scale: float = SCALE) -> torch.amp.GradScaler:
    return torch.amp.GradScaler("cpu", init_scale=scale, growth_interval=2)


def make(name: str, **arguments: object) -> Optimizer:
    return ours(name)(parameters(SHAPES), **{**remembering(name), **arguments})


def params_of(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [param for group in optimizer.param_groups for param in group["params"]]


def backward(optimizer: torch.optim.Optimizer, step: int, by: torch.amp.GradScaler, *, overflow: bool = False) -> None:
    """Gradients that are the same for every optimizer of equal parameters, as the scaler scales them."""
    generator = torch.Generator().manual_seed(step)
    optimizer.zero_grad()
    terms = [(param * torch.randn(param.shape, generator=generator)).sum() for param in params_of(optimizer)]
    if overflow:
        terms.append(params_of(optimizer)[1].flatten()[0] * 3e38)
    by.scale(torch.stack(terms).sum()).backward()


def train(optimizer: torch.optim.Optimizer, by: torch.amp.GradScaler, overflows: tuple[int, ...] = ()) -> list[float]:
    """Five steps. Returns the scale after each."""
    scales = []
    for step in range(5):
        backward(optimizer, step, by, overflow=step in overflows)
        by.step(optimizer)
        by.update()
        scales.append(by.get_scale())
    return scales


def gradients(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [param.grad.clone() for param in params_of(optimizer)]


def pretending_to_unscale(optimizer: torch.optim.Optimizer, scale: float) -> None:
    """What kernels do: divide. torch's scaler multiplies by the reciprocal."""
    for param in params_of(optimizer):
        param.grad.div_(scale)


# What a scaled step does.


@pytest.mark.feature("modes", "GradScaler: bit for bit as torch's class with the for-loop, skipped steps included")
@pytest.mark.parametrize("overflows", [(), (2,), (0, 1, 3)], ids=str)
@every_optimizer
def test_the_for_loop_is_torchs(
    name: str, overflows: tuple[int, ...], record_property: Callable[[str, object], None]
) -> None:
    control = torchs(name)
    if control is None:
        record_property("why not", "torch has none for it")
        return
    mine = make(name, foreach=False)
    theirs = control(parameters(SHAPES), **remembering(name), foreach=False)
    assert train(mine, scaler(), overflows) == train(theirs, scaler(), overflows)
    assert_identical(gradients(mine), gradients(theirs))
    assert_same_training(mine, theirs)


@pytest.mark.feature("modes", "GradScaler: fused steps unscale on the fly, and write the quotients back")
@every_optimizer
@pytest.mark.parametrize("kernels", ["C++", "Triton"])
def test_fused_steps_unscale(name: str, kernels: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run_kernels_of(kernels, monkeypatch)
    scaled, plain, by = make(name, fused=True), make(name, fused=True), scaler()
    for step in range(5):
        scale = by.get_scale() if step else SCALE
        for optimizer in (scaled, plain):
            backward(optimizer, step, by)
        pretending_to_unscale(plain, scale)
        by.step(scaled)
        by.update()
        plain.step()
        assert_identical(gradients(scaled), gradients(plain))
    assert by.get_scale() > SCALE
    if kernels == "C++":
        assert_same_training(scaled, plain)
    else:  # where a step may be skipped its numbers are computed on the device
        assert_same_training(scaled, plain, rtol=3e-7, atol=1e-7)


@pytest.mark.parametrize("name", TORCH_FUSED)
def test_torchs_fused_steps_do_the_same(name: str, options: dict[str, bool]) -> None:
    """The same gradients after the step, the same scales, and the same training to rounding."""
    if not options.get("fused"):
        return
    control = torchs(name)
    assert control is not None
    mine, theirs = make(name, fused=True), control(parameters(SHAPES), **remembering(name), fused=True)
    by = scaler(), scaler()
    for step in range(5):
        for optimizer, one in zip((mine, theirs), by, strict=True):
            backward(optimizer, step, one, overflow=step == 2)
            before = gradients(optimizer)
            one.step(optimizer)
            one.update()
            if step == 2:
                assert_identical(before, gradients(optimizer))
        torch.testing.assert_close(gradients(mine), gradients(theirs), rtol=2e-7, atol=0)
        assert by[0].get_scale() == by[1].get_scale()
    assert_same_training(mine, theirs, rtol=1e-5, atol=1e-7)


@pytest.mark.feature("modes", "GradScaler: a skipped step leaves parameters, state, counters and gradients alone")
@every_optimizer
def test_a_skipped_step_leaves_everything(name: str, options: dict[str, bool]) -> None:
    optimizer, by = make(name, **options), scaler()
    for step in range(3):
        backward(optimizer, step, by)
        by.step(optimizer)
        by.update()
    backward(optimizer, 3, by, overflow=True)
    before, grads = picture(optimizer), gradients(optimizer)
    by.step(optimizer)
    assert_identical(before, picture(optimizer))
    if options.get("fused"):  # torch's scaler has unscaled them where the step does not
        assert_identical(grads, gradients(optimizer))


@pytest.mark.feature("modes", "GradScaler: skipped first steps do not count")
@every_optimizer
def test_skipped_first_steps_do_not_count(name: str, options: dict[str, bool]) -> None:
    """Even where a rule does something else in the step that makes its state, as momentum with dampening does."""
    arguments = {"dampening": 0.5} if name == "SGD" else {}
    skipping, plain = make(name, **arguments, **options), make(name, **arguments, **options)
    by = scaler(4096.0), scaler(1024.0)
    for step in range(2):
        backward(skipping, step, by[0], overflow=True)
        by[0].step(skipping)
        by[0].update()
    by[1].scale(torch.ones(()))
    assert by[0].get_scale() == by[1].get_scale()
    for step in range(3):
        for optimizer, one in zip((skipping, plain), by, strict=True):
            backward(optimizer, step, one)
            one.step(optimizer)
            one.update()
    assert_same_training(skipping, plain)


# Unscaled by hand.


@pytest.mark.feature("modes", "GradScaler: unscale_ and clip_grad_norm_ before the step, as torch's class")
@every_optimizer
def test_unscaled_and_clipped_before_the_step(name: str, options: dict[str, bool]) -> None:
    control = torchs(name)
    optimizers: list[torch.optim.Optimizer] = [make(name, **options)]
    if control is not None:
        optimizers.append(control(parameters(SHAPES), **remembering(name), foreach=False))
    by = [scaler() for _ in optimizers]
    for step in range(5):
        for optimizer, one in zip(optimizers, by, strict=True):
            backward(optimizer, step, one, overflow=step == 3)
            one.unscale_(optimizer)
            torch.nn.utils.clip_grad_norm_(params_of(optimizer), 0.5)
            before, clipped = picture(optimizer), gradients(optimizer)
            one.step(optimizer)
            one.update()
            assert_identical(clipped, gradients(optimizer))
            if step == 3:
                assert_identical(before, picture(optimizer))
    if control is not None:
        exact = options == {"foreach": False} or options == {"foreach": True}
        assert_same_training(*optimizers, **({} if exact else {"rtol": 1e-5, "atol": 1e-6}))


@pytest.mark.feature("modes", "GradScaler: an infinity in one of several optimizers skips that one alone")
@every_optimizer
def test_one_of_several_optimizers_overflows(name: str, options: dict[str, bool]) -> None:
    fine, overflown, by = make(name, **options), make(name, **options), scaler()
    alone, by_itself = make(name, **options), scaler()
    for step in range(4):
        for optimizer in (fine, overflown):
            backward(optimizer, step, by, overflow=step == 2 and optimizer is overflown)
        before = picture(overflown)
        for optimizer in (fine, overflown):
            by.step(optimizer)
        if step == 2:
            assert_identical(before, picture(overflown))
        by.update()
        backward(alone, step, by_itself)
        by_itself.step(alone)
        by_itself.update(by.get_scale())
    assert by.get_scale() == SCALE  # grown by two after two steps, halved after the third
    assert_same_training(fine, alone)


# The norm.


@pytest.mark.feature("modes", "GradScaler with clip_grad_norm: the norm is that of unscaled gradients")
@pytest.mark.parametrize("kernels", ["C++", "Triton"])
@every_optimizer
def test_the_norm_of_scaled_gradients(name: str, kernels: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run_kernels_of(kernels, monkeypatch)
    scaled, plain = (make(name, fused=True, clip_grad_norm=0.5) for _ in range(2))
    by = scaler()
    for step in range(3):
        for optimizer in (scaled, plain):
            backward(optimizer, step, by)
        pretending_to_unscale(plain, SCALE)
        by.step(scaled)
        plain.step()
        assert isinstance(scaled.grad_norm, Tensor)
        torch.testing.assert_close(scaled.grad_norm, plain.grad_norm)
        by.update(SCALE)
    assert_same_training(scaled, plain, rtol=1e-6, atol=1e-7)
    backward(scaled, 3, by, overflow=True)
    before = picture(scaled)
    by.step(scaled)
    assert_identical(before, picture(scaled))
    assert scaled.grad_norm.isinf(), "that of the gradients for which the step was skipped"


# Where the numbers are a GPU's.


@pytest.mark.feature("modes", "GradScaler: fused steps on a GPU do not make the host wait, skipped ones included")
@every_optimizer
def test_the_host_reads_nothing(name: str, triton: None) -> None:
    optimizer, by = make(name, fused=True), scaler()
    for step in range(6):
        backward(optimizer, step, by, overflow=step in (1, 4))
        if step < 3:
            by.step(optimizer)
        else:
            with no_host_reads():
                by.step(optimizer)
        by.update()
    assert "Triton for 3 parameters" in optimizer.explain()
    counters = [entry[s.name] for entry in states(optimizer) for s in optimizer.schema.states if s.kind == "counter"]
    assert all(counter == 4 for counter in counters)


def test_the_stand_in_notices_reads(triton: None) -> None:
    optimizer = thetac.AdamW(parameters(SHAPES), fused=True)
    by = scaler()
    backward(optimizer, 0, by)
    with no_host_reads(), pytest.raises(HostRead):  # without a scaler the numbers are the host's
        optimizer.step()


@pytest.mark.parametrize("name", ["AdamW", "NAdam", "ASGD", "SGD"])
def test_with_and_without_a_scaler_in_turn(name: str, triton: None) -> None:
    """Counters move to the device with the first scaled step, and go on with every other."""
    mixed, plain, by = make(name, fused=True), make(name, fused=True), scaler(1024.0)
    for step in range(6):
        for optimizer in (mixed, plain):
            backward(optimizer, step, by)
        if step in (2, 3, 5):
            by.step(mixed)
        else:
            pretending_to_unscale(mixed, 1024.0)
            mixed.step()
        pretending_to_unscale(plain, 1024.0)
        plain.step()
        if step in (2, 3, 5):
            by.update(1024.0)
    assert_same_training(mixed, plain, rtol=3e-7, atol=1e-7)
    assert "a step that may be skipped counts on the device" in mixed.explain()


def test_found_inf_of_several_devices_adds_up(triton: None) -> None:
    """torch subtracts the sum from its counters."""
    optimizer = thetac.AdamW(parameters(SHAPES), fused=True)
    by = scaler()
    for found in (0.0, 2.0, 0.0):
        backward(optimizer, 0, by)
        optimizer.found_inf, optimizer.grad_scale = torch.tensor(found), torch.tensor(1.0)
        optimizer.step()
    assert all(entry["step"] == 2 for entry in states(optimizer))


# Who supports it.


@pytest.mark.feature("modes", "GradScaler: the step unscales only with an explicit fused=True")
@every_optimizer
def test_who_unscales(name: str) -> None:
    for arguments in ({}, {"foreach": True}, {"foreach": False}, {"fused": False}, {"fused": None}):
        assert not getattr(make(name, **arguments), "_step_supports_amp_scaling", False)
    assert make(name, fused=True)._step_supports_amp_scaling
    assert not getattr(ours(name), "_step_supports_amp_scaling", False)


def _loaded(cls: type[torch.optim.Optimizer], had: bool | None, comes: bool | None) -> torch.optim.Optimizer:
    optimizer = cls(parameters(SHAPES), fused=had)
    optimizer.load_state_dict(cls(parameters(SHAPES), fused=comes).state_dict())
    return optimizer


def _with_group(cls: type[torch.optim.Optimizer], had: bool | None, comes: bool | None) -> torch.optim.Optimizer:
    optimizer = cls(parameters(SHAPES), fused=had)
    optimizer.add_param_group({"params": parameters([(2,)], seed=5), "fused": comes})
    return optimizer


CHANGES: dict[str, Callable[[type[torch.optim.Optimizer], bool | None, bool | None], torch.optim.Optimizer]] = {
    "loaded": _loaded,
    "another group": _with_group,
    "pickled": lambda cls, had, _: pickle.loads(pickle.dumps(cls(parameters(SHAPES), fused=had))),
    "copied": lambda cls, had, _: copy.deepcopy(cls(parameters(SHAPES), fused=had)),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("had", [None, True])
@pytest.mark.parametrize("comes", [None, True])
@pytest.mark.parametrize("name", TORCH_FUSED)
def test_who_unscales_after_changes(name: str, change: Callable[..., object], had: bool, comes: bool) -> None:
    """As torch's classes: what the constructor said, and nothing once pickled."""
    control = torchs(name)
    assert control is not None
    mine, theirs = (
        getattr(change(cls, had, comes), "_step_supports_amp_scaling", None) for cls in (ours(name), control)
    )
    assert mine == theirs


@pytest.mark.parametrize("kernels", ["C++", "Triton"])
@pytest.mark.parametrize("other", [False, None])
def test_groups_of_other_implementations_unscale_too(
    kernels: str, other: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch raises an AssertionError from within the step."""
    run_kernels_of(kernels, monkeypatch)

    def groups() -> list[dict[str, object]]:
        first, second, third = parameters(SHAPES)
        return [{"params": [first, third]}, {"params": [second], "fused": other}]

    scaled, plain, by = thetac.Adam(groups(), fused=True), thetac.Adam(groups(), fused=True), scaler(1024.0)
    for step in range(4):
        for optimizer in (scaled, plain):
            backward(optimizer, step, by, overflow=step == 2)
        pretending_to_unscale(plain, by.get_scale())
        before, grads = picture(scaled), gradients(scaled)
        by.step(scaled)
        if step == 2:
            assert_identical((before, grads), (picture(scaled), gradients(scaled)))
        else:
            plain.step()
            assert_identical(gradients(scaled), gradients(plain))
        by.update()
    assert_same_training(scaled, plain, rtol=3e-7, atol=1e-7)


@pytest.mark.parametrize("sparse", [False, True])
def test_sparse_gradients_are_unscaled(sparse: bool) -> None:
    """Kernels do not take them, so they fall back under `fused=True`; entries that occur twice are not merged."""
    param = torch.nn.Parameter(torch.ones(5))
    optimizer = thetac.SGD([param], lr=1.0, fused=True)
    grad = torch.sparse_coo_tensor(
        torch.tensor([[1, 1, 2]]), torch.tensor([2.0, 2.0, 4.0]), (5,), check_invariants=True
    )
    param.grad = grad if sparse else grad.to_dense()
    optimizer.grad_scale, optimizer.found_inf = torch.tensor(2.0), torch.tensor(0.0)
    optimizer.step()
    assert param.tolist() == [1.0, -1.0, -1.0, 1.0, 1.0]
    assert param.grad.to_dense().tolist() == [0.0, 2.0, 2.0, 0.0, 0.0]
    if sparse:
        assert not param.grad.is_coalesced()


def test_lazily_negated_gradients_are_unscaled(options: dict[str, bool]) -> None:
    """Kernels get copies of them; the quotients are written back all the same."""
    param = torch.nn.Parameter(torch.ones(3))
    optimizer = thetac.SGD([param], lr=1.0, **options)
    for _ in range(2):
        param.grad = torch._neg_view(torch.tensor([2.0, 4.0, 6.0]))
        optimizer.grad_scale, optimizer.found_inf = torch.tensor(2.0), torch.tensor(0.0)
        optimizer.step()
        assert param.grad.tolist() == [-1.0, -2.0, -3.0]
    assert param.tolist() == [3.0, 5.0, 7.0]


# What the scaler refuses.


@pytest.mark.feature("modes", "GradScaler: closures are refused, and steps without gradients, as with torch's class")
@every_optimizer
def test_what_the_scaler_refuses(name: str, options: dict[str, bool]) -> None:
    control, by = torchs(name), scaler()
    theirs = options if not options.get("fused") or name in TORCH_FUSED else {}
    optimizers: list[torch.optim.Optimizer] = [make(name, **options)]
    if control is not None:
        optimizers.append(control(parameters(SHAPES), **theirs))
    by.scale(torch.ones(()))
    for optimizer in optimizers:
        kind, text = error_of(lambda optimizer=optimizer: by.step(optimizer, closure=lambda: 0.0))
        assert (kind, text) == (RuntimeError, "Closure use is not currently supported if GradScaler is enabled.")
        before = picture(optimizer)
        if getattr(optimizer, "_step_supports_amp_scaling", False):
            assert by.step(optimizer) is None  # found_inf is the number 0
        else:
            assert error_of(lambda optimizer=optimizer: by.step(optimizer)) == (
                AssertionError,
                "No inf checks were recorded for this optimizer.",
            )
        assert_identical(before, picture(optimizer))
        disabled = torch.amp.GradScaler("cpu", enabled=False)
        assert disabled.step(optimizer, closure=lambda: 0.25) == 0.25
