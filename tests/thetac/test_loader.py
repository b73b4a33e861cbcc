"""`thetac.load`: the class of a spec, from a cache that only this user can write to; and what `import thetac` costs."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import thetac
from tests.support.every_optimizer import everything, one_in
from tests.support.paths import ROOT
from thetac.codegen.cli.library import SPECS
from thetac.codegen.errors import SpecError
from thetac.runtime.building import private_folder

LION = (SPECS / "lion.yaml").read_text(encoding="utf-8")
CHILD = """\
optimizer: Child
extends: AdamW
summary: AdamW with another default.
hyperparameters:
  eps: {default: 1e-6, range: "[0, inf]", symbol: "\\\\epsilon"}
"""


def run(code: str, **environment: str) -> str:
    """What the code prints in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def trained(optimizer: type[torch.optim.Optimizer], **options: object) -> torch.Tensor:
    """A parameter after three steps."""
    torch.manual_seed(0)
    parameter = torch.nn.Parameter(torch.randn(50))
    instance = optimizer([parameter], lr=0.01, **options)  # type: ignore[call-arg]  # what all of ours take
    for _ in range(3):
        parameter.grad = torch.randn(50)
        instance.step()
    return parameter.detach()


def test_a_loaded_class_computes_what_the_generated_one_does() -> None:
    loaded = thetac.load(LION)
    assert loaded is not thetac.Lion
    for implementation in ({"foreach": False}, {"foreach": True}):
        assert torch.equal(trained(loaded, **implementation), trained(thetac.Lion, **implementation))


def test_the_same_text_gives_the_same_class() -> None:
    assert thetac.load(LION) is thetac.load(LION)
    assert thetac.load(SPECS / "lion.yaml") is thetac.load(LION)
    assert thetac.load(str(SPECS / "lion.yaml")) is thetac.load(LION)
    assert thetac.load(LION.replace("1e-4", "2e-4")) is not thetac.load(LION)


def test_a_loaded_spec_may_extend_one_of_ours() -> None:
    child = thetac.load(CHILD)
    assert child([torch.zeros(1)]).param_groups[0]["eps"] == 1e-6
    assert torch.equal(trained(child, eps=1e-8), trained(thetac.AdamW))


MOMO = """\
optimizer: Momo
summary: Gradient descent.
hyperparameters: {lr: {default: 0.5}}
update: |
  param = param - lr * grad
"""
HEIR = "optimizer: Child\nextends: Momo\nsummary: A child.\nhyperparameters: {lr: {default: 0.25}}\n"


def test_a_spec_in_a_file_may_extend_those_beside_it(tmp_path: Path) -> None:
    (tmp_path / "momo.yml").write_text(MOMO)
    (tmp_path / "other.yaml").write_text("services: {nothing: of a spec")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe")
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "child.yaml").write_text(HEIR)
    (tmp_path / "grandchild.yaml").write_text("optimizer: Grandchild\nextends: Child\nsummary: One more.\n")
    made = thetac.load(tmp_path / "grandchild.yaml")
    assert made.__name__ == "Grandchild"
    param = torch.nn.Parameter(torch.ones(2))
    param.grad = torch.ones(2)
    made([param]).step()
    assert param.tolist() == [0.75, 0.75]
    with pytest.raises(SpecError, match="<text>:2:10: unknown spec `Momo`"):
        thetac.load(HEIR)


def test_a_spec_beside_it_comes_before_one_of_ours(tmp_path: Path) -> None:
    (tmp_path / "momo.yaml").write_text(MOMO.replace("Momo", "Lion"))
    (tmp_path / "child.yaml").write_text(HEIR.replace("Momo", "Lion"))
    made = thetac.load(tmp_path / "child.yaml")
    assert made([torch.nn.Parameter(torch.ones(2))]).defaults.keys() & {"lr", "betas"} == {"lr"}


