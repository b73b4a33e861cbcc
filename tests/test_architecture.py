"""Who may import whom, and what the hand-written parts must not know (docs/architecture.md)."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

CODEGEN = sorted((ROOT / "codegen").rglob("*.py"))
RUNTIME = sorted((ROOT / "runtime").rglob("*.py"))
GENERATED = sorted((ROOT / "generated").rglob("*.py"))

# A layer of the compiler may import itself and those further right; `emit` is beside the backends, which use it.
ORDER = (
    ("__main__", "__init__"),
    ("cli",),
    ("pipeline",),
    ("frontend", "passes", "backends"),
    ("emit",),
    ("ir", "folder"),
    ("errors",),
)
LAYERS = {part: level for level, parts in enumerate(ORDER) for part in parts}
SAME_LEVEL = {("backends", "passes")}  # a backend may ask a pass about a rule

# The same of the runtime. What generated code imports is at the top of it, and so are the classes that users see.
ROOMS = (
    ("drivers", "generic_optimizer"),
    ("optimizer",),
    ("torch_compile", "checkpoints"),
    ("stepping",),
    ("implementations",),
    ("param_groups",),
    ("tensor_facts",),
    ("totals",),
    ("schema", "tensors", "triton_folds", "triton_passes", "scalar_stages", "building"),
    ("triton_ops",),
    ("contract", "scalar_math", "triton_elementary"),
)
FLOORS = {room: level for level, rooms in enumerate(ROOMS) for room in rooms}


def imported(path: Path) -> list[str]:
    """The full names of the modules that a file imports, wherever in it."""
    package = ("thetac", *path.relative_to(ROOT).parent.parts)
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                found += [name.name for name in names]
            case ast.ImportFrom(module=module, names=names, level=0):
                assert module is not None
                found += [f"{module}.{name.name}" for name in names]
            case ast.ImportFrom(module=module, names=names, level=level):
                start = [*package[: len(package) - level + 1], *([module] if module else [])]
                found += [".".join((*start, name.name)) for name in names]
    return found


def layer(module: str) -> str:
    return module.split(".")[2]


def test_the_layers_of_the_compiler_import_in_one_direction() -> None:
    wrong: list[str] = []
    for path in CODEGEN:
        relative = path.relative_to(ROOT / "codegen")
        own = relative.parts[0].removesuffix(".py")
        for module in imported(path):
            if not module.startswith("thetac.codegen."):
                continue
            other = layer(module)
            allowed = own == other or LAYERS[own] < LAYERS.get(other, 9) or (own, other) in SAME_LEVEL
            if not allowed:
                wrong.append(f"codegen/{relative} imports {module}")
    assert not wrong, "\n".join(wrong)


def test_every_part_of_the_compiler_has_a_layer() -> None:
    parts = {path.relative_to(ROOT / "codegen").parts[0].removesuffix(".py") for path in CODEGEN}
    assert parts <= LAYERS.keys(), "say in LAYERS where it belongs"


def test_the_rooms_of_the_runtime_import_in_one_direction() -> None:
    wrong: list[str] = []
    for path in RUNTIME:
        relative = path.relative_to(ROOT / "runtime")
        own = relative.parts[0].removesuffix(".py")
        if own == "__init__":  # gives `GenericOptimizer` a short name
            continue
        assert own in FLOORS, f"runtime/{relative}: say in ROOMS where it belongs"
        for module in imported(path):
            parts = module.split(".")
            if module.startswith("thetac.runtime."):
                other = parts[2]
                if other != own and not FLOORS[own] < FLOORS[other]:
                    wrong.append(f"runtime/{relative} imports {module}")
    assert not wrong, "\n".join(wrong)


def circles(folder: str) -> list[str]:
    """The modules of a folder that can be reached from themselves by imports."""
    arrows = {
        ".".join(("thetac", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): imported(path)
        for path in sorted((ROOT / folder).rglob("*.py"))
    }
    reached: dict[str, set[str]] = {}
    for start in arrows:
        seen: set[str] = set()
        todo = [start]
        while todo:
            for name in arrows[todo.pop()]:
                module = name if name in arrows else name.rpartition(".")[0]
                if module in arrows and module not in seen:
                    seen.add(module)
                    todo.append(module)
        reached[start] = seen
    return sorted(module for module, seen in reached.items() if module in seen)


@pytest.mark.parametrize("folder", ["codegen", "runtime"])
def test_no_import_goes_in_a_circle(folder: str) -> None:
    assert circles(folder) == []


@pytest.mark.parametrize(
    ("files", "forbidden"),
    [
        (CODEGEN, ("torch", "triton", "numpy", "thetac.runtime", "thetac.generated")),
        (RUNTIME, ("thetac.codegen", "thetac.generated", "jinja2", "yaml")),
        (GENERATED, ("thetac.codegen", "jinja2", "yaml")),
        ([*CODEGEN, *RUNTIME, *GENERATED], ("codegen", "runtime", "generated", "specs")),
    ],
    ids=["codegen", "runtime", "generated", "bare names"],
)
def test_nothing_imports_what_it_must_not_know(files: list[Path], forbidden: tuple[str, ...]) -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in files
        for module in imported(path)
        if any(module == name or module.startswith(f"{name}.") for name in forbidden)
    ]
    assert not wrong, "\n".join(wrong)


def algorithm_names() -> list[str]:
    texts = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "specs").rglob("*.yaml"))]
    return re.findall(r"^optimizer:\s*(\w+)", "\n".join(texts), re.MULTILINE)


@pytest.mark.parametrize("folder", ["codegen", "runtime"])
def test_nothing_hand_written_names_an_algorithm(folder: str) -> None:
    """Comments and messages included: what is said of one algorithm belongs into its spec."""
    names = algorithm_names()
    assert len(names) >= 11, "the specs were not found"
    also_words = {"CAME", "PID"}  # a process has a pid, causes came to be: only capitals name the algorithm
    patterns = [name if name in also_words else rf"(?i:{re.escape(name)})" for name in names]
    words = re.compile(rf"\b({'|'.join(patterns)})\b")
    suffixes = (".py", ".h", ".cpp") if folder == "runtime" else (".jinja",)
    wrong = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in suffixes
        for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1)
        if words.search(line)
    ]
    assert not wrong, "\n".join(wrong)


def test_no_code_of_the_compiler_compares_with_the_name_of_an_algorithm() -> None:
    """Comments may give one as an example; a string constant outside docstrings would be a special case."""
    names = {name.lower() for name in algorithm_names()}
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {node.value!r}"
        for path in CODEGEN
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.lower() in names
    ]
    assert not wrong, "\n".join(wrong)


def test_the_compiler_runs_without_torch_and_triton() -> None:
    program = (
        "import sys\n"
        "sys.modules['torch'] = sys.modules['triton'] = None\n"  # makes any import of them fail
        "from pathlib import Path\n"
        "from thetac.codegen.pipeline import Source, compile_specs\n"
        "files = sorted(Path('specs').glob('*.yaml'))\n"
        "print(len(compile_specs([Source(str(f), f.read_text(encoding='utf-8')) for f in files])))\n"
    )
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) >= 11
