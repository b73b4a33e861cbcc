"""The C++ compiler of this machine: which one, how it is called, and what it says when it fails.

In: a source file, its headers and macros. Out: the bytes of a shared object, or a `BuildError` that says what is
missing. Must not know what is compiled, nor where objects are kept. Imports no torch.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from thetac.runtime.building.owned_folder import owned_folder
from thetac.runtime.building.process import BuildError, excerpt, run

__all__ = ["BuildError", "Compiler", "LEVELS", "Recipe", "SCRATCH", "arguments", "compiled", "find_compiler", "levels"]

# No operation is contracted or reordered, so that every level of the CPU gives the same bits. The two -fno- flags
# change no result: without the first roots are not vectorised, without the second branches are not.
FLAGS = ("-std=c++17", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-fPIC", "-shared")

SCRATCH = "thetac-build-"  # begins the names of folders that compilers work in
_NAMES = ("c++", "g++", "clang++")

# What a CPU must have for a level of x86-64, in the names of /proc/cpuinfo; each level has all before it as well.
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

    name: str  # begins the name of its file
    source: Path
    headers: tuple[Path, ...]  # files that the source includes, by their names alone
    defines: tuple[tuple[str, str], ...]  # macros and their values


@dataclass(frozen=True, slots=True)
class Compiler:
    command: tuple[str, ...]
    version: str  # what it says of itself


def find_compiler() -> Compiler:
    """`$CXX`, or the first compiler on the path. Raises BuildError."""
    if os.name != "posix":
        raise BuildError(f"C++ kernels are not built on {platform.system()}")
    return _compiler(os.environ.get("CXX", ""), os.environ.get("PATH", ""))


@cache
def _compiler(given: str, path: str) -> Compiler:
    if given.strip():
        try:
            command = tuple(shlex.split(given))
        except ValueError as error:
            raise BuildError(f"CXX is `{given}`, which is no command: {str(error).lower()}") from None
        wanted = f"the compiler that CXX names, `{given}`,"
    else:
        command = tuple(name for name in _NAMES if shutil.which(name, path=path))[:1]
        wanted = f"a C++ compiler ({', '.join(_NAMES)})"
    if not command or shutil.which(command[0], path=path) is None:
        raise BuildError(f"{wanted} is not installed; install one, or set CXX to the command of yours")
    done = run((*command, "--version"))
    if done.status:
        raise BuildError(f"`{shlex.join((*command, '--version'))}` failed:\n{excerpt(done)}")
    return Compiler(command, done.output)


def levels() -> tuple[str, ...]:
    """The levels whose objects this CPU runs, best first; `$THETAC_CPU_LEVEL`, if set, is the best to be used."""
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
    """Of the first CPU: all of one machine have the same, and the kernel takes its time to list many."""
    try:
        with open("/proc/cpuinfo", "rb", buffering=0) as file:
            text = file.read(1 << 14).decode(errors="replace")
    except OSError:
        return frozenset()
    lines = (line.partition(":") for line in text.splitlines())
    return frozenset(next((value for key, _, value in lines if key.strip() == "flags"), "").split())


def arguments(recipe: Recipe, level: str) -> list[str]:
    """What follows the name of the compiler, but for the files."""
    march = [f"-march={level}"] if level in LEVELS else []
    return [*FLAGS, *march, *(f"-D{name}={value}" for name, value in recipe.defines)]


def compiled(recipe: Recipe, level: str, compiler: Compiler, scratch: Path) -> bytes:
    """The object. Raises BuildError with the compiler's message.

    `scratch` is a folder to work in where there is none for temporary files.
    """
    try:
        with owned_folder(SCRATCH, scratch) as folder:
            made = folder / "object.so"
            folders = sorted({str(header.parent) for header in recipe.headers})
            where = [*(f"-I{name}" for name in folders), "-o", str(made), str(recipe.source)]
            command = (*compiler.command, *arguments(recipe, level), *where)
            done = run(command, str(folder))
            if done.status:
                raise BuildError(f"`{shlex.join(command)}` failed:\n{excerpt(done)}")
            return made.read_bytes()
    except OSError as error:
        raise BuildError(f"{recipe.source.name} cannot be compiled: {error}") from error