def test_mistakes_in_specs_beside_it_are_explained_there(tmp_path: Path) -> None:
    child = tmp_path / "child.yaml"
    child.write_text(HEIR)
    for text, place, cause in (
        (MOMO.replace("* grad", "* gradd"), "momo.yaml:5:24", "unknown name `gradd`"),
        (MOMO.replace("{lr:", "{lr:\t"), "momo.yaml:3", ""),
        (MOMO.replace("summary", "extends: Child\nsummary"), "child.yaml:1:12", "`Child` extends itself"),
    ):
        (tmp_path / "momo.yaml").write_text(text)
        with pytest.raises(SpecError, match=f"{re.escape(str(tmp_path / place))}.*{cause}"):
            thetac.load(child)


def test_mistakes_are_spec_errors() -> None:
    with pytest.raises(SpecError) as error:
        thetac.load(LION.replace("sign(beta1 * exp_avg", "sign(beta1 * exp_avgg"))
    assert "<text>:20:37: unknown name `exp_avgg`" in str(error.value)
    assert "did you mean `exp_avg`?" in str(error.value)
    with pytest.raises(SpecError, match=r"nowhere\.yaml:1:1: there is no such file"):
        thetac.load("nowhere.yaml")


def test_an_instance_can_be_unpickled_by_another_process(tmp_path: Path) -> None:
    environment = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    made = tmp_path / "optimizer.pickle"
    run(
        "import pickle, thetac, torch, sys; "
        f"optimizer = thetac.load({str(SPECS / 'lion.yaml')!r})([torch.zeros(3)], lr=0.5); "
        f"pickle.dump(optimizer, open({str(made)!r}, 'wb'))",
        **environment,
    )
    read = (
        f"import pickle; o = pickle.load(open({str(made)!r}, 'rb')); print(type(o).__name__, o.param_groups[0]['lr'])"
    )
    assert run(read, **environment) == "Lion 0.5\n"
    assert pickle.loads(pickle.dumps(thetac.load(LION))) is thetac.load(LION)


@pytest.mark.thorough("5 s; processes that build at once are tested in test_objects.py")
def test_four_processes_at_once_load_the_same_spec(tmp_path: Path) -> None:
    text = LION.replace("optimizer: Lion", "optimizer: Liger")
    code = f"import sys, thetac.loader\nsys.stdin.readline()\nprint(thetac.load({text!r}).__module__)\n"
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in runs:  # all have imported thetac by the time that they may go on together
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    outputs = {process.communicate()[0] for process in runs}
    assert [process.returncode for process in runs] == [0] * 4
    assert len(outputs) == 1
    assert "thetac.loaded.liger_" in outputs.pop()
    assert [name for name in os.listdir(tmp_path / "thetac") if name.startswith(".")] == [], "nothing is left over"


def test_a_damaged_cache_is_put_right(tmp_path: Path) -> None:
    load = f"import thetac, sys; print(thetac.load({LION!r}).__module__)"
    name = run(load, XDG_CACHE_HOME=str(tmp_path)).split(".")[2]
    (tmp_path / "thetac" / name / "forloop.py").write_text("raise SystemExit('planted')")
    (tmp_path / "thetac" / name / "foreach.py").unlink()
    check = f"{load}; from thetac.loaded.{name} import forloop, foreach"
    assert name in run(check, XDG_CACHE_HOME=str(tmp_path))


@pytest.mark.parametrize(
    "elsewhere",
    one_in(2, [False, True]),
    ids=["beside the sources", "in a folder for all bytecode"][: 2 if everything() else 1],
)
def test_bytecode_is_neither_read_nor_written(elsewhere: bool, tmp_path: Path) -> None:
    """Half a file, as a full disk may leave it, would be `marshal data too short` in every process."""
    step = (
        f"import thetac, torch; made = thetac.load({LION!r}); p = torch.ones(3, requires_grad=True)\n"
        "p.grad = torch.ones(3); made([p], foreach=False).step(); print(made.__module__)\n"
    )
    environment = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "PYTHONDONTWRITEBYTECODE": ""}
    if elsewhere:
        environment["PYTHONPYCACHEPREFIX"] = str(tmp_path / "bytecode")
    package = tmp_path / "cache" / "thetac" / run(step, **environment).split(".")[2].strip()
    assert not list(tmp_path.rglob(f"{package.name}/**/*.pyc"))
    damage = (
        "import importlib.util, pathlib, py_compile, sys\n"
        "for path in pathlib.Path(sys.argv[1]).glob('*.py'):\n"
        "    made = pathlib.Path(py_compile.compile(str(path)))\n"
        "    made.write_bytes(made.read_bytes()[:40])\n"
        "    print(made)\n"
    ).replace("sys.argv[1]", repr(str(package)))
    damaged = run(damage, **environment).splitlines()
    assert len(damaged) >= 5
    assert all(Path(path).stat().st_size == 40 for path in damaged)
    assert f".{package.name}." in run(step, **environment)


