"""The whole way: somebody writes a spec, generates a package from it, imports it and trains with it."""

from __future__ import annotations

import importlib
import math
import sys
from collections.abc import Iterator

import pytest
import torch

from tests.support.runtime_helpers import run_kernels_of
from thetac.codegen.__main__ import main
from thetac.runtime.optimizer import Optimizer
from thetac.runtime.stepping.requirements import triton_interprets

SPEC = """\
optimizer: Gentle
summary: Momentum whose step is bounded, with a warm-up.
references: ["nobody, nowhere"]

hyperparameters:
  lr:           {default: 1e-2, range: "[0, inf)", symbol: "\\\\gamma"}
  beta:         {default: 0.9, range: "[0, 1)", doc: "decay of the running mean"}
  bound:        {default: 1.0, range: "(0, inf)", doc: "no element moves further than this times lr"}
  warmup:       {default: 5, range: "[0, inf)", doc: "steps until lr is reached"}
  weight_decay: {default: 0, range: "[0, inf)"}
  bounded:      {default: true, doc: "whether there is a bound"}

state:
  step:     counter
  momentum: {init: zeros, symbol: m}

weight_decay: decoupled

update: |
  momentum = lerp(momentum, grad, 1 - beta)             # running mean
  direction = momentum / (1 - beta ** step)
  if bounded:
    direction = clamp(direction, -bound, bound)
  rate = lr
  if step < warmup:
    rate = lr * step / warmup
  param = param - rate * direction
"""


@pytest.fixture(scope="module")
def gentle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[type[Optimizer]]:
    """The class, from a package that the command wrote into a folder of its own."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "rules").mkdir()
    (folder / "rules" / "gentle.yaml").write_text(SPEC, encoding="utf-8")
    assert main(["generate", "--specs", str(folder / "rules"), "--out", str(folder / "my_optimizers")]) == 0
    assert main(["check", "--specs", str(folder / "rules"), "--out", str(folder / "my_optimizers")]) == 0
    sys.path.insert(0, str(folder))
    try:
        package = importlib.import_module("my_optimizers")
        assert package.__all__ == ["Gentle"]
        yield package.Gentle
    finally:
        sys.path.remove(str(folder))


def by_hand(start: list[float], gradients: list[list[float]], lr: float, weight_decay: float) -> list[float]:
    """What the spec says, one number after the other."""
    beta, bound, warmup = 0.9, 1.0, 5
    parameter, momentum = list(start), [0.0] * len(start)
    for step, gradient in enumerate(gradients, start=1):
        for i, g in enumerate(gradient):
            p = parameter[i] * (1 - lr * weight_decay)
            momentum[i] += (1 - beta) * (g - momentum[i])
            direction = momentum[i] / (1 - beta**step)
            direction = min(max(direction, -bound), bound)
            rate = lr * step / warmup if step < warmup else lr
            parameter[i] = p - rate * direction
    return parameter


IMPLEMENTATIONS = {
    "for-loop": {"foreach": False, "fused": False},
    "foreach": {"foreach": True, "fused": False},
    "C++": {"fused": True},
    "Triton": {"fused": True},
}


def device_for(implementation: str, monkeypatch: pytest.MonkeyPatch) -> torch.device:
    """Where the implementation runs here: Triton in its interpreter on the CPU, or else on a GPU."""
    if implementation != "Triton" or triton_interprets():
        run_kernels_of(implementation, monkeypatch)
        return torch.device("cpu")
    if not torch.cuda.is_available():
        pytest.skip("Triton needs a GPU or its interpreter")
    return torch.device("cuda")


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_it_computes_what_the_spec_says(
    gentle: type[Optimizer], implementation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = device_for(implementation, monkeypatch)
    torch.manual_seed(0)
    start = torch.randn(300, dtype=torch.float64)
    gradients = [3 * torch.randn(300, dtype=torch.float64) for _ in range(8)]
    parameter = torch.nn.Parameter(start.clone().to(device))
    optimizer = gentle([parameter], lr=0.1, weight_decay=0.1, **IMPLEMENTATIONS[implementation])
    for gradient in gradients:
        parameter.grad = gradient.to(device)
        optimizer.step()
    expected = by_hand(start.tolist(), [g.tolist() for g in gradients], lr=0.1, weight_decay=0.1)
    torch.testing.assert_close(
        parameter.detach().cpu(), torch.tensor(expected, dtype=torch.float64), rtol=1e-13, atol=0
    )


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_a_model_learns_with_it(gentle: type[Optimizer], implementation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    device = device_for(implementation, monkeypatch)
    torch.manual_seed(0)
    inputs = torch.randn(256, 10, device=device)
    targets = inputs.sum(dim=1, keepdim=True)
    model = torch.nn.Linear(10, 1).to(device)
    optimizer = gentle(model.parameters(), lr=0.1, **IMPLEMENTATIONS[implementation])
    losses = []
    for _ in range(200 if implementation != "Triton" else 60):  # its interpreter is slow
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(model(inputs), targets)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 50, f"from {losses[0]:.3f} to {losses[-1]:.3f} only"
    assert all(map(math.isfinite, losses))


def test_it_is_an_optimizer_like_any_other(gentle: type[Optimizer]) -> None:
    parameter = torch.nn.Parameter(torch.ones(3))
    optimizer = gentle([{"params": [parameter], "lr": 0.5}], lr=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1)
    parameter.grad = torch.ones(3)
    optimizer.step()
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.05)
    copy = gentle([parameter])
    copy.load_state_dict(optimizer.state_dict())
    assert torch.equal(copy.state[parameter]["momentum"], optimizer.state[parameter]["momentum"])
    with pytest.raises(ValueError, match=r"^Invalid bound value: 0$"):
        gentle([parameter], bound=0)
    assert gentle.__doc__ is not None
    assert gentle.__doc__.startswith("Momentum whose step is bounded, with a warm-up.")
    assert "direction = clamp(direction, -bound, bound)" in gentle.__doc__
