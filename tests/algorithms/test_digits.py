"""Every optimizer trains a small network on handwritten digits, from a fixed seed, down to a stated loss."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

import thetac
from tests.references.torch_inputs import Settings
from tests.support.every_optimizer import NAMES, every_optimizer
from tests.support.stepping import differentiates

EPOCHS, BATCH = 8, 64

# Guessing costs 2.30. The loss is the mean of the last epoch; settings are defaults but for lr, where that is too small
# for so short a training, and momentum where there is none.
LEARNED: Mapping[str, tuple[Settings, float]] = {
    "ADOPT": ({"lr": 0.01}, 0.1),
    "ASAM": ({"lr": 0.1, "momentum": 0.9}, 0.2),
    "ASGD": ({"lr": 1.0}, 0.15),
    "AdEMAMix": ({"lr": 0.01}, 0.12),
    "AdaBelief": ({"lr": 0.03}, 0.15),
    "AdaBound": ({"lr": 0.01}, 0.2),
    "AdaHessian": ({}, 0.2),
    "AdaMod": ({"lr": 0.1}, 0.12),
    "AdaPNM": ({"lr": 0.03}, 0.12),
    "Adadelta": ({}, 0.3),
    "Adafactor": ({"lr": 0.1}, 0.2),
    "Adagrad": ({"lr": 0.1}, 0.12),
    "Adam": ({"lr": 0.01}, 0.12),
    "AdamAtan2": ({"lr": 0.01}, 0.15),
    "AdamMini": ({"lr": 0.01}, 0.1),
    "AdamNoBiasCorrection": ({"lr": 0.01}, 0.05),
    "AdamP": ({"lr": 0.01}, 0.1),
    "AdamW": ({"lr": 0.01}, 0.12),
    "Adamax": ({"lr": 0.03}, 0.1),
    "Adan": ({"lr": 0.03}, 0.05),
    "AggMo": ({"lr": 0.1}, 0.1),
    "Amos": ({"lr": 0.01}, 0.15),
    "ApolloMa": ({"warmup": 100.0}, 0.12),
    "CAME": ({"lr": 0.01}, 0.12),
    "DAdaptAdam": ({"d0": 1e-3}, 0.15),
    "DAdaptLion": ({"lr": 0.003, "d0": 1.0}, 0.2),
    "DAdaptSGD": ({"d0": 0.03, "growth_rate": 1.01}, 0.3),
    "DiffGrad": ({"lr": 0.01}, 0.15),
    "DoG": ({"reps_rel": 1e-3}, 0.2),
    "Fromage": ({"lr": 0.03}, 0.15),
    "GradientDescent": ({"lr": 1.0}, 0.15),
    "Grams": ({"lr": 0.1}, 0.1),
    "LAMB": ({"lr": 0.01}, 0.15),
    "LARS": ({"lr": 10.0, "momentum": 0.9, "always_adapt": True}, 0.12),
    "LDoG": ({"reps_rel": 1e-3}, 0.2),
    "LaProp": ({"lr": 0.01}, 0.12),
    "Lion": ({"lr": 0.003}, 0.15),
    "MADGRAD": ({}, 0.15),
    "MARS": ({"lr": 0.01, "lr_1d": 0.01}, 0.1),
    "MomentumSGD": ({"lr": 0.1}, 0.15),
    "NAdam": ({"lr": 0.01}, 0.12),
    "NesterovSGD": ({"lr": 0.1}, 0.12),
    "NovoGrad": ({"lr": 0.03}, 0.1),
    "PAdam": ({}, 0.15),
    "PID": ({"lr": 0.02, "momentum": 0.9}, 0.15),
    "PNM": ({}, 0.25),
    "Prodigy": ({"d0": 1e-3}, 0.1),
    "QHAdam": ({"lr": 0.01}, 0.12),
    "QHM": ({"momentum": 0.9}, 0.2),
    "RAdam": ({"lr": 0.1}, 0.1),
    "RMSprop": ({"lr": 0.01}, 0.12),
    "RMSpropTF": ({"lr": 0.01}, 0.2),
    "Rprop": ({"lr": 0.01}, 0.3),
    "SAM": ({"lr": 0.1, "momentum": 0.9}, 0.15),
    "SGD": ({"lr": 0.1, "momentum": 0.9}, 0.15),
    "SGDP": ({"momentum": 0.9}, 0.12),
    "SGDW": ({"lr": 0.1, "momentum": 0.9}, 0.15),
    "SM3": ({}, 0.12),
    "ScheduleFreeAdamW": ({"lr": 0.01}, 0.1),
    "ScheduleFreeRAdam": ({"lr": 0.1}, 0.1),
    "ScheduleFreeSGD": ({}, 0.1),
    "SignSGD": ({"lr": 0.01}, 0.15),
    "Signum": ({"lr": 0.01}, 0.15),
    "SophiaG": ({"lr": 0.01}, 0.2),
    "SophiaH": ({"lr": 0.01}, 0.2),
    "StableAdamW": ({"lr": 0.01}, 0.1),
    "TextbookAdagrad": ({"lr": 0.1}, 0.12),
    "TextbookRMSprop": ({"lr": 0.01}, 0.12),
    "SparseAdam": ({"lr": 0.01}, 0.12),
    "Tiger": ({"lr": 0.01}, 0.35),
    "Yogi": ({"lr": 0.03}, 0.1),
}


@cache
def digits() -> tuple[Tensor, Tensor]:
    """Return images of 64 pixels in [0, 1], and what they show."""
    images, labels = load_digits(return_X_y=True)
    return torch.tensor(images, dtype=torch.float32) / 16, torch.tensor(labels)


def loss_after_training(name: str, settings: Settings) -> float:
    """Return the mean loss of the last epoch."""
    x, y = digits()
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 10))
    optimizer = getattr(thetac, name)(model.parameters(), **settings)
    is_curved = differentiates(optimizer)
    shuffle = torch.Generator().manual_seed(0)
    mean = 0.0
    for _ in range(EPOCHS):
        mean = 0.0
        for batch in torch.randperm(len(y), generator=shuffle).split(BATCH):

            def closure(batch: Tensor = batch) -> Tensor:
                optimizer.zero_grad()
                loss = nn.functional.cross_entropy(model(x[batch]), y[batch])
                loss.backward(create_graph=is_curved)
                return loss

            mean += optimizer.step(closure).item() * len(batch) / len(y)
    return mean


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Use one thread: tensors are small, and threads that wait for each other take longer than the work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_a_loss_is_stated_for_every_optimizer() -> None:
    assert sorted(LEARNED) == sorted(NAMES), "say in LEARNED how far an optimizer gets"


@pytest.mark.usefixtures("one_thread")
@every_optimizer
def test_it_learns_the_digits(name: str) -> None:
    settings, stated = LEARNED[name]
    assert loss_after_training(name, settings) <= stated