def test_where_no_folder_can_be_written_the_error_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code = (
        "import tempfile; tempfile.tempdir = " + repr(str(tmp_path / "file")) + "\n"
        "import thetac\n"
        f"try: thetac.load({LION!r})\n"
        "except OSError as error: print(error)\n"
        "import thetac.loaded\n"
    )
    assert run(code, XDG_CACHE_HOME=str(tmp_path / "file")) == (
        "[Errno 20] no folder can hold what thetac makes at run time; set XDG_CACHE_HOME or TMPDIR to one that only "
        "this user can write to (Not a directory)\n"
    )
    nowhere = (
        "import tempfile, torch._dynamo\n"
        "def gettempdir(): raise FileNotFoundError(2, 'No usable temporary directory found')\n"
        "tempfile.tempdir, tempfile._get_default_tempdir = None, gettempdir\n"
        "import thetac, torch\n"
        f"try: thetac.load({LION!r})\n"
        "except OSError as error: print(error)\n"
        "p = torch.ones(3, requires_grad=True); p.grad = torch.ones(3)\n"
        "for options in ({}, {'foreach': False}): thetac.AdamW([p], **options).step()\n"
    )
    assert run(nowhere, XDG_CACHE_HOME=str(tmp_path / "file"), THETAC_BUILD_DIR=str(tmp_path / "file")) == (
        "[Errno 2] no folder can hold what thetac makes at run time; set XDG_CACHE_HOME or TMPDIR to one that only "
        "this user can write to (No usable temporary directory found)\n"
    )


def test_the_cache_is_private(tmp_path: Path) -> None:
    run(f"import thetac; thetac.load({LION!r})", XDG_CACHE_HOME=str(tmp_path / "new"))
    folders = [tmp_path / "new" / "thetac", *(tmp_path / "new" / "thetac").iterdir()]
    assert len(folders) == 2
    assert {folder.stat().st_mode & 0o777 for folder in folders} == {0o700}


def test_a_cache_that_others_could_write_to_is_not_used(tmp_path: Path) -> None:
    def usable(name: str) -> bool:
        return private_folder.make_private(tmp_path / name / "thetac")

    assert usable("fresh")
    (tmp_path / "open" / "thetac").mkdir(parents=True)
    (tmp_path / "open" / "thetac").chmod(0o770)
    assert not usable("open")
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "thetac").symlink_to(tmp_path / "fresh" / "thetac")
    assert not usable("link")
    (tmp_path / "file").mkdir()
    (tmp_path / "file" / "thetac").write_text("")
    assert not usable("file")
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o777)
    assert not usable("shared"), "others could put another folder in its place"
    (tmp_path / "shared").chmod(0o1777)
    assert usable("shared"), "as in /tmp, where nobody can"
    (tmp_path / "plain").write_text("")
    assert not usable("plain")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_cache_of_somebody_else_is_not_used(tmp_path: Path) -> None:
    assert private_folder.make_private(tmp_path / "thetac")
    os.chown(tmp_path / "thetac", 12345, 12345)
    assert not private_folder.make_private(tmp_path / "thetac")


def test_a_temporary_folder_takes_the_place_of_an_unusable_cache(tmp_path: Path) -> None:
    (tmp_path / "thetac").symlink_to("/")
    code = (
        f"import thetac, sys; made = thetac.load({LION!r}); import pickle\n"
        "assert pickle.loads(pickle.dumps(made)) is made\n"
        "print(sys.modules[made.__module__].__file__)\n"
    )
    place = Path(run(code, XDG_CACHE_HOME=str(tmp_path), TMPDIR=str(tmp_path)).strip())
    assert place.is_relative_to(tmp_path)
    assert place.parents[1].name.startswith("thetac-")
    assert not place.parents[1].exists(), "it is removed with its process"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
