"""torch.optim.swa_utils around every optimizer: averages of its parameters, its learning rates, and resuming."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import SWALR, AveragedModel, get_ema_multi_avg_fn, get_swa_multi_avg_fn, update_bn

from tests.support.comparing import assert_identical, assert_same_training
from tests.support.every_optimizer import both, every_class, one_in, ours, remembering

AVERAGES: dict[str, Callable[[nn.Module], AveragedModel]] = {
    "mean": AveragedModel,
    "mean of lists": lambda model: AveragedModel(model, multi_avg_fn=get_swa_multi_avg_fn()),
    "exponential": lambda model: AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True),
}
BATCHES = torch.randn(12, 8, 4, generator=torch.Generator().manual_seed(3))


class Run:
    """Training with weight averaging from the middle on."""

    def __init__(self, cls: type[torch.optim.Optimizer], name: str, average: str, options: dict[str, bool]) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 1))
        self.averaged = AVERAGES[average](self.model)
        self.optimizer = cls(self.model.parameters(), lr=0.01, **options, **remembering(name))
        self.scheduler = SWALR(self.optimizer, swa_lr=0.002, anneal_epochs=3)
        self.rates: list[float] = []

    def train(self, start: int, stop: int) -> Run:
        for index in range(start, stop):
            self.optimizer.zero_grad()
            self.model(BATCHES[index]).square().mean().backward()
            self.optimizer.step()
            if index >= 3:
                self.averaged.update_parameters(self.model)
                self.scheduler.step()
            self.rates.append(self.optimizer.param_groups[0]["lr"])
        return self

    def saved(self) -> list[dict[str, object]]:
        return [each.state_dict() for each in (self.model, self.averaged, self.optimizer, self.scheduler)]

    def load(self, saved: list[dict[str, object]]) -> None:
        for each, state in zip((self.model, self.averaged, self.optimizer, self.scheduler), saved, strict=True):
            each.load_state_dict(state)  # type: ignore[arg-type]

    def averages(self) -> list[Tensor]:
        """After the statistics of batch normalization have been taken anew with the averaged weights."""
        update_bn(BATCHES, self.averaged)
        return [tensor.detach() for tensor in self.averaged.state_dict().values()]


@pytest.fixture(autouse=True)
def _seeds_are_put_back() -> object:
    with torch.random.fork_rng([]):
        yield


@pytest.mark.feature("averaging", "`AveragedModel`, `SWALR` and `update_bn`, with torch's bits on the for-loop")
@pytest.mark.parametrize("average", one_in(2, AVERAGES))
@every_class
def test_averaging(name: str, average: str) -> None:
    runs = [Run(cls, name, average, {"foreach": False}).train(0, len(BATCHES)) for cls in both(name)]
    for run in runs[1:]:
        assert run.rates == runs[0].rates
        assert_same_training(runs[0].optimizer, run.optimizer)
        assert_identical(runs[0].averages(), run.averages())
    averages, weights = runs[0].averages(), list(runs[0].model.state_dict().values())
    assert not torch.equal(averages[1], weights[0])
    assert len(set(runs[0].rates)) == 4, "lr goes from 0.01 to 0.002 in three steps"
    assert runs[0].rates[-1] == pytest.approx(0.002)


@pytest.mark.feature("averaging", "saved and loaded in the middle: as if nothing had happened")
@pytest.mark.parametrize("options", one_in(2, [{"foreach": True}, {"foreach": False}]), ids=str)
@every_class
def test_averaging_that_is_resumed(name: str, options: dict[str, bool]) -> None:
    unbroken = Run(ours(name), name, "mean", options).train(0, len(BATCHES))
    first = Run(ours(name), name, "mean", options).train(0, 6)
    second = Run(ours(name), name, "mean", options)
    second.load(copy.deepcopy(first.saved()))
    second.train(6, len(BATCHES))
    assert first.rates + second.rates == unbroken.rates
    assert_same_training(second.optimizer, unbroken.optimizer)
    assert_identical(second.averages(), unbroken.averages())


@pytest.mark.feature("averaging", "a model, its average and its optimizer, copied together")
@every_class
def test_the_optimizer_of_a_copied_model(name: str) -> None:
    """A model and its optimizer that are copied together go on together, apart from the original."""
    run = Run(ours(name), name, "mean", {"foreach": False}).train(0, 4)
    twin = copy.deepcopy(run)
    assert not set(map(id, twin.model.parameters())) & set(map(id, run.model.parameters()))
    held = [param.detach().clone() for param in run.model.parameters()]
    twin.train(4, 8)
    assert all(torch.equal(param, before) for param, before in zip(run.model.parameters(), held, strict=True))
    run.train(4, 8)
    assert_same_training(twin.optimizer, run.optimizer)
