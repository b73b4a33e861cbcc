"""Train a small transformer with an update rule written by hand: adaptive moments with the warm-up of its first paper.

The task is to sort: the network reads eight digits and writes them in ascending order. The learning rate rises for
some hundred steps and then falls with the root of their number (Vaswani et al., Attention Is All You Need, 2017,
section 5.3); Noam Shazeer thought of it, and it is known under his name. The rule is a class of thirty lines.

Run it by `python examples/warmup_transformer.py`. It takes some seconds on one core.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from thetac.runtime import GenericOptimizer

SEED, DIGITS, LENGTH, WIDTH, BATCH = 0, 10, 8, 32, 64


class NoamAdam(GenericOptimizer):
    """Adam whose learning rate is factor * width**-0.5 * min(step**-0.5, step * warmup**-1.5)."""

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        width: int,
        warmup: int = 150,
        factor: float = 1.0,
        betas: tuple[float, float] = (0.9, 0.98),
        eps: float = 1e-9,
        weight_decay: float = 0.0,
    ) -> None:
        if warmup < 1:
            raise ValueError(f"Invalid warmup value: {warmup}")
        # lr is the rate at the peak; a scheduler may lower it further.
        defaults = {"lr": factor * (width * warmup) ** -0.5, "warmup": warmup, "betas": betas, "eps": eps}
        super().__init__(params, defaults, weight_decay=weight_decay, weight_decay_style="decoupled")

    def init_state(self, state: dict[str, Any], group: dict[str, Any], param: Tensor) -> None:
        state["step"] = torch.tensor(0.0)
        state["exp_avg"] = torch.zeros_like(param)
        state["exp_avg_sq"] = torch.zeros_like(param)

    def step_param(self, state: dict[str, Any], group: dict[str, Any], grad: Tensor, param: Tensor) -> None:
        state["step"] += 1
        step, (beta1, beta2) = state["step"].item(), group["betas"]
        state["exp_avg"].lerp_(grad, 1 - beta1)
        state["exp_avg_sq"].mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        denom = (state["exp_avg_sq"] / (1 - beta2**step)).sqrt_().add_(group["eps"])
        rate = group["lr"] * warm_up(step, group["warmup"])
        param.addcdiv_(state["exp_avg"], denom, value=-rate / (1 - beta1**step))


def warm_up(step: float, warmup: int) -> float:
    """The share of the peak: 1 in step `warmup`."""
    return min(math.sqrt(warmup / step), step / warmup)


class Sorter(nn.Module):
    """One layer of attention over all positions, and a guess of the digit at each."""

    def __init__(self) -> None:
        super().__init__()
        self.digits = nn.Embedding(DIGITS, WIDTH)
        self.places = nn.Parameter(torch.randn(LENGTH, WIDTH) * 0.1)
        layer = nn.TransformerEncoderLayer(WIDTH, nhead=4, dim_feedforward=64, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, num_layers=2)
        self.guess = nn.Linear(WIDTH, DIGITS)

    def forward(self, digits: Tensor) -> Tensor:
        return self.guess(self.encoder(self.digits(digits) + self.places))  # type: ignore[no-any-return]


def train(steps: int, report_every: int = 50) -> tuple[list[float], float]:
    """The loss of every step, and the share of digits that are right at the end."""
    torch.manual_seed(SEED)
    model = Sorter()
    optimizer = NoamAdam(model.parameters(), WIDTH, factor=0.5)
    draw = torch.Generator().manual_seed(SEED)
    losses = []
    for step in range(1, steps + 1):
        digits = torch.randint(DIGITS, (BATCH, LENGTH), generator=draw)
        optimizer.zero_grad()
        logits = model(digits)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), digits.sort(dim=1).values.flatten())
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if step % report_every == 0 or step == 1:
            group = optimizer.param_groups[0]
            rate = group["lr"] * warm_up(step, group["warmup"])
            print(f"step {step:>4}/{steps}  learning rate {rate:.5f}  loss {losses[-1]:.4f}", flush=True)
    digits = torch.randint(DIGITS, (500, LENGTH), generator=draw)
    with torch.no_grad():
        right = (model(digits).argmax(-1) == digits.sort(dim=1).values).float().mean().item()
    return losses, right


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=600)
    losses, right = train(parser.parse_args(arguments).steps)
    print(f"\nloss {losses[0]:.4f} -> {losses[-1]:.4f}; {right:.1%} of the digits of 500 new lists are in their place")


if __name__ == "__main__":
    main()
