"""Find and call the C++ compiler of this machine.

In: a source file, its headers and macros. Out: the bytes of a shared object, or a `BuildError` that says what is
missing or quotes the compiler. Must not know what is compiled, nor where objects are kept. Imports no torch.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from thetac.runtime.building.compiler_process import BuildError, quote_output, run
from thetac.runtime.building.owned_folder import owned_folder

__all__ = [
    "BuildError",
    "Compiler",
    "LEVELS",
    "Recipe",
    "SCRATCH",
    "compile_object",
    "find_compiler",
    "find_levels",
    "list_flags",
]

# No operation is contracted or reordered, so that every level of the CPU gives the same bits. Two flags change no
# result: without -fno-math-errno, roots are not vectorized; without -fno-trapping-math, branches are not.
FLAGS = ("-std=c++17", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-fPIC", "-shared")

SCRATCH = "thetac-build-"  # the prefix of folders that compilers work in
_NAMES = ("c++", "g++", "clang++")

# The CPU features that a level of x86-64 adds to those before it, by their names in /proc/cpuinfo.
# https://gitlab.com/x86-psABIs/x86-64-ABI, "Micro-Architecture Levels"
_LEVELS = (
    ("x86-64", ""),
    ("x86-64-v2", "cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3"),
    ("x86-64-v3", "abm avx avx2 bmi1 bmi2 f16c fma movbe xsave"),
    ("x86-64-v4", "avx512f avx512bw avx512cd avx512dq avx512vl"),
)
LEVELS = tuple(name for name, _ in _LEVELS)


@dataclass(frozen=True, slots=True)
class Recipe:
    """What an object is made of."""

    name: str  # the beginning of its file name
    source: Path
    headers: tuple[Path, ...]  # files that the source includes, by their names alone
    defines: tuple[tuple[str, str], ...]  # macros and their values


@dataclass(frozen=True, slots=True)
class Compiler:
    """A C++ compiler."""

    command: tuple[str, ...]
    version: str  # the output of --version


def find_compiler() -> Compiler:
    """Find the compiler: `$CXX`, or the first of `c++`, `g++`, `clang++` on the path.

    Raises:
        BuildError: There is none, it does not run, or this is not a POSIX system.
    """
    if os.name != "posix":
        raise BuildError(f"C++ kernels are not built on {platform.system()}")
    return _compiler(os.environ.get("CXX", ""), os.environ.get("PATH", ""))


@cache
def _compiler(given: str, path: str) -> Compiler:
    if given.strip():
        try:
            command = tuple(shlex.split(given))
        except ValueError as error:
            raise BuildError(f"CXX is `{given}`, which is not a command: {str(error).lower()}") from None
        wanted = f"the compiler that CXX names, `{given}`,"
    else:
        command = tuple(name for name in _NAMES if shutil.which(name, path=path))[:1]
        wanted = f"a C++ compiler ({', '.join(_NAMES)})"
    if not command or shutil.which(command[0], path=path) is None:
        raise BuildError(f"{wanted} is not installed; install one, or set CXX to the command of yours")
    done = run((*command, "--version"))
    if done.status:
        raise BuildError(f"`{shlex.join((*command, '--version'))}` failed:\n{quote_output(done)}")
    return Compiler(command, done.output)


def find_levels() -> tuple[str, ...]:
    """List the levels whose objects this CPU runs, best first.

    Returns:
        Levels of x86-64, none above `$THETAC_CPU_LEVEL` if that is set; elsewhere the architecture alone.

    Raises:
        BuildError: `$THETAC_CPU_LEVEL` names a level that this CPU does not have.
    """
    highest = os.environ.get("THETAC_CPU_LEVEL", "")
    found = _levels_of_cpu()
    if not highest:
        return found
    if highest not in found:
        raise BuildError(f"THETAC_CPU_LEVEL is `{highest}`, but this CPU has the levels {', '.join(reversed(found))}")
    return found[found.index(highest) :]


@cache
def _levels_of_cpu() -> tuple[str, ...]:
    machine = platform.machine()
    if machine not in ("x86_64", "AMD64"):
        return (machine,)
    has = _cpu_features()
    found: list[str] = []
    for name, needs in _LEVELS:
        if not has.issuperset(needs.split()):
            break
        found.append(name)
    return tuple(reversed(found))


def _cpu_features() -> frozenset[str]:
    """Read the features of the first CPU. All CPUs of a machine have the same, and to list many takes Linux long."""
    try:
        with open("/proc/cpuinfo", "rb", buffering=0) as file:
            text = file.read(1 << 14).decode(errors="replace")
    except OSError:
        return frozenset()
    lines = (line.partition(":") for line in text.splitlines())
    return frozenset(next((value for key, _, value in lines if key.strip() == "flags"), "").split())


def list_flags(recipe: Recipe, level: str) -> list[str]:
    """List the compiler's arguments, without those that name files."""
    march = [f"-march={level}"] if level in LEVELS else []
    return [*FLAGS, *march, *(f"-D{name}={value}" for name, value in recipe.defines)]


def compile_object(recipe: Recipe, level: str, compiler: Compiler, scratch: Path) -> bytes:
    """Compile an object.

    Args:
        recipe: What it is made of.
        level: One of `LEVELS`, or the machine's architecture.
        compiler: The one to call.
        scratch: A folder to work in if the folder for temporary files cannot be used.

    Returns:
        The bytes of a shared object.

    Raises:
        BuildError: The compiler fails, with its message; or no folder can be written.
    """
    try:
        with owned_folder(SCRATCH, scratch) as folder:
            made = folder / "object.so"
            folders = sorted({str(header.parent) for header in recipe.headers})
            where = [*(f"-I{name}" for name in folders), "-o", str(made), str(recipe.source)]
            command = (*compiler.command, *list_flags(recipe, level), *where)
            done = run(command, str(folder))
            if done.status:
                raise BuildError(f"`{shlex.join(command)}` failed:\n{quote_output(done)}")
            return made.read_bytes()
    except OSError as error:
        raise BuildError(f"{recipe.source.name} cannot be compiled: {error}") from error
