"""Generated optimizers in transformers.Trainer, given to it in each of the ways that it has."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from tests.support.doc_examples import run_example
from tests.support.ecosystem_helpers import (
    FOR_LOOP,
    Options,
    assert_same_run,
    assert_trained,
    each_implementation,
    make_scheduler,
    missing,
    names_in_torch,
    params_of,
)
from tests.support.ecosystem_helpers import no_network as no_network
from tests.support.ecosystem_helpers import quick as quick
from tests.support.every_optimizer import class_of, every_class, remembering

transformers = pytest.importorskip("transformers", reason=missing("transformers"))
pytest.importorskip("accelerate", reason=missing("accelerate"))  # which Trainer needs

pytestmark = pytest.mark.usefixtures("quick", "no_network")

WORDS, LENGTH, EXAMPLES = 11, 6, 16
BATCH, ACCUMULATED = 2, 2
STEPS_PER_EPOCH = EXAMPLES // (BATCH * ACCUMULATED)
STEPS, HALF = 3 * STEPS_PER_EPOCH, STEPS_PER_EPOCH + 2  # it is stopped in the middle of an epoch


def make_model(seed: int = 0) -> transformers.GPT2LMHeadModel:
    """With tied weights and dropout, which Trainer's checkpoints must and do resume, too."""
    torch.manual_seed(seed)
    config = transformers.GPT2Config(vocab_size=WORDS, n_positions=LENGTH, n_embd=8, n_layer=1, n_head=2)
    config.bos_token_id = config.eos_token_id = None
    return transformers.GPT2LMHeadModel(config)


def make_data() -> list[dict[str, torch.Tensor]]:
    words = torch.randint(0, WORDS, (EXAMPLES, LENGTH), generator=torch.Generator().manual_seed(0))
    return [{"input_ids": sentence, "labels": sentence} for sentence in words]


class StopHalfway(transformers.TrainerCallback):
    def on_step_end(self, args: object, state: object, control: object, **_: object) -> None:
        if state.global_step == HALF:
            control.should_save = control.should_training_stop = True


def arguments(folder: Path, **others: object) -> transformers.TrainingArguments:
    return transformers.TrainingArguments(
        output_dir=str(folder),
        use_cpu=True,
        max_steps=STEPS,
        per_device_train_batch_size=BATCH,
        gradient_accumulation_steps=ACCUMULATED,
        learning_rate=1e-2,
        weight_decay=0.1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        logging_strategy="no",
        **others,
    )


class ByMethod(transformers.Trainer):
    """A subclass that makes its own optimizer."""

    made: tuple[type[torch.optim.Optimizer], Mapping[str, object]]

    def create_optimizer(self, model: torch.nn.Module | None = None) -> torch.optim.Optimizer:
        cls, options = self.made
        self.optimizer = cls((model or self.model).named_parameters(), **options)
        return self.optimizer


def make_trainer(
    way: str, name: str, options: Options, folder: Path, seed: int = 0, **others: object
) -> transformers.Trainer:
    model, cls = make_model(seed), class_of(name)
    common = {"model": model, "args": arguments(folder), "train_dataset": make_data(), **others}
    match way:
        case "class":  # Trainer makes groups with and without decay
            return transformers.Trainer(optimizer_cls_and_kwargs=(cls, dict(options)), **common)
        case "method":
            trainer = ByMethod(**common)
            trainer.made = cls, options
            return trainer
        case "object":
            optimizer = cls(model.parameters(), **options)
            return transformers.Trainer(optimizers=(optimizer, make_scheduler(optimizer)), **common)
    raise AssertionError(way)


def optimizer_of(trainer: transformers.Trainer) -> torch.optim.Optimizer:
    """Without Accelerate's wrapper."""
    optimizer = trainer.optimizer
    return getattr(optimizer, "optimizer", optimizer)


def trained(way: str, name: str, options: Options, folder: Path) -> torch.optim.Optimizer:
    trainer = make_trainer(way, name, options, folder)
    trainer.train()
    return optimizer_of(trainer)


def assert_resumes(way: str, name: str, options: Options, folder: Path, resumed_as: str = "") -> None:
    unbroken = trained(way, name, options, folder)
    assert_trained(unbroken, params_of(make_trainer(way, name, options, folder).create_optimizer()))
    make_trainer(way, name, options, folder, callbacks=[StopHalfway()]).train()
    resumed = make_trainer(way, resumed_as or name, options, folder, seed=1)
    resumed.train(resume_from_checkpoint=str(folder / f"checkpoint-{HALF}"))
    assert resumed.state.global_step == STEPS
    assert_same_run(optimizer_of(resumed), unbroken)


# With their defaults, the first steps of these are lost in rounding, or do not move a bias that starts at 0.
VISIBLE: dict[str, dict[str, object]] = {
    "DAdaptSGD": {"d0": 1e-3},
    "DoG": {"reps_rel": 1e-3},
    "Tiger": {"kind": "bias"},
}


@pytest.mark.feature(
    "ecosystem", "transformers.Trainer: accumulates, clips, saves and resumes where an unbroken run ends"
)
@every_class
def test_every_optimizer_resumes(name: str, tmp_path: Path) -> None:
    assert_resumes("class", name, {**remembering(name), **VISIBLE.get(name, {})}, tmp_path)


@pytest.mark.parametrize("way", ["class", "method", "object"])
@each_implementation
def test_every_implementation_resumes(way: str, options: Options, tmp_path: Path) -> None:
    assert_resumes(way, "AdamW", options, tmp_path)


@names_in_torch
def test_a_run_of_torchs_goes_on_with_ours(name: str, tmp_path: Path) -> None:
    assert_resumes("object", f"torch.{name}", FOR_LOOP, tmp_path, resumed_as=name)


def test_it_trains_as_trainers_own_adamw_does(tmp_path: Path) -> None:
    own = transformers.Trainer(
        model=make_model(), args=arguments(tmp_path, optim="adamw_torch"), train_dataset=make_data()
    )
    own.train()
    assert type(optimizer_of(own)) is torch.optim.AdamW
    assert_same_run(trained("class", "AdamW", {"lr": 1e-2, **FOR_LOOP}, tmp_path), optimizer_of(own))


def test_the_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    trainer = run_example("ecosystem.md", "transformers.Trainer")["trainer"]
    assert callable(trainer)
    optimizer = trainer().create_optimizer()
    assert isinstance(optimizer, class_of("AdamW"))
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.1, 0.0]
    assert (tmp_path / "run" / "checkpoint-8").is_dir()
