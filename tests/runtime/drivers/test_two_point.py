"""Steps that evaluate twice: against the authors' formulas around other rules, and everything that may go wrong."""

from __future__ import annotations

import copy
import pickle
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.amp import GradScaler

import thetac
from tests.oracles.sharpness import Ascent, ascend_asam, ascend_sam
from tests.support.comparing import assert_identical
from tests.support.paths import ROOT
from tests.support.runtime_helpers import assert_unchanged, give_gradients, parameters, picture, run_kernels_of
from tests.support.step_helpers import IMPLEMENTATIONS, Options
from thetac.runtime.optimizer import Optimizer

FEATURES: dict[str, tuple[dict[str, Any], Ascent]] = {
    "sam": ({"rho": 0.1}, ascend_sam),
    "sam, adaptive": ({"rho": 0.5, "adaptive": True}, ascend_sam),
    "asam": ({"rho": 0.3, "eta": 0.1}, ascend_asam),
    "asam, not scaled": ({"rho": 0.1, "scaled": False}, ascend_asam),
}


def loss_of(params: Sequence[Tensor]) -> Tensor:
    return torch.stack([(param**2).sum() + (3 * param).sin().sum() for param in params]).sum()


def closure_of(optimizer: Any, params: Sequence[Tensor]) -> Callable[[], float]:
    def closure() -> float:
        optimizer.zero_grad()
        loss = loss_of(params)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.item()

    return closure


def sharp(params: Sequence[Tensor], **values: object) -> Any:
    made: Any = thetac.compose("AdamW", sam={"rho": 0.1})
    return made(params, **values)


@pytest.mark.feature("step", "the gradient of another point, around any optimizer")
@pytest.mark.usefixtures("quick_builds")
@pytest.mark.parametrize(
    ("rule", "options"),
    [
        *(("AdamW", options) for options in (*IMPLEMENTATIONS.values(), {"fused": True, "triton": True})),
        ("Lion", {"foreach": True}),
        ("SGD", {"foreach": False}),
    ],
    ids=str,
)
@pytest.mark.parametrize("case", FEATURES)
def test_features_around_a_rule(case: str, rule: str, options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    """The authors' ascent in torch's operations, then a step of the rule without the feature."""
    if "triton" in options:
        run_kernels_of("Triton", monkeypatch)
        options = {"fused": True}
    settings, ascend = FEATURES[case]
    made: Any = thetac.compose(rule, **{case.partition(",")[0]: settings})
    params, twins = parameters(dtype=torch.float64), parameters(dtype=torch.float64)
    optimizer, plain = made(params, lr=1e-2, **options), getattr(thetac, rule)(twins, lr=1e-2, foreach=False)
    closure, of_twins = closure_of(optimizer, params), closure_of(plain, twins)
    for _ in range(8):
        loss = of_twins()
        before = [twin.detach().clone() for twin in twins]
        with torch.no_grad():
            ascend(list(twins), settings)
        of_twins()
        with torch.no_grad():
            torch._foreach_copy_(twins, before)
        plain.step()
        assert optimizer.step(closure) == pytest.approx(loss, rel=1e-12)
    for param, twin in zip(params, twins, strict=True):
        torch.testing.assert_close(param, twin, rtol=1e-12, atol=1e-12)


def test_a_spec_with_the_feature_is_the_composed_class() -> None:
    spec = "optimizer: SharpAdamW\nextends: AdamW\nsummary: AdamW with SAM.\nfeatures:\n  sam: {rho: 0.1}\n"
    runs = []
    for made in (thetac.load(spec), thetac.compose("AdamW", sam={"rho": 0.1})):
        params = parameters()
        optimizer: Any = made(params)
        assert optimizer.defaults["sam_rho"] == 0.1
        for _ in range(3):
            optimizer.step(closure_of(optimizer, params))
        runs.append([param.detach() for param in params])
    assert_identical(*runs)


def test_specs_are_sgd_with_the_feature() -> None:
    for name, feature in (("SAM", "sam"), ("ASAM", "asam")):
        runs = []
        for made in (getattr(thetac, name), thetac.compose("SGD", **{feature: True})):
            params = parameters()
            optimizer: Any = made(params, lr=0.01, momentum=0.9)
            for _ in range(3):
                optimizer.step(closure_of(optimizer, params))
            runs.append([param.detach() for param in params])
        assert_identical(*runs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.complex64])
