"""docs/adding.md to the letter: its edits, made in a copy of the tree, give an operation and an option that train."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "adding.md").read_text(encoding="utf-8")
FUNCTIONS = (  # of targets: what a test names if it is forgotten
    "runtime/scalar_math.py",
    "runtime/tensors.py",
    "runtime/triton_ops.py",
    "runtime/cpp/elements.h",
)

SPEC = r"""
optimizer: Grid
summary: Momentum whose step is rounded to a grid.
hyperparameters:
  lr:   {default: 0.1}
  beta: {default: 0.9, range: "[0, 1)", doc: "decay of the running mean"}
  grid: {default: 0.05, doc: "distance of the grid's lines"}
state:
  step: counter
  momentum: {init: zeros, symbol: m}
update: |
  momentum = lerp(momentum, grad, 1 - beta)
  scale = softsign(step / 3) + ceil(step / 2)
  direction = softsign(momentum) + grid * ceil(momentum / grid)
  param = param - lr * scale * direction
"""

# Fails unless the implementations that the arguments name compute what the interpreter does.
TRAINING = """
import itertools
import sys
from pathlib import Path

import torch

from thetac import Grid
from thetac.codegen.ir.interpret import FLOATS, interpret
from thetac.codegen.pipeline import Source, compile_specs

OPTIONS = {
    "for-loop": {"foreach": False, "fused": False},
    "on tensors": {"differentiable": True},
    "foreach": {"foreach": True},
    "C++": {"fused": True},
    "Triton": {"fused": True},
}

(grid,) = compile_specs([Source("grid.yaml", Path("specs/grid.yaml").read_text())])
for name, signed in itertools.product(sys.argv[1:], (False, True)):
    torch.manual_seed(0)
    start = torch.randn(7, dtype=torch.float64)
    grads = [torch.randn(7, dtype=torch.float64) for _ in range(4)]
    param = torch.nn.Parameter(start.clone(), requires_grad=name != "on tensors")
    optimizer = Grid([param], signed=signed, **OPTIONS[name])
    for grad in grads:
        param.grad = grad.clone()
        optimizer.step()
    assert name == "on tensors" or name in optimizer.explain(), optimizer.explain()
    for element, value in enumerate(start.tolist()):
        state = {}
        for grad in grads:
            done = interpret(grid.rule, {"signed": signed}, state, value, grad[element].item(), arithmetic=FLOATS)
            value, state = done.param, done.state
        assert abs(param[element].item() - value) < 1e-12, (name, signed, element, param[element].item(), value)
"""


@dataclass(frozen=True)
class Edit:
    """What the page says to insert into a file, and where."""

    path: str
    where: str
    text: str


def edits() -> list[Edit]:
    found = re.findall(r"^In `([\w./]+)`, (.*?):\n\n```\w+\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    assert len(found) >= 10, "the places were not found"
    return [Edit(*one) for one in found]


def edited(source: str, edit: Edit) -> str:
    """The text of a file with the edit made."""
    if edit.where == "at the end of the file":
        return f"{source}\n\n{edit.text}"
    if behind := re.fullmatch("behind `(.*)`", edit.where):
        assert source.count(behind[1]) == 1, f"{edit.path} has {source.count(behind[1])} times {behind[1]}"
        return source.replace(behind[1], f"{behind[1]} {edit.text.strip()}")
    lines = source.splitlines(keepends=True)
    text = edit.text
    if edit.where == "at the end of `namespace ops`":
        last = lines.index("}  // namespace ops\n")
    else:
        text = textwrap.indent(f"{edit.text.rstrip()},\n", "    ")
        table = re.fullmatch(r"at the end of `(\w+)`", edit.where)
        assert table is not None, f"the page says where in words that this test does not know: {edit.where}"
        (last,) = (
            node.end_lineno - 1
            for node in ast.parse(source).body
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == table[1] and node.end_lineno is not None
        )
    return "".join((*lines[:last], text, *lines[last:]))


def tree(folder: Path, leaving_out: tuple[str, ...] = ()) -> Path:
    """A copy of the tree in which the page has been followed, but for the files left out."""
    for part in ("codegen", "runtime", "thetac"):
        shutil.copytree(ROOT / part, folder / part, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "docs").mkdir()
    for file in ("pyproject.toml", "docs/language.md"):
        shutil.copy(ROOT / file, folder / file)
    (folder / "specs").mkdir()
    (folder / "specs" / "grid.yaml").write_text(SPEC, encoding="utf-8")
    for facts in (ROOT / "specs").glob("*.toml"):
        shutil.copy(facts, folder / "specs" / facts.name)
    (folder / "train.py").write_text(TRAINING, encoding="utf-8")
    for edit in edits():
        if edit.path not in leaving_out:
            path = folder / edit.path
            path.write_text(edited(path.read_text(encoding="utf-8"), edit), encoding="utf-8")
    return folder


def run(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(folder), "XDG_CACHE_HOME": str(folder / "cache"), **more}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tree(tmp_path_factory.mktemp("tree"))
    done = run(folder, "-m", "thetac.codegen", "generate")
    assert done.returncode == 0, done.stderr
    assert run(folder, "-m", "thetac.codegen", "check").returncode == 0
    return folder


@pytest.mark.parametrize("implementations", [("for-loop", "on tensors", "foreach", "C++"), ("Triton",)])
def test_what_the_page_adds_trains(followed: Path, implementations: tuple[str, ...]) -> None:
    interpreted = {"TRITON_INTERPRET": "1", "THETAC_CPU_KERNELS": "triton"} if "Triton" in implementations else {}
    done = run(followed, "train.py", *implementations, **interpreted)
    assert done.returncode == 0, done.stdout + done.stderr


def test_documentation_and_messages_know_what_the_page_adds(followed: Path) -> None:
    reference = (followed / "docs" / "language.md").read_text(encoding="utf-8")
    assert "| `ceil(a)` | the smallest whole number that is not below a |" in reference
    assert "| `softsign(a)` | a squashed into (-1, 1) |" in reference
    assert "| `signed` | `bool` | `False` | step along the sign of the gradient |" in reference
    page = (followed / "docs" / "optimizers" / "grid.md").read_text(encoding="utf-8")
    assert r"\left\lceil \frac{m_t}" in page
    assert r"\frac{m_t}{1 + \left| m_t \right|}" in page
    shown = run(followed, "-m", "thetac.codegen", "show", "Grid", "--stage", "checked").stdout
    assert "softsign(momentum) + grid * ceil(momentum / grid)" in shown
    wrong = followed / "wrong.yaml"
    wrong.write_text(SPEC.replace("ceil(momentum / grid)", "torch.ceil(momentum / grid)"), encoding="utf-8")
    message = run(followed, "-m", "thetac.codegen", "show", "wrong.yaml").stderr
    assert "write `ceil(momentum / grid)`" in message


def test_a_function_that_is_forgotten_is_named(tmp_path: Path) -> None:
    folder = tree(tmp_path, leaving_out=FUNCTIONS)
    for part in ("support", "codegen/ir"):
        shutil.copytree(ROOT / "tests" / part, folder / "tests" / part)
    (folder / "tests" / "__init__.py").touch()
    done = run(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/codegen/ir/test_operations.py")
    for path in FUNCTIONS:
        assert f"{path} has no function `ceil`" in done.stdout, done.stdout + done.stderr
