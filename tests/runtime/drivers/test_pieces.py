"""Pieces of a rule: compiled for every implementation, over the same groups and state, with nothing of the update's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import thetac
from tests.support.comparing import assert_identical
from tests.support.runtime_helpers import give_gradients, parameters, run_kernels_of
from thetac.codegen.__main__ import main
from thetac.drivers import DRIVERS, MODES, PIECES
from thetac.runtime.drivers.pieces import schemas_of

SHARP = """\
optimizer: SharpDescent
summary: Gradient descent at the sharpest point nearby.
hyperparameters:
  lr:  {default: 0.1, range: "[0, inf)"}
  rho: {default: 0.05, range: "[0, inf)", doc: "the distance to that point"}
driver: two_point
perturb: |
  length = sqrt(total(dot(grad, grad)))
  param = param + rho / (length + 1e-12) * grad
update: |
  param = param - lr * grad
"""
CURVED = """\
optimizer: CurvedDescent
summary: Gradient descent that squares of other gradients slow down.
hyperparameters:
  lr:   {default: 0.1, range: "[0, inf)"}
  beta: {default: 0.9, range: "[0, 1)", doc: "decay of the squares"}
state:
  step:    counter
  squares: {init: zeros, doc: "running mean of squares"}
  buffer:  {init: zeros, doc: "sum of gradients"}
entry: update_squares
estimate: |
  squares = beta * squares + (1 - beta) * grad * grad
update: |
  buffer = buffer + grad
  param = param - lr * buffer / (1 + squares)
"""
IMPLEMENTATIONS = [
    ({"foreach": False}, ""),
    ({"foreach": True}, ""),
    ({"fused": True}, "C++"),
    ({"fused": True}, "Triton"),
]


@pytest.mark.parametrize(("options", "kernels"), IMPLEMENTATIONS, ids=str)
@pytest.mark.parametrize("maximize", [False, True])
def test_a_perturbed_step(
    options: dict[str, Any], kernels: str, maximize: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against the same step written out in torch's operations."""
    if kernels:
        run_kernels_of(kernels, monkeypatch)
    params = parameters(dtype=torch.float64)
    twins = [param.detach().clone().requires_grad_() for param in params]
    optimizer = thetac.load(SHARP)(params, maximize=maximize, **options)  # type: ignore[call-arg]

    def loss(values: list[Any]) -> Tensor:
        return torch.stack([(value**2).sum() + value.sin().sum() for value in values]).sum()

    def closure() -> float:
        optimizer.zero_grad()
        value = loss(params)
        value.backward()  # type: ignore[no-untyped-call]
        return value.item()

    sign = -1 if maximize else 1
    for _ in range(3):
        expected = loss(twins)
        grads = torch.autograd.grad(expected, twins)
        length = torch.sqrt(torch.stack([(grad**2).sum() for grad in grads]).sum())
        moved = [
            (twin + sign * 0.05 / (length + 1e-12) * grad).detach().requires_grad_()
            for twin, grad in zip(twins, grads, strict=True)
        ]
        second = torch.autograd.grad(loss(moved), moved)
        twins = [(twin - sign * 0.1 * grad).detach().requires_grad_() for twin, grad in zip(twins, second, strict=True)]
        assert optimizer.step(closure) == pytest.approx(expected.item(), rel=1e-13)
        for param, twin in zip(params, twins, strict=True):
            torch.testing.assert_close(param, twin, rtol=1e-13, atol=1e-13, check_stride=False)