@pytest.mark.parametrize("options", IMPLEMENTATIONS.values(), ids=IMPLEMENTATIONS)
def test_parameters_are_restored_to_the_bit_in_their_memory(options: Options, dtype: torch.dtype) -> None:
    special = torch.tensor([0.0, -0.0, 1e-45, float("inf"), -float("inf"), float("nan"), 1.1], dtype=dtype)
    strided = torch.randn(6, 5, dtype=dtype)[:, ::2].t()
    params = [torch.nn.Parameter(value) for value in (special, strided, torch.randn(3, 5, dtype=dtype))]
    memory = [param.data_ptr() for param in params]
    optimizer = sharp(params, **options)
    give_gradients(params, 1)
    before = [param.detach().clone() for param in params]
    optimizer.first_step()
    assert all(not torch.equal(param, value) for param, value in zip(params, before, strict=True))
    optimizer.restore()
    for param, value, address in zip(params, before, memory, strict=True):
        assert param.data_ptr() == address
        bits = [torch.view_as_real(x) if x.is_complex() else x for x in (param.detach(), value)]
        assert_identical(*(x.contiguous().view(torch.uint8) for x in bits))
    assert not optimizer.state


@pytest.mark.feature("faults", "a closure that raises at its second evaluation leaves everything as it was")
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("evaluation", [1, 2])
@pytest.mark.parametrize("steps", [0, 2])
def test_a_closure_that_raises_changes_nothing(evaluation: int, error: type[BaseException], steps: int) -> None:
    params = parameters()
    optimizer = sharp(params)
    usual, calls = closure_of(optimizer, params), 0
    for _ in range(steps):
        optimizer.step(usual)

    def closure() -> float:
        nonlocal calls
        calls += 1
        loss = usual()
        if calls == evaluation:
            raise error
        return loss

    before = picture(optimizer)
    with pytest.raises(error):
        optimizer.step(closure)
    assert_unchanged(before, optimizer)
    assert calls == evaluation
    optimizer.step(usual)


def test_gradients_that_a_check_refuses_change_nothing() -> None:
    params = parameters()
    optimizer = sharp(params)
    optimizer.step(closure_of(optimizer, params))

    def closure(sparse: int) -> Callable[[], float]:
        calls = 0

        def evaluate() -> float:
            nonlocal calls
            calls += 1
            give_gradients(params, calls)
            if calls == sparse:
                params[0].grad = params[0].grad.to_sparse()  # type: ignore[union-attr]
            return 0.0

        return evaluate

    for evaluation in (1, 2):
        before = picture(optimizer)
        with pytest.raises(RuntimeError, match="does not support sparse gradients"):
            optimizer.step(closure(evaluation))
        assert_unchanged(before, optimizer)


def test_parameters_whose_gradients_come_and_go() -> None:
    """Only what has a gradient is perturbed, and what has a second one is updated."""
    params = parameters()
    optimizer = sharp(params)
    calls = 0

    def closure() -> float:
        nonlocal calls
        calls += 1
        for index, param in enumerate(params):
            param.grad = None if index == calls else torch.ones_like(param)
        return 0.0

    before = [param.detach().clone() for param in params]
    optimizer.step(closure)
    assert_identical(params[2].detach(), before[2])
    assert params[2] not in optimizer.state
    assert all(not torch.equal(params[index], before[index]) for index in (0, 1, 3))


def test_hooks_run_once_around_all_of_it() -> None:
    params = parameters()
    optimizer = sharp(params)
    seen: list[str] = []
    closure = closure_of(optimizer, params)

    def noting() -> float:
        seen.append("closure")
        return closure()

    optimizer.register_step_pre_hook(lambda *_: seen.append("before"))
    optimizer.register_step_post_hook(lambda *_: seen.append("after"))
    optimizer.step(noting)
    assert seen == ["before", "closure", "closure", "after"]
    seen.clear()
    noting()
    optimizer.first_step()
    noting()
    optimizer.second_step()
    assert seen == ["closure", "closure", "before", "after"]


@pytest.mark.parametrize("options", IMPLEMENTATIONS.values(), ids=IMPLEMENTATIONS)
def test_two_halves_are_a_step(options: Options) -> None:
    """A scheduler has no reason to warn that there was none."""
    runs = []
    for halves in (False, True):
        params = parameters()
        optimizer = sharp(params, clip_grad_norm=0.5, **options)
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, 2)
        closure = closure_of(optimizer, params)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for _ in range(4):
                if halves:
                    closure()
                    optimizer.first_step()
                    closure()
                    optimizer.second_step()
                else:
                    optimizer.step(closure)
                schedule.step()
        runs.append(picture(optimizer)["parameters"])  # type: ignore[index]
    assert_identical(*runs)


