"""What the host computes is in front of the totals that it does not need, and means what the text says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from random import Random

import numpy as np
import pytest

from tests.references.elements import ELEMENTS
from tests.support.kernel_rule import as_rule
from tests.support.sharing import compiled
from thetac.codegen.cli.pass_listing import passes_listing
from thetac.codegen.errors import SpecError
from thetac.codegen.ir.fused import Barrier, Fused
from thetac.codegen.ir.interpret import Member, exact, interpret_all
from thetac.codegen.ir.nodes import Rule
from thetac.codegen.pipeline import Source, front_end, lower

HEAD = """\
optimizer: Test
summary: A test.
hyperparameters:
  lr: {default: 0.5}
  fancy: {default: false, doc: fancy}
complex: unsupported
state:
  buffer: {init: zeros}
  d: {per: optimizer, init: lr}
  g: {per: group, init: 0.25}
update: |
"""


def made(update: str) -> tuple[Rule, Fused]:
    """The rule of an update, and what kernels are made of."""
    head = HEAD if "fancy" in update else HEAD.replace("  fancy: {default: false, doc: fancy}\n", "")
    text = head + "".join(f"  {line}\n" for line in update.strip().splitlines())
    (written,) = front_end([Source("test.yaml", text)])
    return lower(written)


def drawn(random: Random) -> str:
    """An update in which totals, numbers, elements and branches follow each other in any order."""
    hosts, numbers = ["d", "g", "lr"], ["norm(grad)"]
    lines = ["y = grad"]

    def host() -> str:
        return random.choice(hosts)

    def assign(indent: str = "") -> list[str]:
        match random.randrange(5):
            case 0:
                name = random.choice(["a", "b", "c"])
                line = f"{name} = {host()} * 0.5 + {random.choice(hosts)}"
                if not indent and name not in hosts:
                    hosts.append(name)
                return [f"{indent}{line}"] if name in hosts else []
            case 1:
                return [f"{indent}y = y * {host()} + grad"]
            case 2:
                return [f"{indent}buffer = buffer + {host()} * y"]
            case 3:
                return [f"{indent}param = param - 0.1 * {host()} * y"]
            case _:
                name = random.choice(["d", "g"])
                return [f"{indent}{name} = {name} * 0.5 + {random.choice([name, 'lr', *hosts])}"]

    for _ in range(random.randrange(4, 12)):
        match random.randrange(6):
            case 0:
                name = random.choice(["t", "u"])
                function = random.choice(["total", "group_total"])
                term = random.choice([*numbers, host(), f"{host()} * sum(y)", f"{host()} / (1 + norm(buffer))"])
                lines.append(f"{name} = {function}({term})")
                hosts.append(name)
            case 1:
                lines += ["d = d + total(sum(abs(y)))"]
            case 2:
                inside = [line for _ in range(2) for line in assign("  ")]
                condition = random.choice(["fancy", f"{host()} > 0.3", "not fancy"])
                lines += [f"if {condition}:", *inside] if inside else []
            case _:
                lines += assign()
    return "\n".join([*lines, "g = g + group_total(1)", "d = d + 0.25", "param = param - lr * 0.01 * d * y"])


@pytest.mark.parametrize("seed", range(20))
def test_any_order_of_totals_and_numbers_means_the_same_in_stages(seed: int) -> None:
    random = Random(seed)
    for rule, fused in islice(legal(random), 10):
        expect_same(rule, fused)


def legal(random: Random) -> Iterator[tuple[Rule, Fused]]:
    """Yield drawn rules without end: those that the checks take."""
    while True:
        with suppress(SpecError):  # a number of the optimizer has one of a group, or a name is never used
            yield made(drawn(random))


def expect_same(rule: Rule, fused: Fused) -> None:
    """Run both for some steps of two groups; fail if anything differs."""
    other = as_rule(rule, fused)
    for fancy in (False, True):
        random = np.random.default_rng(1)
        sizes, groups = (1, 4, 3), (0, 0, 1)
        params = [[random.normal(size=n) for n in sizes]] * 2
        states: list[list[dict[str, object]]] = [[{} for _ in sizes]] * 2
        values: list[list[dict[str, object]]] = [[{"fancy": fancy} for _ in sizes]] * 2
        for _ in range(3):
            grads = [random.normal(size=n) for n in sizes]
            with np.errstate(all="ignore"):
                found = [
                    interpret_all(
                        one,
                        [
                            Member(v, s, p, g, p.shape, group)  # type: ignore[arg-type]
                            for v, s, p, g, group in zip(of, state, param, grads, groups, strict=True)
                        ],
                        arithmetic=ELEMENTS,
                        store=exact,
                    )
                    for one, of, state, param in zip((rule, other), values, states, params, strict=True)
                ]
            params = [[one.param for one in side] for side in found]
            states = [[one.state for one in side] for side in found]  # type: ignore[misc]
            values = [[{"fancy": fancy, **one.shared} for one in side] for side in found]
            for wanted, got in zip(*found, strict=True):
                np.testing.assert_array_equal(got.param, wanted.param)
                np.testing.assert_equal(dict(got.state), dict(wanted.state))
                np.testing.assert_equal(got.shared, wanted.shared)


def test_every_form_of_totals_means_the_same_in_stages() -> None:
    one = compiled()
    assert [total.passes for total in one.fused.totals] == [2, 2, 2, 2]
    assert [one.barrier for one in one.fused.passes] == [Barrier.NONE, Barrier.TOTAL, Barrier.NONE]


def test_a_name_keeps_its_value_for_what_waits() -> None:
    rule, fused = made("""