@pytest.mark.parametrize(("options", "kernels"), IMPLEMENTATIONS, ids=str)
def test_a_piece_that_users_run(options: dict[str, Any], kernels: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It makes the state, counts nothing, and leaves the parameters; the update finds what it has stored."""
    if kernels:
        run_kernels_of(kernels, monkeypatch)
    params = parameters(dtype=torch.float64)
    before = [param.detach().clone() for param in params]
    optimizer: Any = thetac.load(CURVED)(params, **options)  # type: ignore[call-arg]
    give_gradients(params[1:], 1)
    grads = [param.grad for param in params]
    optimizer.update_squares()
    assert_identical([param.detach() for param in params], before)
    assert params[0] not in optimizer.state
    for param, grad in zip(params[1:], grads[1:], strict=True):
        assert grad is not None
        state = optimizer.state[param]
        torch.testing.assert_close(state["squares"], (1 - 0.9) * grad * grad, rtol=1e-14, atol=0)
        assert float(state["step"]) == 0
        assert not state["buffer"].any()
    give_gradients(params[1:], 2)
    optimizer.step()
    for param, start, grad in zip(params[1:], before[1:], grads[1:], strict=True):
        assert grad is not None
        assert param.grad is not None
        expected = start - 0.1 * param.grad / (1 + (1 - 0.9) * grad * grad)
        torch.testing.assert_close(param.detach(), expected, rtol=1e-13, atol=1e-14)
        assert float(optimizer.state[param]["step"]) == 1


def test_an_error_in_a_piece_leaves_no_state() -> None:
    params = parameters()
    optimizer: Any = thetac.load(CURVED)(params)  # type: ignore[call-arg]
    give_gradients(params, 1)
    params[0].grad = params[0].grad.to_sparse()  # type: ignore[union-attr]
    with pytest.raises(RuntimeError, match="CurvedDescent does not support sparse gradients"):
        optimizer.update_squares()
    assert not optimizer.state


def test_a_step_without_its_closure() -> None:
    optimizer: Any = thetac.load(SHARP)(parameters())  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"SharpDescent\.step\(\) missing 1 required positional argument: 'closure'"):
        optimizer.step()


def test_clipping_has_no_effect_on_a_piece() -> None:
    params = parameters()
    optimizer: Any = thetac.load(CURVED)(params, clip_grad_norm=1e-3)  # type: ignore[call-arg]
    give_gradients(params, 1)
    optimizer.update_squares()
    for param in params:
        assert param.grad is not None
        torch.testing.assert_close(optimizer.state[param]["squares"], (1 - 0.9) * param.grad**2)


def test_every_driver_has_its_piece() -> None:
    assert {driver.piece for driver in DRIVERS.values()} | {*MODES} == PIECES.keys()


def test_documentation_shows_pieces() -> None:
    documentation = thetac.load(SHARP).__doc__
    assert documentation is not None
    lines = [line.strip() for line in documentation.splitlines()]
    begin = lines.index("`perturb`, which moves the parameters to where the gradient is taken, does this::")
    assert lines[begin + 4 : begin + 6] == [
        "length = sqrt(total(dot(grad, grad)))",
        "param = param + rho / (length + 1e-12) * grad",
    ]
    assert "optimizer.step(closure)" in lines


def test_the_command_shows_pieces(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = tmp_path / "sharp.yaml"
    spec.write_text(SHARP)
    assert main(["show", str(spec), "--piece", "perturb", "--stage", "passes"]) == 0
    assert "waits for all parameters" in capsys.readouterr().out
    assert main(["show", str(spec), "--backend", "latex"]) == 0
    assert r"\textbf{perturb}" in capsys.readouterr().out
    for arguments, message in (
        (("AdamW", "--piece", "perturb"), "AdamW has no piece `perturb`: it has none"),
        (("LBFGS", "--backend", "cpp"), "LBFGS has `class` alone; `--piece direction` shows more"),
    ):
        with pytest.raises(SystemExit):
            main(["show", *arguments])
        assert message in capsys.readouterr().err


def test_kernels_of_pieces_are_built_ahead_of_time() -> None:
    schema = thetac.load(SHARP).schema
    assert list(schemas_of(schema)) == ["perturb"]
    assert schemas_of(schema)["perturb"].package == f"{schema.package}.perturb"
    assert schemas_of(thetac.AdamW.schema) == {}


def test_explain_tells_of_pieces_that_have_run() -> None:
    params = parameters()
    optimizer: Any = thetac.load(SHARP)(params, fused=True)  # type: ignore[call-arg]
    alone = optimizer.explain()
    assert "perturb" not in alone

    def closure() -> float:
        give_gradients(params, 1)
        return 0.0

    optimizer.step(closure)
    lines = optimizer.explain().splitlines()
    begin = lines.index("perturb:")
    assert lines[begin + 1].startswith("  group 0: C++ for 4 parameters of 47 elements (fused=True), ")
    assert lines[begin + 3] == "  step plan: 2 launches per step for 4 parameters"  # it waits for the norm
    assert lines[begin + 4 :] == ["  plan made 1 time: the first step"]
