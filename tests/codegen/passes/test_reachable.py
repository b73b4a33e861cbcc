"""Branches that other branches rule out are left out of kernels, and nothing else is."""

from __future__ import annotations

import pytest
import torch

import thetac
from tests.support.comparing import assert_same_training
from thetac.codegen.ir.listing import listing
from thetac.codegen.passes.reachable import reachable
from thetac.codegen.pipeline import Source, front_end, lower

SPEC = """
optimizer: Nested
summary: Conditions within conditions.
hyperparameters:
  lr: {default: 0.1}
  decay: {default: 0.0, doc: a number}
  early: {default: false, doc: a flag}
  late: {default: false, doc: a flag}
complex: unsupported
state: {slow: {init: zeros}, step: counter}
update: |
"""
UPDATE = """
slow = slow + lr * grad
if early and not late:
  if late:
    slow = 2 * slow
  else:
    param = param - slow / (1 + step)
  if not early or late:
    param = 0 * param
if decay != 0:
  if decay != 0:
    param = param - decay * param
  if decay == 0 and early:
    slow = 3 * slow
if step > 2:
  if not step > 2:
    param = 2 * param
param = param - slow / (1 + norm(grad)) - where(early, decay, 0)
"""
LEFT = """
slow = slow + lr * grad
if early and not late:
  param = param - slow / (1 + step)
if decay != 0:
  param = param - decay * param
  if decay == 0 and early:
    slow = 3 * slow
if step > 2:
  if not step > 2:
    param = 2 * param
param = param - slow / (1 + norm(grad)) - where(early, decay, 0)
"""


def source(update: str) -> Source:
    return Source("nested.yaml", SPEC + "".join(f"  {line}\n" for line in update.strip().splitlines()))


def test_what_is_left() -> None:
    """What is the same is known by its text, and what only a counter decides is not asked."""
    (rule,) = front_end([source(UPDATE)])
    (wanted,) = front_end([source(LEFT)])
    assert listing(reachable(rule).body) == listing(wanted.body)


def test_a_rule_without_such_branches_is_as_it_was() -> None:
    (rule,) = front_end([source(LEFT)])
    assert reachable(rule) == rule


@pytest.mark.parametrize("early", [False, True])
def test_a_state_that_only_such_a_branch_assigns_is_no_fault_of_the_compiler(early: bool) -> None:
    update = """
if early:
  if not early:
    slow = slow + lr * grad
param = param - lr * grad + slow * step * where(late, decay, 1)
"""
    (rule,) = front_end([source(update)])
    lower(rule)
    cls = thetac.load(source(update).text)
    params = [torch.nn.Parameter(torch.ones(5)) for _ in range(2)]
    fused, loop = cls([params[0]], early=early, fused=True), cls([params[1]], early=early, foreach=False)  # type: ignore[call-arg]
    for one in params:
        one.grad = torch.full((5,), 0.5)
    fused.step()
    loop.step()
    assert_same_training(fused, loop)