a = lr
t = total(sum(grad))
b = a + t
a = 2 * lr
buffer = buffer + a * grad
param = param - b * buffer
d = d + b
g = g + lr
""")
    expect_same(rule, fused)
    (entry,) = (entry for entry in fused.row if entry.name == "a")
    assert entry.after == 1, "b reads the old value, and is computed behind the total"


@pytest.mark.parametrize("branch", ["  a = 0 * lr\n  b = b + t", "  b = b + t\na = 0 * lr"], ids=["inside", "behind"])
def test_a_condition_is_what_it_was_for_what_waits_in_its_branch(branch: str) -> None:
    rule, fused = made(f"""
a = lr * 0.5
b = lr
t = total(sum(grad))
if a > 0.1:
{branch}
buffer = buffer + a * grad
param = param - b * buffer
d = d + b
g = g + lr
""")
    expect_same(rule, fused)


def test_what_needs_no_total_is_read_before() -> None:
    rule, fused = made("""
t = total(sum(grad))
a = lr * d
buffer = buffer + a * grad
d = d + t + total(sum(buffer))
g = g + lr
param = param - lr * buffer
""")
    assert [total.passes for total in fused.totals] == [1, 1], "one sweep gives both"
    expect_same(rule, fused)


def test_totals_are_waited_for_in_the_order_of_the_text() -> None:
    rule, fused = made("""
late = total(sum(grad / norm(grad)))
early = total(sum(grad))
d = d + early + late
g = g + lr
buffer = grad
param = param - lr * early * buffer
""")
    assert [total.target for total in fused.totals] == ["late", "early"]
    assert [total.passes for total in fused.totals] == [2, 2]
    expect_same(rule, fused)


def test_passes_are_listed_with_what_they_wait_for() -> None:
    _, fused = made("""
t = total(sum(abs(grad)))
members = group_total(1)
buffer = buffer + grad
d = d + t
g = g + members
param = param - lr * d * buffer
""")
    text = "\n".join(passes_listing(fused))
    assert text.startswith("2 passes over the elements, ")
    (wait,) = re.findall(r"  then waits for all parameters:\n(?:    .*\n)*  and .*", text)
    assert wait.splitlines() == [
        "  then waits for all parameters:",
        "    t = sum of sum_abs_grad over the optimizer",
        "    members = sum of members_term over the group",
        "  and computes lr_times_d",
    ]
    assert text.index("pass 0") < text.index(wait) < text.index("loads param")
