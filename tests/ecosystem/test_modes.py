"""Optimizers with modes under other libraries: what these call by themselves, and callbacks of the documentation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schedulefree
import torch
from torch import nn

import thetac
from tests.support.comparing import assert_identical
from tests.support.doc_examples import run_example
from tests.support.ecosystem_helpers import BATCHES, assert_same_run, make_data, make_model, missing, params_of
from tests.support.ecosystem_helpers import no_network as no_network
from tests.support.ecosystem_helpers import quick as quick

accelerate = pytest.importorskip("accelerate", reason=missing("accelerate"))
L = pytest.importorskip("lightning", reason=missing("lightning"))
transformers = pytest.importorskip("transformers", reason=missing("transformers"))
from accelerate.state import AcceleratorState, GradientState  # noqa: E402

pytestmark = pytest.mark.usefixtures("quick", "no_network", "fresh_state")

OPTIONS: dict[str, Any] = {"lr": 1e-2, "foreach": False}
WORDS, LENGTH = 11, 6


@pytest.fixture
def fresh_state() -> Iterator[None]:
    """Accelerate keeps one state per process."""
    yield
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()


@pytest.fixture(scope="module")
def callbacks() -> dict[str, Any]:
    return run_example("ecosystem.md", "Modes")


def modes_of(optimizer: torch.optim.Optimizer) -> list[bool]:
    return [group["train_mode"] for group in optimizer.param_groups]


def by_hand(make: Any, epochs: int, evaluated_after: tuple[int, ...] = ()) -> tuple[nn.Module, torch.optim.Optimizer]:
    """Train without any library, evaluate after some epochs, and end where the model is evaluated."""
    model = make_model()
    optimizer = make(model.parameters(), **OPTIONS)
    for epoch in range(epochs):
        optimizer.train()
        for inputs, targets in make_data():
            optimizer.zero_grad()
            nn.functional.mse_loss(model(inputs), targets).backward()
            optimizer.step()
        if epoch in evaluated_after:
            optimizer.eval()
    optimizer.eval()
    return model, optimizer


@pytest.mark.feature("ecosystem", "modes: Accelerate, Lightning and Trainer set them, and save where models are used")
@pytest.mark.parametrize("cls", [thetac.ScheduleFreeAdamW, schedulefree.AdamWScheduleFree])
def test_accelerate_hands_the_calls_on(cls: Any) -> None:
    """Its wrapper has both methods; the run is that of the authors' class without Accelerate."""
    accelerator = accelerate.Accelerator(cpu=True)
    model = make_model()
    optimizer = cls(model.parameters(), **OPTIONS)
    model, wrapped, data = accelerator.prepare(model, optimizer, make_data())
    for epoch in range(3):
        wrapped.train()
        for inputs, targets in data:
            accelerator.backward(nn.functional.mse_loss(model(inputs), targets))
            wrapped.step()
            wrapped.zero_grad()
        if epoch == 1:
            wrapped.eval()
            assert modes_of(optimizer) == [False]
    wrapped.eval()
    expected, _ = by_hand(schedulefree.AdamWScheduleFree, 3, (1,))
    assert_identical([p.detach() for p in model.parameters()], [p.detach() for p in expected.parameters()])


def test_accelerate_resumes_in_the_mode_that_was_saved(tmp_path: Path) -> None:
    accelerator = accelerate.Accelerator(cpu=True)
    optimizers = []
    for seed in (0, 1):
        model = make_model(seed)
        optimizers.append(accelerator.prepare(model, thetac.ScheduleFreeAdamW(model.parameters(), **OPTIONS))[1])
        if seed == 0:
            optimizers[0].train()
            nn.functional.mse_loss(model(torch.ones(4, 5)), torch.ones(4, 1)).backward()
            optimizers[0].step()
            saved = optimizers[0].state_dict()
    optimizers[1].load_state_dict(saved)
    assert modes_of(optimizers[1]) == [True]


class Module(L.LightningModule):
    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.model = make_model(seed)
        self.seen: list[list[torch.Tensor]] = []

    def training_step(self, batch: list[torch.Tensor], batch_idx: int) -> torch.Tensor:
        inputs, targets = batch
        return nn.functional.mse_loss(self.model(inputs), targets)

    def validation_step(self, batch: list[torch.Tensor], batch_idx: int) -> None:
        self.seen.append([param.detach().clone() for param in self.model.parameters()])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return thetac.ScheduleFreeAdamW(self.parameters(), **OPTIONS)


def fit(module: Module, epochs: int, *given: Any, validated: bool = False, **keywords: Any) -> Any:
    trainer = L.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=list(given),
    )
    trainer.fit(module, make_data(), make_data() if validated else None, **keywords)
    return trainer


def test_lightning_needs_a_callback() -> None:
    with pytest.raises(RuntimeError, match=r"call optimizer\.train\(\)"):
        fit(Module(), 1)


