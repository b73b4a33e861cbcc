"""What tests with other libraries share: a small model with its data, implementations, and runs that are compared.

Models are built from random numbers in the tests. Nothing is downloaded: a socket that is opened fails the test.
"""

from __future__ import annotations

import gc
import socket
from collections.abc import Iterable, Iterator, Mapping

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from tests.support.comparing import assert_identical
from tests.support.runtime_helpers import states

Options = Mapping[str, object]

FOR_LOOP: Options = {"foreach": False}
IMPLEMENTATIONS: Mapping[str, Options] = {
    "for-loop": FOR_LOOP,
    "foreach": {"foreach": True},
    "fused": {"fused": True},
    "default": {},
}
each_implementation = pytest.mark.parametrize("options", IMPLEMENTATIONS.values(), ids=IMPLEMENTATIONS)
# torch has both; the second one has a state of one number besides.
names_in_torch = pytest.mark.parametrize("name", ["AdamW", "NAdam"])

BATCH = 4
BATCHES = 4  # per epoch


def missing(library: str) -> str:
    """Why a test skips."""
    return f"{library} is not installed; `make test` installs it, and so does pip with thetac[ecosystem]"


@pytest.fixture(scope="module")
def quick() -> Iterator[None]:
    """One thread is enough for such models. Accelerate collects garbage after each run: let there be little to see."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
    torch.set_num_threads(threads)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("this test opens a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def make_model(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 1))


def make_data() -> DataLoader[tuple[Tensor, ...]]:
    """Two tensors per batch, always in the same order."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(BATCH * BATCHES, 5, generator=generator)
    targets = inputs.sum(dim=1, keepdim=True) + torch.randn(BATCH * BATCHES, 1, generator=generator)
    return DataLoader(TensorDataset(inputs, targets), batch_size=BATCH)


def make_scheduler(optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LRScheduler:
    return torch.optim.lr_scheduler.StepLR(optimizer, step_size=3, gamma=0.5)


def params_of(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [param for group in optimizer.param_groups for param in group["params"]]


def assert_same_run(mine: torch.optim.Optimizer, other: torch.optim.Optimizer) -> None:
    """The same bits in parameters and states, and the same learning rates."""
    assert_identical([param.detach() for param in params_of(mine)], [param.detach() for param in params_of(other)])
    assert_identical(states(mine), states(other))
    assert_identical([group["lr"] for group in mine.param_groups], [group["lr"] for group in other.param_groups])


def assert_trained(optimizer: torch.optim.Optimizer, start: Iterable[Tensor]) -> None:
    """Every parameter has moved, and is finite: tests that compare runs would pass if nothing happened in both."""
    for param, before in zip(params_of(optimizer), start, strict=True):
        assert param.isfinite().all()
        assert not torch.equal(param.detach(), before.detach())
