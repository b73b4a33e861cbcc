"""What must be settled before any test imports torch or triton."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# Triton decides at import whether kernels run in its interpreter. Where there is no GPU, they must.
if shutil.which("nvidia-smi") is None and shutil.which("rocm-smi") is None:
    os.environ.setdefault("TRITON_INTERPRET", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--mutants", type=int, default=300, help="specs with faults to try in test_fuzzing.py")
    parser.addoption("--all", action="store_true", help="every optimizer in every test, and tests marked thorough")
    parser.addoption(
        "--every-case", action="store_true", help="with --all: every optimizer in every case of every test"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Let modules of tests see `--all` when they are imported (tests/support/every_optimizer.py).

    What Hypothesis draws is the same in each run under `--all` and where CI is set, and different elsewhere. A failure
    is printed with the decorator that repeats it.
    """
    if config.getoption("--all"):
        os.environ["THETAC_TEST_ALL"] = "1"
    settings.register_profile(
        "fixed", settings.get_profile("default"), derandomize=True, database=None, print_blob=True
    )
    settings.register_profile("fresh", settings.get_profile("default"), derandomize=False, print_blob=True)
    if not config.getoption("--hypothesis-profile"):
        everywhere_the_same = config.getoption("--all") or "CI" in os.environ
        settings.load_profile("fixed" if everywhere_the_same else "fresh")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is marked `thorough` without `--all`, and with it what `spread` leaves out."""
    from tests.support.sparse_gradients import is_exception

    named = [item for item in items if isinstance(item, pytest.Function) and hasattr(item, "callspec")]
    without = {item for item in named if is_exception(item.originalname, item.callspec.params.get("name"))}
    items[:] = [item for item in items if item not in without]
    if os.environ.get("THETAC_TEST_ALL") != "1":
        dropped = {item for item in items if item.get_closest_marker("thorough")}
    elif config.getoption("--every-case"):
        return
    else:
        from tests.support.every_optimizer import spread

        dropped = set(items) - set(spread(items))
    config.hook.pytest_deselected(items=list(dropped))
    items[:] = [item for item in items if item not in dropped]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[object]:
    """Run a test in which two optimizers differ once more, and say in which step they began to."""
    try:
        return (yield)
    except AssertionError as error:
        from tests.support.comparing import Differs, Recording

        if isinstance(error, Differs):
            with Recording() as recording:
                try:
                    item.runtest()
                except Differs as again:
                    error.add_note(recording.first_step(again))
                except Exception as other:  # what the test made once may be in its own way
                    error.add_note(f"run once more, it ends in another way: {other}")
        raise


@pytest.fixture(scope="session", autouse=True)
def _quick_builds_for_16_bits() -> Iterator[None]:
    """Let this process optimise less what it builds for 16-bit dtypes; results are the same.

    What is between the conversions is the code of float32, which is built as for users.
    """
    from thetac.runtime.building import compiled_objects, compiler

    usual = compiler.list_flags

    def list_flags(recipe: compiler.Recipe, level: str) -> list[str]:
        quick = any(value in ("BF16", "F16") for _, value in recipe.defines)
        return ["-O1" if flag == "-O3" and quick else flag for flag in usual(recipe, level)]

    with pytest.MonkeyPatch.context() as patch:
        for module in (compiled_objects, compiler):
            patch.setattr(module, "list_flags", list_flags)
        yield


@pytest.fixture(autouse=True)
def _sparse_gradients(request: pytest.FixtureRequest) -> Iterator[None]:
    """Give an optimizer that takes sparse gradients alone its dense ones as sparse ones, in tests of one optimizer."""
    name = request.node.callspec.params.get("name") if hasattr(request.node, "callspec") else None
    if not isinstance(name, str):
        yield
        return
    from tests.support.sparse_gradients import as_sparse_for

    with as_sparse_for(name):
        yield


@pytest.fixture
def quick_builds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process optimise less what it builds: kernels of which nothing but results is looked at."""
    from thetac.runtime.building import compiler

    monkeypatch.setattr(compiler, "FLAGS", tuple("-O1" if flag == "-O3" else flag for flag in compiler.FLAGS))


@pytest.fixture
def unlistable(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Makes a folder one that this user may not list; root, too, whom permissions do not stop."""

    def forbid(folder: Path) -> None:
        original = os.scandir

        def scandir(path: os.PathLike[str] | str | int = ".") -> object:
            if not isinstance(path, int) and Path(path) == folder:
                raise PermissionError(13, "Permission denied", str(path))
            return original(path)

        monkeypatch.setattr(os, "scandir", scandir)

    return forbid


@pytest.fixture(autouse=True)
def _closures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tests over all optimizers step without a closure or a graph where an optimizer needs one.

    The closure repeats the gradients that the test has given. Tests of drivers have closures and graphs of their own.
    """
    callspec = getattr(request.node, "callspec", None)
    if callspec is None or {"drivers", "oracles", "test_digits.py"} & {*request.path.parts}:
        return
    if any(isinstance(value, str) for value in callspec.params.values()):
        from tests.support.stepping import step_as_others

        step_as_others(callspec.params.values(), monkeypatch)


@pytest.fixture(autouse=True)
def _training_mode(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let optimizers with modes begin in training mode, but in the tests of modes."""
    if not request.path.as_posix().endswith(("runtime/drivers/test_modes.py", "ecosystem/test_modes.py")):
        from tests.support.training_mode import train_from_the_beginning

        train_from_the_beginning(monkeypatch)