@pytest.mark.parametrize("validated", [False, True])
def test_lightning_with_the_callback(callbacks: dict[str, Any], validated: bool, tmp_path: Path) -> None:
    """Validated and ended at the authors' points; stopped, saved and resumed, it ends at the same bits."""
    module = Module()
    trainer = fit(module, 4, callbacks["ModesOfLightning"](), validated=validated)
    expected, theirs = by_hand(schedulefree.AdamWScheduleFree, 4, (0, 1, 2))
    assert_same_points(module.model, expected)
    assert modes_of(trainer.optimizers[0]) == [False]
    if validated:
        after_one, _ = by_hand(schedulefree.AdamWScheduleFree, 1)
        first = module.seen[-4 * BATCHES]
        assert_identical(first, [param.detach() for param in after_one.parameters()])

    half = fit(Module(), 2, callbacks["ModesOfLightning"](), validated=validated)
    half.save_checkpoint(tmp_path / "half.ckpt")
    saved = torch.load(tmp_path / "half.ckpt", weights_only=True)
    after_two, _ = by_hand(schedulefree.AdamWScheduleFree, 2, (0,))
    assert_identical(list(saved["state_dict"].values()), [param.detach() for param in after_two.parameters()])
    resumed = Module(seed=1)
    keywords = {"ckpt_path": tmp_path / "half.ckpt", "weights_only": True}
    again = fit(resumed, 4, callbacks["ModesOfLightning"](), validated=validated, **keywords)
    assert_same_run(again.optimizers[0], trainer.optimizers[0])
    assert theirs.param_groups[0]["k"] == again.optimizers[0].param_groups[0]["k"] == 4 * BATCHES


def assert_same_points(mine: nn.Module, expected: nn.Module) -> None:
    assert_identical([p.detach() for p in mine.parameters()], [p.detach() for p in expected.parameters()])


class Points(transformers.TrainerCallback):  # type: ignore[misc]
    """Notes in which mode an optimizer steps, is evaluated and saved."""

    def __init__(self) -> None:
        self.modes: dict[str, set[bool]] = {"step": set(), "evaluate": set(), "save": set()}

    def on_pre_optimizer_step(self, *_: Any, optimizer: Any, **__: Any) -> None:
        self.modes["step"] |= {*modes_of(optimizer)}

    def on_evaluate(self, *_: Any, optimizer: Any, **__: Any) -> None:
        self.modes["evaluate"] |= {*modes_of(optimizer)}

    def on_save(self, *_: Any, optimizer: Any, **__: Any) -> None:
        self.modes["save"] |= {*modes_of(optimizer)}


def trainer_of(folder: Path, seed: int, *given: Any, **others: Any) -> Any:
    torch.manual_seed(seed)
    config = transformers.GPT2Config(vocab_size=WORDS, n_positions=LENGTH, n_embd=8, n_layer=1, n_head=2)
    config.bos_token_id = config.eos_token_id = None
    words = torch.randint(0, WORDS, (16, LENGTH), generator=torch.Generator().manual_seed(0))
    data = [{"input_ids": sentence, "labels": sentence} for sentence in words]
    keywords: dict[str, Any] = {"optimizer_cls_and_kwargs": (thetac.ScheduleFreeAdamW, dict(OPTIONS))}
    arguments = {"save_strategy": "steps", "save_steps": 4, "lr_scheduler_type": "constant", **others}
    if "optim" in others:
        keywords = {}
    return transformers.Trainer(
        model=transformers.GPT2LMHeadModel(config),
        args=transformers.TrainingArguments(
            output_dir=str(folder),
            use_cpu=True,
            max_steps=8,
            per_device_train_batch_size=4,
            report_to="none",
            disable_tqdm=True,
            logging_strategy="no",
            **arguments,
        ),
        train_dataset=data,
        eval_dataset=data[:2],
        callbacks=list(given),
        **keywords,
    )


def unwrapped(trainer: Any) -> torch.optim.Optimizer:
    optimizer = getattr(trainer.optimizer, "optimizer", trainer.optimizer)
    assert isinstance(optimizer, torch.optim.Optimizer)
    return optimizer


def test_trainer_sets_modes_by_itself(tmp_path: Path) -> None:
    """In training and evaluation; the run is that of the authors' class, which Trainer knows by name."""
    seen = Points()
    mine = trainer_of(tmp_path, 0, seen, eval_strategy="steps", eval_steps=2, save_strategy="no", weight_decay=0.1)
    mine.train()
    theirs = trainer_of(
        tmp_path,
        0,
        eval_strategy="steps",
        eval_steps=2,
        save_strategy="no",
        weight_decay=0.1,
        optim="schedule_free_adamw",
        learning_rate=OPTIONS["lr"],
    )
    theirs.train()
    assert isinstance(unwrapped(mine), thetac.ScheduleFreeAdamW)
    assert isinstance(unwrapped(theirs), schedulefree.AdamWScheduleFree)
    assert seen.modes == {"step": {True}, "evaluate": {False}, "save": set()}
    for param, other in zip(params_of(unwrapped(mine)), params_of(unwrapped(theirs)), strict=True):
        torch.testing.assert_close(param, other, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("strategy", ["steps", "epoch"])
def test_trainer_saves_where_the_model_is_used(callbacks: dict[str, Any], strategy: str, tmp_path: Path) -> None:
    """With the callback, and ends there; a run that resumes ends with the bits of an unbroken one."""
    seen = Points()
    unbroken = trainer_of(tmp_path, 0, callbacks["ModesOfTrainer"](), seen, save_strategy=strategy)
    unbroken.train()
    assert seen.modes == {"step": {True}, "evaluate": set(), "save": {False}}
    assert set(modes_of(unwrapped(unbroken))) == {False}
    resumed = trainer_of(tmp_path, 1, callbacks["ModesOfTrainer"](), save_strategy=strategy)
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-4"))
    assert_same_run(unwrapped(resumed), unwrapped(unbroken))
