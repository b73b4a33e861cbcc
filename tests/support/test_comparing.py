"""A comparison that fails says where: optimizer, group, parameter, state, step and element, with both values."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import thetac
from tests.support.comparing import Differs, Recording, assert_identical, assert_same_bits, assert_same_training
from tests.support.paths import ROOT
from tests.support.runtime_helpers import assert_unchanged, parameters, picture, train


def pair() -> tuple[thetac.AdamW, thetac.AdamW]:
    """Two optimizers of two groups, which have made three steps with the same gradients."""
    found = [
        thetac.AdamW([{"params": each[:3]}, {"params": each[3:]}], lr=0.1) for each in (parameters(), parameters())
    ]
    for optimizer in found:
        train(optimizer, 3)
    return found[0], found[1]


def last(optimizer: thetac.AdamW) -> torch.Tensor:
    (param,) = optimizer.param_groups[1]["params"]
    assert isinstance(param, torch.Tensor)
    return param


def spoilt_state(optimizer: thetac.AdamW) -> None:
    optimizer.state[last(optimizer)]["exp_avg"][1, 2, 3] = 7.0


def spoilt_parameter(optimizer: thetac.AdamW) -> None:
    last(optimizer).data[0, 1, 2] = -7.0


def spoilt_counter(optimizer: thetac.AdamW) -> None:
    optimizer.state[last(optimizer)]["step"] += 1


def missing_state(optimizer: thetac.AdamW) -> None:
    del optimizer.state[last(optimizer)]["exp_avg_sq"]


WHERE = "thetac.AdamW beside thetac.AdamW{message}: group 1, parameter 0 of shape (2, 3, 4)"
NUMBER = r"-?\d[\d.e-]*"


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (spoilt_state, rf", state `exp_avg`: element \[1, 2, 3\] is 7.0, expected {NUMBER}; 1 of 24 elements differ"),
        (spoilt_parameter, rf", its value: element \[0, 1, 2\] is -7.0, expected {NUMBER}; 1 of 24 elements differ"),
        (spoilt_counter, r", state `step`: the value is 4.0, expected 3.0"),
        (
            missing_state,
            r": its states are \['step', 'exp_avg'\], expected \['step', 'exp_avg', 'exp_avg_sq'\]",
        ),
    ],
)
def test_the_message_names_everything(spoil: Callable[[thetac.AdamW], None], text: str) -> None:
    found, expected = pair()
    assert_same_training(found, expected)
    assert_same_bits(expected, found, "three steps")
    spoil(found)
    with pytest.raises(Differs, match=f"^{re.escape(WHERE.format(message=''))}{text}$"):
        assert_same_training(found, expected)
    with pytest.raises(Differs, match=f"^{re.escape(WHERE.format(message=' (three steps)'))}{text}$"):
        assert_same_bits(expected, found, "three steps")


def test_parameters_with_names_are_named() -> None:
    found, expected = (thetac.SGD([("weight", param) for param in parameters([(2,)])]) for _ in range(2))
    found.param_groups[0]["params"][0].data[1] = 5.0
    with pytest.raises(
        Differs, match=r"group 0, parameter 0 `weight` of shape \(2,\), its value: element \[1\] is 5.0"
    ):
        assert_same_training(found, expected)


def test_bits_tell_zeros_apart_and_no_kinds_of_nan() -> None:
    zeros, others = thetac.SGD([torch.zeros(2)]), thetac.SGD([torch.tensor([0.0, -0.0])])
    assert_same_training(zeros, others)
    with pytest.raises(Differs, match=r"element \[1\] is -0.0, expected 0.0"):
        assert_same_bits(zeros, others, "")
    nans = torch.tensor([0x7FC00000, 0x7FC00001], dtype=torch.int32).view(torch.float32)
    assert_same_bits(thetac.SGD([nans]), thetac.SGD([torch.full((2,), torch.nan)]), "")


def test_the_first_step_that_differs_is_told() -> None:
    found, expected = (thetac.SGD(parameters(), lr=0.1) for _ in range(2))
    with Recording() as recording:
        for step in range(5):
            found.param_groups[0]["lr"] = 0.1 if step < 3 else 0.2
            for optimizer in (found, expected):
                train(optimizer, 1, seed=step)
        with pytest.raises(Differs) as raised:
            assert_same_training(found, expected)
    text = recording.first_step(raised.value)
    assert re.fullmatch(
        rf"first in step 4 of 5: group 0, parameter 0 of shape \(5, 3\), its value: element \[0, 0\] is {NUMBER}, "
        rf"expected {NUMBER}; 15 of 15 elements differ",
        text,
    )


FAILING = """
import thetac
from tests.support.comparing import assert_same_training
from tests.support.runtime_helpers import parameters, train

def test_that_fails():
    one, other = (thetac.SGD(parameters(), lr=0.1) for _ in range(2))
    train(one, 1), train(other, 1)
    one.param_groups[0]["lr"] = 0.2
    train(one, 2), train(other, 2)
    assert_same_training(one, other)
"""


def test_pytest_runs_a_failed_test_again_for_the_step(tmp_path: Path) -> None:
    (tmp_path / "test_some.py").write_text(FAILING, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "tests.conftest", str(tmp_path)]
    done = subprocess.run([*command, "-c", "pyproject.toml"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout + done.stderr
    assert "first in step 2 of 3: group 0, parameter 0 of shape (5, 3), its value: element [0, 0] is" in done.stdout


def test_what_a_failed_step_changed_is_named() -> None:
    optimizer, _ = pair()
    before = picture(optimizer)
    assert_unchanged(before, optimizer)
    spoilt_state(optimizer)
    with pytest.raises(AssertionError, match=r"\['states'\]\[3\]\[1\]\['exp_avg'\]: element \[1, 2, 3\] is 7.0"):
        assert_unchanged(before, optimizer)
    with pytest.raises(AssertionError, match=r"^\['a'\]\[1\]: 2, expected 3"):
        assert_identical({"a": [1, 2]}, {"a": [1, 3]})
