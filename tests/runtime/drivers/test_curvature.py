"""Steps that estimate the Hessian's diagonal: against the whole Hessian, and everything that may go wrong."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.amp import GradScaler

import thetac
from tests.support.comparing import assert_identical
from tests.support.runtime_helpers import assert_unchanged, give_gradients, parameters, picture, run_kernels_of
from thetac.runtime.drivers.random_numbers import rademacher_like

SHAPES = ((4, 3), (5,), (), (2, 3, 2, 2))
CURVED = """\
optimizer: CurvedDescent
summary: Gradient descent that keeps the latest estimate of the Hessian's diagonal.
hyperparameters:
  lr:          {default: 0.01, range: "[0, inf)"}
  update_each: {default: 2, integer: true, range: "[1, inf)", doc: "steps between two estimates"}
  seed:        {default: 7, integer: true, range: "[0, inf)", doc: "of the probes"}
state:
  diagonal: {init: zeros, doc: "the latest estimate"}
complex: unsupported
driver: curvature
estimate: |
  diagonal = grad
update: |
  param = param - lr * grad / (1 + abs(diagonal))
"""
pytestmark = pytest.mark.filterwarnings("ignore:Using backward.* with create_graph=True")


def loss_of(params: Sequence[Tensor]) -> Tensor:
    flat = torch.cat([param.flatten() for param in params])
    return (flat.sin() * flat.roll(1)).sum() + 0.5 * flat.pow(4).sum() + 0.1 * flat.sum() ** 2


def curved(params: Sequence[Tensor], **values: object) -> Any:
    made: Any = thetac.load(CURVED)
    return made(params, **values)


def products(params: Sequence[Tensor], seed: int, draw: int) -> list[Tensor]:
    """Probe times Hessian times probe, from the whole Hessian."""
    flat = torch.cat([param.detach().flatten() for param in params])
    sizes, shapes = [param.numel() for param in params], [param.shape for param in params]

    def loss(values: Tensor) -> Tensor:
        return loss_of([part.view(shape) for part, shape in zip(values.split(sizes), shapes, strict=True)])

    hessian = torch.autograd.functional.hessian(loss, flat)  # type: ignore[no-untyped-call]
    probe = torch.cat([rademacher_like(param, seed, at, draw).flatten() for at, param in enumerate(params)])
    found = probe * (hessian @ probe)
    return [part.view(shape) for part, shape in zip(found.split(sizes), shapes, strict=True)]


@pytest.mark.feature("step", "random estimates of the Hessian's diagonal")
@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("kernels", ["for-loop", "foreach", "C++", "Triton"])
def test_estimates_are_those_of_the_whole_hessian(
    kernels: str, maximize: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, bool] = {"foreach": kernels == "foreach"}
    if kernels in ("C++", "Triton"):
        run_kernels_of(kernels, monkeypatch)
        options = {"fused": True}
    params = parameters(SHAPES, torch.float64)
    optimizer = curved(params, maximize=maximize, **options)
    sign = -1 if maximize else 1
    for step in range(4):
        before = [param.detach().clone() for param in params]
        grads = torch.autograd.grad(loss_of(params), params)
        if step % 2 == 0:
            wanted = products(params, 7, step)
        assert optimizer.step(lambda: loss_of(params)) == loss_of(before)
        for param, start, grad, estimate in zip(params, before, grads, wanted, strict=True):
            kept = optimizer.state[param]["diagonal"]
            torch.testing.assert_close(kept, sign * estimate, rtol=1e-12, atol=1e-12)
            moved = start - sign * 0.01 * grad / (1 + kept.abs())
            torch.testing.assert_close(param.detach(), moved, rtol=1e-12, atol=1e-13)
            assert_identical(param.grad, grad)
    assert [group["steps_taken"] for group in optimizer.param_groups] == [4]


def test_the_mean_of_estimates_is_the_diagonal() -> None:
    params = parameters(((6,),), torch.float64)
    optimizer = curved(params, lr=0.0, update_each=1)
    flat = params[0].detach()
    hessian = torch.autograd.functional.hessian(lambda values: loss_of([values]), flat)  # type: ignore[no-untyped-call]
    mean = torch.zeros(6, dtype=torch.float64)
    for _ in range(2000):
        optimizer.step(lambda: loss_of(params))
        mean += optimizer.state[params[0]]["diagonal"] / 2000
    beside = hessian - torch.diag(torch.diag(hessian))
    deviation = beside.pow(2).sum(dim=1).sqrt() / 2000**0.5
    assert ((mean - torch.diag(hessian)).abs() <= 5 * deviation).all()


def test_the_ways_to_give_gradients_are_one() -> None:
    def by_loss(optimizer: Any, params: Sequence[Tensor]) -> None:
        optimizer.step(lambda: loss_of(params))

    def by_closure(optimizer: Any, params: Sequence[Tensor]) -> None:
        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = loss_of(params)
            loss.backward(create_graph=True)  # type: ignore[no-untyped-call]
            return loss

        optimizer.step(closure)

    def by_hand(optimizer: Any, params: Sequence[Tensor]) -> None:
        optimizer.zero_grad()
        loss_of(params).backward(create_graph=True)  # type: ignore[no-untyped-call]
        assert optimizer.step() is None

    runs = []
    for way in (by_loss, by_closure, by_hand):
        params = parameters(SHAPES)
        optimizer: Any = thetac.AdaHessian(params, lr=0.01)
        for _ in range(3):
            way(optimizer, params)
        assert all(param.grad is not None and param.grad.grad_fn is None for param in params)
        runs.append([param.detach() for param in params])
    assert_identical(runs[0], runs[1])
    assert_identical(runs[0], runs[2])


def test_gradients_without_a_graph() -> None:
    """An error where an estimate is due, and none in the steps between."""
    params = parameters(SHAPES)
    optimizer = curved(params)
    before = picture(optimizer)
    give_gradients(params, 1)
    with pytest.raises(RuntimeError) as raised:
        optimizer.step()
    assert str(raised.value) == (
        "Gradient tensor 0 does not have grad_fn. When calling loss.backward(), make sure the option create_graph is "
        "set to True."
    )
    assert_unchanged(before, optimizer)
    optimizer.step(lambda: loss_of(params))
    give_gradients(params, 1)
    optimizer.step()
    with pytest.raises(RuntimeError, match="does not have grad_fn"):
        optimizer.step()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_closure_that_raises_changes_nothing(error: type[BaseException]) -> None:
    params = parameters(SHAPES)
    optimizer = curved(params, update_each=1)
    optimizer.step(lambda: loss_of(params))
    before = picture(optimizer)

    def closure() -> Tensor:
        loss_of(params).backward(create_graph=True)  # type: ignore[no-untyped-call]
        raise error

    with pytest.raises(error):
        optimizer.step(closure)
    assert_unchanged(before, optimizer)


def test_a_graph_that_cannot_be_differentiated_changes_nothing() -> None:
    class Once(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, value: Tensor) -> Tensor:
            return value.clone()

        @staticmethod
        @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator]
        def backward(ctx: Any, grad: Tensor) -> Tensor:
            return grad * 2

    params = parameters(((3,),))
    optimizer = curved(params)
    before = picture(optimizer)
    with pytest.raises(RuntimeError, match="to not have been used in the graph"):
        optimizer.step(lambda: (Once.apply(params[0]) ** 2).sum())  # type: ignore[no-untyped-call]
    assert_unchanged(before, optimizer)


def test_the_graph_is_freed() -> None:
    """Gradients refer to parameters through their graph, and those to them: no garbage collector is to be needed."""
    params = parameters(SHAPES)
    optimizer = curved(params, update_each=1)
    gc.disable()
    try:
        for closure in (True, False):
            grads: list[weakref.ref[Tensor]] = []
            values: list[weakref.ref[Tensor]] = []

            def loss(values: list[weakref.ref[Tensor]] = values) -> Tensor:
                inner = params[0].exp()
                values.append(weakref.ref(inner))
                return (inner**3).sum() + loss_of(params)

            if closure:
                optimizer.step(loss)
            else:
                optimizer.zero_grad()
                loss().backward(create_graph=True)  # type: ignore[no-untyped-call]
                grads += [weakref.ref(param.grad) for param in params]  # type: ignore[arg-type]
                optimizer.step()
            assert all(one() is None for one in (*grads, *values))
    finally:
        gc.enable()


def test_a_loss_that_is_linear_in_a_parameter_and_one_without_it() -> None:
    params = parameters(((3,), (2,), (4,)), torch.float64)
    optimizer = curved(params)
    optimizer.step(lambda: 3 * params[0].sum() + (params[1] ** 2).sum())
    assert_identical(optimizer.state[params[0]]["diagonal"], torch.zeros(3, dtype=torch.float64))
    assert_identical(optimizer.state[params[1]]["diagonal"], torch.full((2,), 2.0, dtype=torch.float64))
    assert params[2] not in optimizer.state


def every_way_to_go_on() -> Iterator[tuple[str, Callable[[Any, list[Tensor]], tuple[Any, list[Tensor]]]]]:
    def load(optimizer: Any, params: list[Tensor]) -> tuple[Any, list[Tensor]]:
        twins: list[Tensor] = [torch.nn.Parameter(param.detach().clone()) for param in params]
        resumed = type(optimizer)(twins)
        resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        return resumed, twins

    def copied(optimizer: Any, params: list[Tensor]) -> tuple[Any, list[Tensor]]:
        other = copy.deepcopy(optimizer)
        return other, other.param_groups[0]["params"]

    def pickled(optimizer: Any, params: list[Tensor]) -> tuple[Any, list[Tensor]]:
        other = pickle.loads(pickle.dumps(optimizer))
        return other, other.param_groups[0]["params"]

    yield from (("state_dict", load), ("deepcopy", copied), ("pickle", pickled))


@pytest.mark.parametrize("way", dict(every_way_to_go_on()).values(), ids=dict(every_way_to_go_on()))
def test_a_run_goes_on_with_the_same_probes(way: Callable[..., tuple[Any, list[Tensor]]]) -> None:
    params = parameters(SHAPES)
    optimizer: Any = thetac.SophiaH(params, update_each=2, seed=3)
    for _ in range(3):
        optimizer.step(lambda: loss_of(params))
    other, twins = way(optimizer, list(params))
    for _ in range(4):
        optimizer.step(lambda: loss_of(params))
        other.step(lambda: loss_of(twins))
    assert_identical([twin.detach() for twin in twins], [param.detach() for param in params])
    assert other.param_groups[0]["steps_taken"] == 7


def test_groups_decide_alike() -> None:
    params = parameters(SHAPES)
    optimizer = curved(params[:2])
    optimizer.step(lambda: loss_of(params[:2]))
    with pytest.raises(ValueError, match="seed must be the same in all parameter groups"):
        optimizer.add_param_group({"params": params[2:], "seed": 1})
    optimizer.add_param_group({"params": params[2:]})
    assert optimizer.param_groups[1]["steps_taken"] == 1
    optimizer.param_groups[1]["update_each"] = 5
    with pytest.raises(ValueError, match="update_each must be the same in all parameter groups"):
        optimizer.step(lambda: loss_of(params))
    optimizer.param_groups[1]["update_each"] = 2
    for _ in range(2):
        optimizer.step(lambda: loss_of(params))
    assert all("diagonal" in optimizer.state[param] for param in params)


@pytest.mark.parametrize(
    ("count", "error", "message"),
    [
        (1.5, TypeError, "group 0 of the loaded state dict: steps_taken must be an int, not 1.5"),
        (-1, ValueError, "group 0 of the loaded state dict: steps_taken must be at least 0, not -1"),
    ],
)
def test_a_checkpoint_without_a_right_count(count: object, error: type[Exception], message: str) -> None:
    optimizer = curved(parameters(SHAPES))
    saved = optimizer.state_dict()
    saved["param_groups"][0]["steps_taken"] = count
    with pytest.raises(error) as raised:
        optimizer.load_state_dict(saved)
    assert str(raised.value) == message
    del saved["param_groups"][0]["steps_taken"]
    optimizer.load_state_dict(saved)
    assert optimizer.param_groups[0]["steps_taken"] == 0


@pytest.mark.parametrize("options", [{"foreach": False}, {"fused": True}], ids=str)
def test_a_grad_scaler_is_refused(options: dict[str, bool]) -> None:
    params = parameters(SHAPES)
    optimizer, scaler = curved(params, **options), GradScaler("cpu")
    scaler.scale(loss_of(params)).backward(create_graph=True)
    before = picture(optimizer)
    with pytest.raises(RuntimeError) as raised:
        scaler.step(optimizer)
    assert str(raised.value) == (
        "CurvedDescent differentiates gradients, of which a GradScaler would scale the graph, too: use bfloat16 or "
        "float32, and step without the scaler"
    )
    assert_unchanged(before, optimizer)


def test_clipping_scales_the_gradients_of_the_update_alone() -> None:
    params, twins = parameters(SHAPES), parameters(SHAPES)
    optimizer, plain = curved(params, clip_grad_norm=0.1), curved(twins)
    optimizer.step(lambda: loss_of(params))
    plain.step(lambda: loss_of(twins))
    assert_identical(
        [optimizer.state[param]["diagonal"] for param in params], [plain.state[twin]["diagonal"] for twin in twins]
    )
    assert optimizer.grad_norm > 0.1


def test_hooks_and_the_closure_run_once() -> None:
    params = parameters(SHAPES)
    optimizer = curved(params)
    seen: list[str] = []

    def closure() -> Tensor:
        seen.append("closure")
        return loss_of(params)

    optimizer.register_step_pre_hook(lambda *_: seen.append("before"))
    optimizer.register_step_post_hook(lambda *_: seen.append("after"))
    optimizer.step(closure)
    assert seen == ["before", "closure", "after"]


def test_a_compiled_step_breaks_the_graph() -> None:
    params, twins = parameters(SHAPES), parameters(SHAPES)
    optimizer, plain = curved(params), curved(twins)
    compiled = torch.compile(optimizer.step, backend="eager")
    for _ in range(2):
        compiled(lambda: loss_of(params))
        plain.step(lambda: loss_of(twins))
    assert_identical([param.detach() for param in params], [twin.detach() for twin in twins])


def test_steps_without_gradients() -> None:
    optimizer = curved(parameters(SHAPES))
    optimizer.step()
    assert optimizer.step(lambda: 3.0) == 3.0
    assert not optimizer.state
    assert optimizer.param_groups[0]["steps_taken"] == 0
