"""Generated optimizers under Hugging Face Accelerate, which wraps them, and steps only every so many batches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.support.doc_examples import run_example
from tests.support.ecosystem_helpers import (
    BATCHES,
    FOR_LOOP,
    Options,
    assert_same_run,
    assert_trained,
    each_implementation,
    make_data,
    make_model,
    make_scheduler,
    missing,
    names_in_torch,
)
from tests.support.ecosystem_helpers import no_network as no_network
from tests.support.ecosystem_helpers import quick as quick
from tests.support.every_optimizer import class_of, every_class, remembering

accelerate = pytest.importorskip("accelerate", reason=missing("accelerate"))
state = pytest.importorskip("accelerate.state", reason=missing("accelerate"))

pytestmark = pytest.mark.usefixtures("quick", "no_network", "fresh_state")

CLIP = 0.5  # less than the gradients' norm is
ACCUMULATED = 2  # batches per step, so an epoch has two steps
EPOCHS = 4
ALL = range(EPOCHS * BATCHES)  # batches, counted over all epochs


@pytest.fixture
def fresh_state() -> Iterator[None]:
    """Accelerate keeps one state per process."""
    state.AcceleratorState._reset_state(reset_partial_state=True)
    state.GradientState._reset_state()
    yield
    state.AcceleratorState._reset_state(reset_partial_state=True)
    state.GradientState._reset_state()


class Run:
    """What a script that uses Accelerate does."""

    def __init__(self, name: str, options: Options, seed: int = 0, **arguments: object) -> None:
        self.accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=ACCUMULATED, **arguments)
        model = make_model(seed)
        self.optimizer = class_of(name)(model.parameters(), **options)
        self.model, self.wrapped, self.data, self.scheduler = self.accelerator.prepare(
            model, self.optimizer, make_data(), make_scheduler(self.optimizer)
        )

    def train(self, batches: range = ALL) -> torch.optim.Optimizer:
        """From any batch to any other: what went before in the same epoch is skipped."""
        for epoch in range(batches.start // BATCHES, -(-batches.stop // BATCHES)):
            skipped = max(0, batches.start - epoch * BATCHES)
            data = accelerate.skip_first_batches(self.data, skipped) if skipped else self.data
            for number, (inputs, targets) in enumerate(data, start=epoch * BATCHES + skipped):
                if number >= batches.stop:
                    break
                self.step(inputs, targets)
        return self.optimizer

    def step(self, inputs: torch.Tensor, targets: torch.Tensor) -> None:
        with self.accelerator.accumulate(self.model):
            loss = nn.functional.mse_loss(self.model(inputs).float(), targets)
            self.accelerator.backward(loss)
            if self.accelerator.sync_gradients:
                self.accelerator.clip_grad_norm_(self.model.parameters(), CLIP)
            self.wrapped.step()
            self.scheduler.step()
            self.wrapped.zero_grad()


def assert_resumes(name: str, options: Options, folder: Path, **arguments: object) -> None:
    """Saved in the middle of an epoch, between two steps, and loaded into another model."""
    unbroken = Run(name, options, **arguments).train()
    assert_trained(unbroken, make_model().parameters())
    half = EPOCHS // 2 * BATCHES + ACCUMULATED
    broken = Run(name, options, **arguments)
    broken.train(range(half))
    broken.accelerator.save_state(str(folder))
    resumed = Run(name, options, seed=1, **arguments)
    resumed.accelerator.load_state(str(folder))
    resumed.train(range(half, ALL.stop))
    assert_same_run(resumed.optimizer, unbroken)


@pytest.mark.feature(
    "ecosystem", "Hugging Face Accelerate: accumulates, clips, saves and resumes where an unbroken run ends"
)
@every_class
def test_every_optimizer_resumes(name: str, tmp_path: Path) -> None:
    assert_resumes(name, remembering(name), tmp_path)


@each_implementation
@names_in_torch
def test_every_implementation_resumes(name: str, options: Options, tmp_path: Path) -> None:
    assert_resumes(name, options, tmp_path)


def test_it_resumes_in_mixed_precision(tmp_path: Path) -> None:
    assert_resumes("AdamW", {}, tmp_path, mixed_precision="bf16")


@names_in_torch
def test_it_trains_as_torchs_does(name: str) -> None:
    assert_same_run(Run(name, FOR_LOOP).train(), Run(f"torch.{name}", FOR_LOOP).train())


def test_a_run_of_torchs_goes_on_with_ours(tmp_path: Path) -> None:
    unbroken = Run("torch.AdamW", FOR_LOOP).train()
    broken = Run("torch.AdamW", FOR_LOOP)
    broken.train(range(2 * BATCHES))
    broken.accelerator.save_state(str(tmp_path))
    resumed = Run("AdamW", FOR_LOOP, seed=1)
    resumed.accelerator.load_state(str(tmp_path))
    resumed.train(range(2 * BATCHES, ALL.stop))
    assert_same_run(resumed.optimizer, unbroken)


def test_steps_are_taken_once_per_accumulated_gradient() -> None:
    optimizer = Run("AdamW", {}).train()
    assert {float(entry["step"]) for entry in optimizer.state.values()} == {len(ALL) / ACCUMULATED}


def test_the_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    wrapper = run_example("ecosystem.md", "Accelerate")["optimizer"]
    assert isinstance(wrapper, accelerate.optimizer.AcceleratedOptimizer)
    assert isinstance(wrapper.optimizer, class_of("AdamW"))
    assert {float(entry["step"]) for entry in wrapper.state.values()} == {4.0}
    assert wrapper.optimizer.explain().startswith("AdamW")
