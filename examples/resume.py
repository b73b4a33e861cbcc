"""Train a small network in a way that can be killed at any moment, and goes on from its last checkpoint.

    python examples/resume.py --checkpoint run.pt

Stop it, by Ctrl-C or by `kill -9`, and start it again: it ends with the same bits as a run that nobody stopped. Two
things make it so. A checkpoint holds everything that the rest of the run depends on: parameters, state of optimizer
and schedule, generators of random numbers, the number of steps. And it is written under another name, then renamed,
so that the last whole one is there whenever the process dies.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler

import thetac

SEED, EXAMPLES, FEATURES, BATCH = 0, 512, 8, 32


@dataclass(frozen=True, slots=True)
class Run:
    """Everything that changes while training."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    scheduler: LRScheduler
    batches: torch.Generator

    def state_dict(self, step: int) -> dict[str, Any]:
        return {
            "step": step,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "batches": self.batches.get_state(),
            "random": torch.get_rng_state(),  # of dropout
        }

    def load_state_dict(self, saved: dict[str, Any]) -> int:
        """Returns the number of steps that have been done."""
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.scheduler.load_state_dict(saved["scheduler"])
        self.batches.set_state(saved["batches"])
        torch.set_rng_state(saved["random"])
        step: int = saved["step"]
        return step


def beginning(steps: int) -> Run:
    torch.manual_seed(SEED)
    model = nn.Sequential(nn.Linear(FEATURES, 64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, 1))
    optimizer = thetac.AdamW(model.named_parameters(), lr=1e-2, weight_decay=1e-3)
    return Run(model, optimizer, CosineAnnealingLR(optimizer, T_max=steps), torch.Generator().manual_seed(SEED))


def data() -> tuple[Tensor, Tensor]:
    x = torch.randn(EXAMPLES, FEATURES, generator=torch.Generator().manual_seed(SEED))
    return x, x.sin().sum(dim=1, keepdim=True)


def write(state: dict[str, Any], path: Path) -> None:
    """Replace the checkpoint in one piece: who reads it finds the old one or the new one."""
    temporary = path.with_name(f"{path.name}.tmp")  # in the same folder, because files are not renamed across disks
    with temporary.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())  # or a power failure could leave the new name without the content
    os.replace(temporary, path)


def train(path: Path, steps: int, every: int) -> None:
    """Train to the given number of steps, from the checkpoint if there is one."""
    run, (x, y) = beginning(steps), data()
    done = run.load_state_dict(torch.load(path, weights_only=True)) if path.exists() else 0
    print(f"beginning at step {done}")
    for step in range(done + 1, steps + 1):
        batch = torch.randint(EXAMPLES, (BATCH,), generator=run.batches)
        run.optimizer.zero_grad()
        loss = nn.functional.mse_loss(run.model(x[batch]), y[batch])
        loss.backward()
        run.optimizer.step()
        run.scheduler.step()
        if step % every == 0 or step == steps:
            write(run.state_dict(step), path)
            print(f"step {step} of {steps}, loss {loss.item():.4f}, written", flush=True)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Train a small network; killed and started again, it goes on.")
    parser.add_argument("--checkpoint", type=Path, default=Path("run.pt"), help="where it is written and looked for")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--every", type=int, default=100, help="steps between two checkpoints")
    options = parser.parse_args(arguments)
    train(options.checkpoint, options.steps, options.every)


if __name__ == "__main__":
    main()