@pytest.mark.feature("ecosystem", "GradScaler with two evaluations: `first_step` and `second_step`")
@pytest.mark.parametrize("options", IMPLEMENTATIONS.values(), ids=IMPLEMENTATIONS)
@pytest.mark.parametrize("infinite", [0, 1, 2])
def test_a_grad_scaler(options: Options, infinite: int) -> None:
    """Its scale is a power of 2, so that the run is that without it; what is infinite skips a step."""
    params, twins = parameters(), parameters()
    optimizer, plain = sharp(params, **options), sharp(twins, **options)
    scaler = GradScaler("cpu", init_scale=2.0**10, growth_interval=100)
    for step in range(4):
        skipped = infinite and step == 2
        before = picture(optimizer)
        for evaluation in (1, 2):
            optimizer.zero_grad()
            scale = float("inf") if skipped and evaluation == infinite else 1.0
            scaler.scale(scale * loss_of(params)).backward()
            if evaluation == 1:
                scaler.unscale_(optimizer)
                optimizer.first_step()
        optimizer.second_step(scaler)
        scaler.update()
        assert scaler.get_scale() == 2.0 ** (9 if infinite and step >= 2 else 10)
        if skipped:
            assert_identical(picture(optimizer), before)
        else:
            plain.step(closure_of(plain, twins))
    for param, twin in zip(params, twins, strict=True):
        torch.testing.assert_close(param, twin, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("options", [{"foreach": False}, {"fused": True}], ids=str)
@pytest.mark.parametrize("closure", [False, True])
def test_a_grad_scaler_cannot_step_by_itself(options: Options, closure: bool) -> None:
    params = parameters()
    optimizer, scaler = sharp(params, **options), GradScaler("cpu")
    scaler.scale(loss_of(params)).backward()
    with pytest.raises(RuntimeError) as raised:
        scaler.step(optimizer, *([closure_of(optimizer, params)] if closure else []))
    assert str(raised.value) == (
        "SAMAdamW evaluates twice in a step, so scaler.step(optimizer) cannot run it: call optimizer.first_step() "
        "after scaler.unscale_(optimizer), and optimizer.second_step(scaler) after the second backward"
    )
    optimizer.step(closure_of(optimizer, params))


def test_a_scaler_that_is_disabled() -> None:
    params, twins = parameters(), parameters()
    optimizer, plain, scaler = sharp(params), sharp(twins), GradScaler("cpu", enabled=False)
    closure_of(optimizer, params)()
    scaler.unscale_(optimizer)
    optimizer.first_step()
    closure_of(optimizer, params)()
    optimizer.second_step(scaler)
    plain.step(closure_of(plain, twins))
    assert_identical([param.detach() for param in params], [twin.detach() for twin in twins])


def test_what_is_refused_while_parameters_are_perturbed() -> None:
    params = parameters()
    optimizer = sharp(params)
    closure = closure_of(optimizer, params)
    optimizer.step(closure)
    saved = copy.deepcopy(optimizer.state_dict())
    with pytest.raises(RuntimeError, match=r"^SAMAdamW: second_step comes after first_step$"):
        optimizer.second_step()
    before = picture(optimizer)
    closure()
    optimizer.first_step()
    calls: dict[str, Callable[[], object]] = {
        "first_step": optimizer.first_step,
        "step": lambda: optimizer.step(closure),
        "state_dict": optimizer.state_dict,
        "load_state_dict": lambda: optimizer.load_state_dict(saved),
        "pickle": lambda: pickle.dumps(optimizer),
    }
    for name, call in calls.items():
        with pytest.raises(RuntimeError) as raised:
            call()
        assert str(raised.value) == (
            f"SAMAdamW: {name} comes before first_step or after second_step, which restores the parameters; "
            "restore() does it without an update"
        )
    optimizer.restore()
    optimizer.restore()
    assert_unchanged(before, optimizer)
    assert_identical(optimizer.state_dict(), saved)


def test_checkpoints_of_the_rule_and_back() -> None:
    """The rule's keys are all there, in its order; what it lacks keeps its default."""
    params, twins = parameters(), parameters()
    plain = thetac.AdamW(twins, lr=0.02)
    for _ in range(3):
        closure_of(plain, twins)()
        plain.step()
    optimizer = sharp(params)
    optimizer.load_state_dict(copy.deepcopy(plain.state_dict()))
    assert optimizer.param_groups[0]["lr"] == 0.02
    assert optimizer.param_groups[0]["sam_rho"] == 0.1
    optimizer.step(closure_of(optimizer, params))
    saved = optimizer.state_dict()
    assert set(saved["state"][0]) == set(plain.state_dict()["state"][0])
    plain.load_state_dict(copy.deepcopy(saved))
    assert_identical([dict(plain.state[twin]) for twin in twins], [dict(optimizer.state[param]) for param in params])


def test_a_run_goes_on_from_a_checkpoint_and_a_copy() -> None:
    params = parameters()
    optimizer = sharp(params)
    closure = closure_of(optimizer, params)
    for _ in range(3):
        optimizer.step(closure)
    twins = [torch.nn.Parameter(param.detach().clone()) for param in params]
    resumed = sharp(twins)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    copied = copy.deepcopy(optimizer)
    others = copied.param_groups[0]["params"]
    for _ in range(3):
        optimizer.step(closure)
        resumed.step(closure_of(resumed, twins))
        copied.step(closure_of(copied, others))
    for run in (twins, others):
        assert_identical([one.detach() for one in run], [param.detach() for param in params])


def test_the_copies_are_kept_in_the_same_memory_and_in_no_state() -> None:
    params = parameters()
    optimizer = sharp(params)
    closure = closure_of(optimizer, params)
    addresses = set()
    for _ in range(3):
        optimizer.step(closure)
        addresses.add(tuple(buffer.data_ptr() for buffer in optimizer._copies._buffers))
    assert len(addresses) == 1
    assert set(optimizer.state[params[0]]) == {"step", "exp_avg", "exp_avg_sq"}


def test_groups_are_added_and_parameters_change_their_form() -> None:
    params = parameters()
    optimizer = sharp(params[:2])
    optimizer.step(closure_of(optimizer, params[:2]))
    optimizer.add_param_group({"params": params[2:], "sam_rho": 0.3})
    optimizer.step(closure_of(optimizer, params))
    with torch.no_grad():
        params[0].data = torch.randn(7, 3)
    optimizer.state.pop(params[0])
    optimizer.step(closure_of(optimizer, params))
    assert params[0].shape == (7, 3)


def test_a_point_of_gradients_that_are_all_0() -> None:
    for feature in ("sam", "asam"):
        params = [torch.nn.Parameter(torch.zeros(3))]
        optimizer: Any = thetac.compose("SGD", **{feature: True})(params, lr=0.1)  # type: ignore[call-arg]

        def closure(params: Any = params) -> float:
            params[0].grad = torch.zeros(3)
            return 0.0

        optimizer.step(closure)
        assert_identical(params[0].detach(), torch.zeros(3))


def test_a_compiled_step_breaks_the_graph() -> None:
    params, twins = parameters(), parameters()
    optimizer, plain = sharp(params), sharp(twins)
    compiled = torch.compile(optimizer.step, backend="eager")
    for _ in range(2):
        compiled(closure_of(optimizer, params))
        plain.step(closure_of(plain, twins))
    assert_identical([param.detach() for param in params], [twin.detach() for twin in twins])


def test_a_differentiable_step_takes_the_second_gradient_as_it_is() -> None:
    """What is restored is no function of anything: the derivative is that of the update alone."""
    start = torch.randn(4, dtype=torch.float64, requires_grad=True)
    param = start.clone()
    optimizer: Any = thetac.compose("SGD", sam={"rho": 0.3})([param], lr=0.1, differentiable=True)  # type: ignore[call-arg]

    def closure() -> float:
        param.grad = 2 * param.detach()
        return 0.0

    optimizer.step(closure)
    param.sum().backward()  # type: ignore[no-untyped-call]
    assert_identical(start.grad, torch.ones(4, dtype=torch.float64))


def test_steps_without_gradients() -> None:
    made: type[Optimizer] = thetac.compose("AdamW", sam=True)
    optimizer: Any = made(parameters())
    assert optimizer.step(lambda: 3.0) == 3.0
    assert not optimizer.state


def test_the_example(capsys: pytest.CaptureFixture[str]) -> None:
    """Sharp points, where wrong labels are learnt by heart, are left."""
    sys.path.insert(0, str(ROOT / "examples"))
    try:
        import sam_digits
    finally:
        sys.path.pop(0)
    with torch.random.fork_rng([]):
        plain, aware = sam_digits.main(["--epochs", "40"])
    assert plain.loss < aware.loss
    assert plain.accuracy + 0.005 < aware.accuracy
    assert "AdamW with SAM" in capsys.readouterr().out
