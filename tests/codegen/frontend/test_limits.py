"""Every limit of the language: a spec at the limit is compiled, one beyond it is refused, and neither takes long."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.support.large_specs import SECONDS, branches, flags, made, spec
from thetac.codegen.errors import SpecError
from thetac.codegen.pipeline import Source, compile_specs


def nested(depth: int) -> list[str]:
    lines = ["direction = grad"]
    lines += [f"{'  ' * i}if lr > {i}:" for i in range(depth)]
    return [*lines, f"{'  ' * depth}direction = 2 * grad", "param = param - lr * direction"]


def step_of(expression: str) -> list[str]:
    return [f"direction = {expression}", "param = param - lr * direction"]


def refusal(*texts: str) -> str:
    """All that is said against the specs, in time."""
    started = time.process_time()
    with pytest.raises(SpecError) as raised:
        compile_specs([Source(f"{i}.yaml", text) for i, text in enumerate(texts)])
    message = str(raised.value)
    assert time.process_time() - started < SECONDS
    return message


@dataclass(frozen=True, slots=True)
class Limit:
    name: str
    most: int
    text: Callable[[int], str]  # a spec with so many of it
    place: str  # of the mistake in a spec with one more
    cause: str
    remedy: str
    before: str = ""  # another mistake that is said before


LIMITS = (
    Limit(
        "hyperparameters",
        300,
        lambda n: spec(branches([f"f{i}" for i in range(n - 1)]), flags(n - 1)),
        "0.yaml:304:3",
        "more than 300 hyperparameters and flags",
        "leave out what nobody changes",
    ),
    Limit(
        "states",
        60,
        lambda n: spec(
            [f"s{i} = s{i} + grad" for i in range(n)]
            + ["param = param - lr * (" + " + ".join(f"s{i}" for i in range(30)) + ")"]
            + ["param = param - lr * (" + " + ".join(f"s{i}" for i in range(30, n)) + ")"],
            states=[f"s{i}: {{init: zeros}}" for i in range(n)],
        ),
        "0.yaml:66:3",
        "more than 60 states",
        "a step needs little of the one before",
    ),
    Limit(
        "requirements",
        200,
        lambda n: spec(others=["require:", *(f"  lr > {-1 - i}: too small" for i in range(n))]),
        "0.yaml:206:3",
        "more than 200 requirements",
        "join conditions with `and`",
    ),
    Limit(
        "cases of weight decay",
        60,
        lambda n: spec(
            hyperparameters=["weight_decay: {default: 0}", *flags(n - 1)],
            others=[
                "weight_decay:",
                *(f"  f{i}: {('l2', 'decoupled', 'none')[i % 3]}" for i in range(n - 1)),
                "  else: l2",
            ],
        ),
        "0.yaml:127:3",
        "more than 60 cases of `weight_decay`",
        "join those of one style with `or`",
    ),
    Limit(
        "statements",
        1_000,
        lambda n: spec(
            ["x0 = grad", *(f"x{i + 1} = x{i} * x{i} + x{i}" for i in range(n - 2)), f"param = param - lr * x{n - 2}"]
        ),
        "0.yaml:1006:3",
        "more than 1,000 statements in an update",
        "an update is a page of text at most",
    ),
    Limit(
        "conditions on the way",
        60,
        lambda n: spec(branches([f"lr > {i}" for i in range(n)], chained=True)),
        "0.yaml:127:3",
        "more than 60 conditions on the way to a statement",
        "join some of them, or begin another `if`",
    ),
    Limit(
        "branches within each other",
        10,
        lambda n: spec(nested(n)),
        "0.yaml:17:23",
        "more than 10 branches within each other",
        "join conditions with `and`",
    ),
    Limit(
        "open parentheses",
        30,
        lambda n: spec([f"param = {'(' * n}param - lr * grad{')' * n}"]),
        "0.yaml:6:3",
        "an expression too large to read",
        "give its parts names in lines of their own",
    ),
    Limit(
        "operations within each other",
        56,
        lambda n: spec(step_of("grad" + " + grad" * n)),
        "0.yaml:6:3",
        "an expression nested too deeply to read",
        "give its parts names in lines of their own",
    ),
    Limit(
        "numbers of the host",
        500,
        lambda n: spec(
            ["direction = grad"]
            + [f"direction = direction * (lr + {i})" for i in range(1, n)]
            + ["param = param - lr * direction"]
        ),
        "0.yaml:507:19",
        "elements are computed from more than 500 different numbers",
        "compute fewer of them",
    ),
    Limit(
        "characters of a number",
        40,
        lambda n: spec(step_of(f"grad * 0.{'1' * (n - 2)}")),
        "0.yaml:6:22",
        "a number of 41 characters",
        "a float holds 17 digits",
    ),
    Limit(
        "an integer",
        2**53,
        lambda n: spec(step_of(f"grad * {n}")),
        "0.yaml:6:22",
        "an integer beyond 2**53",
        "as a float: `9007199254740992.0`",
    ),
    Limit(
        "characters of a text",
        2_000,
        lambda n: spec(others=[f"notes: [{'a' * n}]"]),
        "0.yaml:5:9",
        "an entry of `notes` is longer than 2,000 characters",
        "a sentence or two are enough",
    ),
    Limit(
        "numbers of a tuple",
        8,
        lambda n: spec(
            step_of(" + ".join(f"n{i} * grad" for i in range(n))),
            [
                f"numbers: {{default: [{', '.join('1' * n)}], "
                f"names: [{', '.join(f'n{i}' for i in range(n))}], doc: numbers}}"
            ],
        ),
        "0.yaml:5:58",
        "`names` is a list of 1 to 8 names",
        "such as `[beta1, beta2]`",
    ),
    Limit(
        "characters of a name",
        40,
        lambda n: spec([f"{'d' * n} = grad", f"param = param - lr * {'d' * n}"]),
        "0.yaml:6:3",
        "a name of 41 characters",
        "at most 40",
    ),
    Limit(
        "characters of a symbol",
        60,
        lambda n: spec(step_of("scale * grad"), [f'scale: {{default: 1, symbol: "{"s" * n}", doc: factor}}']),
        "0.yaml:5:31",
        "a symbol of 61 characters",
        "at most 60",
    ),
    Limit(
        "characters of a file",
        100_000,
        lambda n: spec() + "#" * (n - len(spec())),
        "0.yaml:1:1",
        "the file is longer than 100,000 characters",
        "a spec is a page of text at most",
    ),
)


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.name)
def test_a_limit(limit: Limit) -> None:
    assert made(limit.text(limit.most)).files
    where, _, what = refusal(limit.text(limit.most + 1)).partition(f"{limit.place}: {limit.cause}\n")
    assert where.startswith(limit.before)
    assert bool(where) == bool(limit.before)
    assert re.fullmatch(rf"(    .*\n    +\^+|   ) {re.escape(limit.remedy)}", what), what


def test_yaml_within_yaml() -> None:
    """A spec has four levels, so that what is at the limit is wrong for other reasons."""

    def said(levels: int) -> str:
        return refusal("a: " + "[" * (levels - 1) + "]" * (levels - 1))

    assert "nested" not in said(8)
    assert said(9) == (
        "0.yaml:1:11: YAML nested more than 8 levels deep\n"
        "    a: [[[[[[[[]]]]]]]]\n"
        "              ^ a spec is nested four levels deep at most"
    )


def test_specs_that_extend_each_other() -> None:
    def family(number: int) -> list[str]:
        others = [f"optimizer: Large{i}\nsummary: One.\nextends: Large{i + 1}" for i in range(number - 1)]
        return [*others, spec().replace("Large", f"Large{number - 1}")]

    assert made(*family(8)).files
    assert refusal(*family(9)) == (
        "7.yaml:3:10: more than 8 specs extend each other in a row\n"
        "    extends: Large8\n"
        "             ^^^^^^ extend one further up"
    )


def test_statements_of_an_update_with_those_that_it_inherits() -> None:
    lines = ["  param = param - lr * grad"] * 500
    parent = spec().split("update")[0].replace("Large", "Parent") + "update: |\n" + "\n".join(lines)
    heir = "optimizer: Heir\nextends: Parent\nsummary: One.\nupdate: |\n  super()\n" + "\n".join(lines)
    assert made(heir.rpartition("\n")[0], parent).files
    assert refusal(heir, parent) == (
        "0.yaml:5:3: an inherited update that is too large to stand here\n"
        "    super()\n"
        "    ^^^^^^^ write the update out, and simplify it"
    )


def test_branches_of_an_update_within_those_around_it() -> None:
    def nested(number: int, inner: str) -> str:
        branches = [f"{'  ' * (i + 1)}if lr > {i}:" for i in range(number)]
        return "\n".join([*branches, "  " * (number + 1) + inner])

    head = spec().split("update")[0].replace("Large", "Parent")
    parent = f"{head}update: |\n{nested(5, 'param = param - lr * grad')}"
    heir = "optimizer: Heir\nextends: Parent\nsummary: One.\nupdate: |\n"
    assert made(heir + nested(5, "super()"), parent).files
    assert "too large to stand here" in refusal(heir + nested(6, "super()"), parent)


def test_names_numbers_and_operators_of_a_statement() -> None:
    """Of two limits, one counts what is written, the other what powers and `lerp` stand for."""
    chain = f"where({' and '.join(['lr > 1'] * 148)}, grad, 0)"  # with `direction = ` before it, 600 in all
    assert made(spec(step_of(chain))).files
    assert refusal(spec(step_of(chain.replace("grad", "-grad")))).startswith(
        "0.yaml:6:3: an expression too large to read\n"
    )

    def powers(number: int) -> str:
        return spec([f"param = param - lr * {'(' * number}grad{'** 2)' * number}"])

    assert made(powers(9)).files
    assert refusal(powers(10)).startswith(
        "0.yaml:6:11: an expression of 3,074 names, numbers and operators, with its powers and `lerp` written out\n"
    )


def test_mistakes_that_are_shown_at_once() -> None:
    names = [f"x{i} = unknown{i}" for i in range(501)]
    assert refusal(spec(names[:498])).count("0.yaml:") == 500, (
        "two of them say that nothing moves the parameter, and that `lr` is never used"
    )
    message = refusal(spec(names))
    assert message.count("0.yaml:") == 501
    assert message.endswith(
        "0.yaml:506:10: more than 500 mistakes\n    x500 = unknown500\n           ^^^^^^^^^^ mend the others first"
    )
