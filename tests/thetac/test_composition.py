"""`thetac.compose`: the class of an optimizer with features, and what it says about wrong arguments."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

import thetac
from tests.support.paths import ROOT
from thetac.codegen.errors import SpecError
from thetac.codegen.frontend.features import feature_files
from thetac.codegen.pipeline import Source, front_end

SPEC = """\
optimizer: Plain
summary: Gradient descent.
hyperparameters: {lr: {default: 0.1}}
update: |
  param = param - lr * grad
"""


def test_the_class_has_its_own_name_arguments_state_and_documentation() -> None:
    made = thetac.compose("AdamW", lookahead={"k": 2, "alpha": 0.5}, cautious=True)
    assert made.__name__ == "CautiousLookaheadAdamW"
    assert "AdamW with Cautious, Lookahead." in (made.__doc__ or "")
    assert "lookahead_k (int, default: 2, lookahead_k >= 1 and finite)" in (made.__doc__ or "")
    param = torch.nn.Parameter(torch.ones(3))
    param.grad = torch.ones(3)
    optimizer = made([param], lr=0.1, lookahead_alpha=0.25)  # type: ignore[call-arg]
    optimizer.step()
    group = optimizer.param_groups[0]
    assert (group["lookahead_k"], group["lookahead_alpha"]) == (2, 0.25)
    assert {"lookahead_step", "lookahead_slow"} <= optimizer.state[param].keys()
    with pytest.raises(ValueError, match=r"^Invalid lookahead_alpha value: 2"):
        made([param], lookahead_alpha=2.0)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match=r"^Invalid cautious_normalization value: none; it must be .*None"):
        made([param], cautious_normalization="none")  # type: ignore[call-arg]
    made([param], cautious_normalization=None)  # type: ignore[call-arg]


def test_the_order_of_arguments_does_not_matter() -> None:
    made = thetac.compose("adamw", cautious=True, ema=False, lookahead=True)
    assert made is thetac.compose("AdamW", lookahead={}, cautious={})


def test_a_class_can_be_named_and_pickled() -> None:
    made = thetac.compose("Lion", name="Slow", lookahead=True)
    assert made.__name__ == "Slow"
    together = [name for name in feature_files() if name != "asam"]  # with `sam` it has one piece too many
    every = thetac.compose("AdamW", **dict.fromkeys(together, True))
    assert every.__name__ == f"AdamWWith{len(together)}Features"
    assert pickle.loads(pickle.dumps(made)) is made


def test_a_spec_of_the_user_gets_features(tmp_path: Path) -> None:
    path = tmp_path / "plain.yaml"
    path.write_text(SPEC)
    made = thetac.compose(path, ema={"decay": 0.5})
    assert made.__name__ == "EMAPlain"
    assert made is thetac.compose(SPEC, ema={"decay": 0.5})


@pytest.mark.parametrize(
    ("features", "error", "message"),
    [
        ({"lookahed": True}, TypeError, "compose got an unexpected feature `lookahed`: did you mean `lookahead`?"),
        ({"lookahead": {"kk": 1}}, TypeError, "feature `lookahead` got an unexpected value `kk`: did you mean `k`?"),
        ({"ema": 3}, TypeError, "feature `ema` is True, False or a mapping of its values, not 3"),
        ({"lookahead": {"k": 0}}, ValueError, "lookahead: {k: 0}: the default `0` is outside the range [1, inf)"),
        ({"lookahead": {"k": 2.5}}, ValueError, "lookahead: {k: 2.5}: `2.5` is no integer"),
        (
            {"lookahead": {"k": "a"}},
            TypeError,
            "`k` of feature `lookahead` is an integer in the range [1, inf), not 'a'",
        ),
        ({"lookahead": {"k": True}}, TypeError, "`k` of feature `lookahead` is an integer in the range [1, inf), not"),
        ({"ema": {"decay": None}}, TypeError, "`decay` of feature `ema` is a number in the range "),
        (
            {"cautious": {"normalization": "blah"}},
            ValueError,
            "`normalization` of feature `cautious` is `mean`, `count`, `signs` or `None`, not 'blah'",
        ),
        ({"ema": False}, ValueError, "compose takes at least one feature: there are "),
    ],
)
def test_wrong_features(features: Mapping[str, bool], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(message)}"):
        thetac.compose("AdamW", **features)


def test_wrong_optimizers() -> None:
    with pytest.raises(ValueError, match=r"^no optimizer is named `AdmW`: did you mean `AdamW`\?$"):
        thetac.compose("AdmW", ema=True)
    with pytest.raises(SpecError, match="<text>:5:24: unknown name `gradd`"):
        thetac.compose(SPEC.replace("grad\n", "gradd\n"), ema=True)


def test_a_class_of_ours_is_as_good_as_its_name() -> None:
    assert thetac.compose(thetac.AdamW, ema=True) is thetac.compose("AdamW", ema=True)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (torch.optim.AdamW, "the class torch.optim.adamw.AdamW"),
        (type("AdamW", (thetac.AdamW,), {}), f"the class {__name__}.AdamW"),
        (None, "None"),
        (3, "3"),
    ],
)
def test_other_types_are_refused(given: str, shown: str) -> None:
    expected = "the name or the class of one of thetac's optimizers, or the path or the text of a spec"
    with pytest.raises(TypeError, match=f"^compose takes {expected}, not {re.escape(shown)}$"):
        thetac.compose(given, ema=True)


def test_the_name_is_that_of_no_other_optimizer() -> None:
    with pytest.raises(
        ValueError, match=r"^the name `Adam` is taken by one of thetac's optimizers: choose another one$"
    ):
        thetac.compose("AdamW", name="Adam", ema=True)
    with pytest.raises(ValueError, match=r"^the name `plain` is that of the optimizer which gets the features: choose"):
        thetac.compose(SPEC, name="plain", ema=True)


def test_a_choice_may_be_none_in_either_form() -> None:
    made = thetac.compose("AdamW", cautious={"normalization": None})
    assert made is thetac.compose("AdamW", cautious={"normalization": "none"})


def test_a_spec_may_extend_one_beside_it(tmp_path: Path) -> None:
    (tmp_path / "plain.yaml").write_text(SPEC)
    child = tmp_path / "child.yaml"
    child.write_text("optimizer: Child\nextends: Plain\nsummary: A child.\n")
    assert thetac.compose(child, ema=True).__name__ == "EMAChild"


def test_the_page_has_the_features_in_order_with_their_values() -> None:
    page = (ROOT / "docs" / "features.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in page.split("\n") if row.startswith("| `")]
    rows = [row for row in rows if row[1] in ("point", "gradient", "update", "parameter")]
    assert [row[0] for row in rows] == [f"`{name}`" for name in feature_files()]
    for row, (name, file) in zip(rows, feature_files().items(), strict=True):
        text = f"{SPEC}features: {{{name}: true}}\n"
        (rule,) = front_end([Source("one.yaml", text)])
        declared = [*rule.hyperparameters[1:], *rule.choices, *rule.flags]
        values = {one.name.removeprefix(f"{name}_"): one.default for one in declared}
        said = ", ".join(f"`{key}` {values[key]}" for key in (entry.key.text for entry in file.hyperparameters))
        assert row[3] == said, name
        texts = {"point": file.perturb, "gradient": file.gradient, "update": file.update, "parameter": file.param}
        place = texts[row[1]]
        assert place is not None, name