def test_the_end_of_a_forked_process_does_not_remove_the_temporary_folder() -> None:
    code = (
        "import os, sys\n"
        "from thetac.runtime.building.private_folder import make_temporary_folder\n"
        "folder = make_temporary_folder()\n"
        "child = os.fork()\n"
        "if not child: sys.exit()\n"
        "os.waitpid(child, 0)\n"
        "print(folder.is_dir())\n"
    )
    assert run(code) == "True\n"


# The front door.


def test_importing_thetac_imports_neither_torch_nor_triton_nor_the_compiler() -> None:
    code = (
        "import sys, thetac; thetac.__version__; dir(thetac)\n"
        "print([name for name in ('torch', 'triton', 'jinja2', 'yaml', 'thetac.codegen') if name in sys.modules])"
    )
    assert run(code) == "[]\n"


def test_kernels_are_imported_when_they_are_first_needed() -> None:
    """Not whether triton is: torch imports it by itself at the first step of any optimizer."""
    code = (
        "import sys, torch\n"
        "from thetac import AdamW\n"
        "parameter = torch.nn.Parameter(torch.ones(2)); parameter.grad = torch.ones(2)\n"
        "AdamW([parameter], foreach=False).step()\n"
        "print([name for name in sys.modules if name.endswith(('triton_kernels', 'triton_ops'))])\n"
        "print(sorted(name for name in sys.modules if name.startswith(('thetac.codegen', 'jinja2', 'yaml'))))\n"
    )
    assert run(code) == "[]\n[]\n"


def test_thetac_works_where_triton_is_not_installed() -> None:
    code = (
        "import sys; sys.modules['triton'] = None\n"  # an import of it raises ImportError
        "import torch, thetac\n"
        f"for made in (thetac.AdamW, thetac.load({LION!r})):\n"
        "    parameter = torch.nn.Parameter(torch.ones(2)); parameter.grad = torch.ones(2)\n"
        "    made([parameter]).step()\n"
        "    assert parameter.tolist() != [1, 1]\n"
    )
    run(code)


def test_a_star_brings_everything_and_nothing_else() -> None:
    code = (
        "before = set(globals())\n"
        "from thetac import *\n"
        "import thetac\n"
        "print(set(globals()) - before - {'before', 'thetac'} == set(dir(thetac)) - {'__contract__', '__version__'})\n"
        "print(AdamW is thetac.AdamW, load is thetac.load)"
    )
    assert run(code) == "True\nTrue True\n"


def test_every_name_is_there_and_an_unknown_one_is_not() -> None:
    names = set(dir(thetac))
    assert {"AdamW", "Lion", "GradientDescent", "load", "save_optimizer", "load_optimizer", "__version__"} <= names
    for name in names - {"__contract__", "__version__", "load"}:
        assert getattr(thetac, name).__name__ == name
    with pytest.raises(AttributeError, match="module 'thetac' has no attribute 'AdmaW'"):
        _ = thetac.AdmaW  # type: ignore[attr-defined]
    with pytest.raises(ImportError):
        exec("from thetac import AdmaW")


def test_a_class_is_the_same_by_all_its_names() -> None:
    code = "import generated, thetac, thetac.generated as g; print(generated.AdamW is thetac.AdamW is g.AdamW)"
    assert run(code) == "True\n"


@pytest.mark.thorough("25 s of mypy; test_every_name_is_there reads the same table")
def test_type_checkers_know_every_name_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "use.py").write_text(
        "import torch\n"
        "import thetac\n"
        "from thetac import AdamW\n"
        "made: torch.optim.Optimizer = AdamW([torch.ones(1)], lr=0.1)\n"
        "loaded: type[torch.optim.Optimizer] = thetac.load('mine.yaml')\n"
        "AdamW([torch.ones(1)], lr='high')\n"
        "thetac.AdmaW\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", str(tmp_path / "use.py")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    found = [re.sub(r"^.*use\.py:", "", line) for line in done.stdout.splitlines()]
    assert len(found) == 2, done.stdout + done.stderr
    assert found[0].startswith('6: error: Argument "lr" to "AdamW" has incompatible type "str"')
    assert found[1].startswith('7: error: Module has no attribute "AdmaW"')
