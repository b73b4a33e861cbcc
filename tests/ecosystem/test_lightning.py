"""Generated optimizers under PyTorch Lightning, which calls `step` with a closure and through its own wrapper."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

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
    params_of,
)
from tests.support.ecosystem_helpers import no_network as no_network
from tests.support.ecosystem_helpers import quick as quick
from tests.support.every_optimizer import class_of, every_class, remembering

L = pytest.importorskip("lightning.pytorch", reason=missing("lightning"))
MixedPrecision = pytest.importorskip("lightning.pytorch.plugins.precision", reason=missing("lightning")).MixedPrecision

pytestmark = pytest.mark.usefixtures("quick", "no_network")

CLIP = 0.5  # less than the gradients' norm is


class Module(L.LightningModule):
    """What a user of Lightning writes."""

    def __init__(self, name: str, options: Options, seed: int = 0) -> None:
        super().__init__()
        self.name, self.options = name, options
        self.model = make_model(seed)

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        inputs, targets = batch
        return torch.nn.functional.mse_loss(self.model(inputs), targets)

    def configure_optimizers(self) -> dict[str, object]:
        optimizer = class_of(self.name)(self.parameters(), **self.options)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": make_scheduler(optimizer), "interval": "step"}}


def make_trainer(epochs: int, **arguments: object) -> L.Trainer:
    return L.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **arguments,
    )


def trained(name: str, options: Options, epochs: int = 2, **arguments: object) -> torch.optim.Optimizer:
    trainer = make_trainer(epochs, **arguments)
    trainer.fit(Module(name, options), make_data())
    return optimizer_of(trainer)


def optimizer_of(trainer: L.Trainer) -> torch.optim.Optimizer:
    (optimizer,) = trainer.optimizers
    assert isinstance(optimizer, torch.optim.Optimizer)
    return optimizer


def assert_resumes(name: str, options: Options, folder: Path) -> None:
    """Stopped after two of four epochs, saved, and gone on with in another model: as if nothing had happened."""
    clipped = {"gradient_clip_val": CLIP}
    unbroken = trained(name, options, 4, **clipped)
    assert_trained(unbroken, make_model().parameters())

    trainer = make_trainer(2, **clipped)
    trainer.fit(Module(name, options), make_data())
    trainer.save_checkpoint(folder / "half.ckpt")
    resumed = make_trainer(4, **clipped)
    resumed.fit(Module(name, options, seed=1), make_data(), ckpt_path=folder / "half.ckpt", weights_only=True)
    assert resumed.global_step == 4 * BATCHES
    assert_same_run(optimizer_of(resumed), unbroken)


@pytest.mark.feature("ecosystem", "PyTorch Lightning: trains, clips, saves and resumes where an unbroken run ends")
@every_class
def test_every_optimizer_resumes(name: str, tmp_path: Path) -> None:
    assert_resumes(name, remembering(name), tmp_path)


@each_implementation
@names_in_torch
def test_every_implementation_resumes(name: str, options: Options, tmp_path: Path) -> None:
    assert_resumes(name, options, tmp_path)


@pytest.mark.parametrize("arguments", [{}, {"accumulate_grad_batches": 2}, {"gradient_clip_val": CLIP}], ids=str)
@names_in_torch
def test_it_trains_as_torchs_does(name: str, arguments: dict[str, object]) -> None:
    assert_same_run(trained(name, FOR_LOOP, **arguments), trained(f"torch.{name}", FOR_LOOP, **arguments))


def test_a_run_of_torchs_goes_on_with_ours(tmp_path: Path) -> None:
    unbroken = trained("torch.AdamW", FOR_LOOP, 4)
    trainer = make_trainer(2)
    trainer.fit(Module("torch.AdamW", FOR_LOOP), make_data())
    trainer.save_checkpoint(tmp_path / "half.ckpt")
    resumed = make_trainer(4)
    resumed.fit(Module("AdamW", FOR_LOOP, seed=1), make_data(), ckpt_path=tmp_path / "half.ckpt", weights_only=True)
    assert type(optimizer_of(resumed)) is class_of("AdamW")
    assert_same_run(optimizer_of(resumed), unbroken)


def scaling() -> MixedPrecision:
    """float16 with a GradScaler, which Lightning itself takes on GPUs only."""
    return MixedPrecision("16-mixed", "cpu", scaler=torch.amp.GradScaler("cpu", init_scale=2.0**10))


@pytest.mark.feature("ecosystem", "PyTorch Lightning: clips gradients that a GradScaler has scaled")
@pytest.mark.parametrize("options", [{}, FOR_LOOP, {"foreach": True}], ids=str)
def test_scaled_gradients_are_clipped(options: Options) -> None:
    """Not where a step unscales them itself, so no optimizer may say that it does unless it was asked to."""
    clipped = trained("AdamW", options, plugins=[scaling()], gradient_clip_val=CLIP)
    control = trained("torch.AdamW", FOR_LOOP, plugins=[scaling()], gradient_clip_val=CLIP)
    if options:
        assert_same_run(clipped, control)
    else:
        assert_close(clipped, control)
    without = trained("AdamW", options, plugins=[scaling()])
    with pytest.raises(AssertionError):  # it does make a difference
        assert_close(clipped, without)


@pytest.mark.parametrize("name", ["AdamW", "torch.AdamW"])
def test_lightning_refuses_to_clip_what_the_step_unscales(name: str) -> None:
    with pytest.raises(RuntimeError, match="does not allow for gradient clipping because it performs unscaling"):
        trained(name, {"fused": True}, plugins=[scaling()], gradient_clip_val=CLIP)


def test_the_step_itself_clips_what_it_unscales() -> None:
    """`clip_grad_norm` is for that."""
    within = trained("AdamW", {"fused": True, "clip_grad_norm": CLIP}, plugins=[scaling()])
    before = trained("AdamW", {}, plugins=[scaling()], gradient_clip_val=CLIP)
    assert_close(within, before)


def assert_close(mine: torch.optim.Optimizer, other: torch.optim.Optimizer) -> None:
    for param, expected in zip(params_of(mine), params_of(other), strict=True):
        torch.testing.assert_close(param.detach(), expected.detach())


def test_the_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    trainer = run_example("ecosystem.md", "PyTorch Lightning")["trainer"]
    assert isinstance(trainer, L.Trainer)
    assert isinstance(optimizer_of(trainer), class_of("AdamW"))
    assert trainer.global_step == 16
