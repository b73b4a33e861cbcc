"""A rule whose parameters share numbers and wait for sums over each other, and what it computes in float64."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor

import thetac
from tests.references.elements import ELEMENTS, Array
from thetac.codegen.ir.interpret import Member, Step, exact, interpret_all
from thetac.codegen.pipeline import Compiled, Source, compile_specs
from thetac.runtime.optimizer import Optimizer

# Every form: totals of reductions, of numbers of the host and of their products; numbers of a group and of the
# optimizer, read before and after they get new values; a local that crosses a total; texts and None.
TEXT = """
optimizer: Sharing
summary: Parameters share a rate.
hyperparameters:
  lr: {default: 0.1}
  betas: {default: [0.9, none], names: [beta1, beta2], none: ["", sqrt(beta1)], doc: decays}
  start: {default: 0.5, doc: the first rate}
  mode: {default: plain, choices: [plain, fast], doc: whether the rate grows}
  careful: {default: false, doc: shorter steps}
  weight_decay: {default: 0}
weight_decay: l2
complex: unsupported
group_keys: [lr, rate]
state:
  step: counter
  origin: {init: param}
  buffer: {init: zeros}
  rate: {per: optimizer, init: start, symbol: "\\\\rho", doc: the rate}
  gain: {per: optimizer, init: 0}
  share: {per: group, init: lr * 2}
update: |
  moved = param - origin
  scale = rate / start
  gain = beta2 * gain + total(scale * lr * dot(grad, moved) + 0.5 * step)
  buffer = beta1 * buffer + (1 - beta1) * grad
  whole = total(sum(abs(buffer)))
  part = group_total(norm(buffer))
  members = group_total(1)
  share = where(part > 0, share * 0.9 + part / (part + members), share)
  old = rate
  if mode == "fast":
    rate = rate * 1.1
  rate = maximum(rate, where(whole > 0, abs(gain) / whole, rate)) + 1e-3
  direction = buffer + 0.01 * moved
  if careful:
    direction = direction / (1 + whole)
  param = param - lr * old * share / (1 + rate) * direction
"""

GROUPS: tuple[dict[str, Any], ...] = ({}, {"lr": 0.05, "weight_decay": 0.1, "careful": True})
SHAPES = (((4, 3), ()), ((5,), (2, 2, 2), (0, 3)))  # of the parameters of each group


@cache
def sharing() -> type[Optimizer]:
    """Return the class."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "sharing.yaml"
        path.write_text(TEXT, encoding="utf-8")
        return thetac.load(path)  # type: ignore[return-value]


@cache
def compiled() -> Compiled:
    """Return the rule at every stage."""
    (one,) = compile_specs([Source("sharing.yaml", TEXT)])
    return one


def make(dtype: torch.dtype = torch.float64, **arguments: Any) -> Optimizer:
    """Return an optimizer of two groups."""
    generator = torch.Generator().manual_seed(0)
    groups = [
        {"params": [torch.nn.Parameter(torch.randn(s, generator=generator, dtype=dtype)) for s in shapes], **own}
        for own, shapes in zip(GROUPS, SHAPES, strict=True)
    ]
    return sharing()(groups, **arguments)  # type: ignore[call-arg, arg-type]


def params_of(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """Return all parameters."""
    return [param for group in optimizer.param_groups for param in group["params"]]


def give_gradients(optimizer: torch.optim.Optimizer, step: int, late: Sequence[int] = ()) -> None:
    """Give gradients to all parameters, but for the late ones before the fourth step."""
    generator = torch.Generator().manual_seed(step)
    for index, param in enumerate(params_of(optimizer)):
        grad = torch.randn(param.shape, generator=generator, dtype=torch.float64).to(param.dtype)
        param.grad = None if index in late and step < 3 else grad


def run(optimizer: torch.optim.Optimizer, steps: int, late: Sequence[int] = (), begin: int = 0) -> None:
    """Take steps."""
    for step in range(begin, begin + steps):
        give_gradients(optimizer, step, late)
        optimizer.step()


class Interpreted:
    """The same training in the interpreter."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.groups = [
            {key: value for key, value in group.items() if key not in ("params", "betas")}
            | {"beta1": group["betas"][0], "beta2": group["betas"][1]}
            for group in optimizer.param_groups
        ]
        self.params = [param.detach().numpy().copy() for param in params_of(optimizer)]
        self.group_of = [i for i, group in enumerate(optimizer.param_groups) for _ in group["params"]]
        self.states: list[Mapping[str, Any]] = [{} for _ in self.params]

    def run(self, optimizer: Optimizer, steps: int, late: Sequence[int] = ()) -> None:
        """Take steps with the gradients that `run` gives."""
        for step in range(steps):
            give_gradients(optimizer, step, late)
            self.step([param.grad for param in params_of(optimizer)])

    def step(self, grads: Sequence[Tensor | None]) -> None:
        """Take one step."""
        present = [index for index, grad in enumerate(grads) if grad is not None]
        members: list[Member[Array]] = [
            Member(
                self.groups[self.group_of[i]],
                self.states[i],
                self.params[i],
                np.asarray(grads[i]),
                self.params[i].shape,
                self.group_of[i],
            )
            for i in present
        ]
        found: list[Step[Array]] = interpret_all(compiled().rule, members, arithmetic=ELEMENTS, store=exact)
        for index, one in zip(present, found, strict=True):
            self.params[index], self.states[index] = one.param, one.state
            self.groups[self.group_of[index]].update(one.shared)
        for group in self.groups:
            group.update({name: found[0].shared[name] for name in ("rate", "gain")})
