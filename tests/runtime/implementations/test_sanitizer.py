"""Fused steps under AddressSanitizer: kernels and the compiled tensor reader touch no byte that is not theirs.

Everything that is compiled is compiled for it, into a cache of its own, and the adversary drives steps while gradients,
states and storages come and go.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from thetac.runtime.building.compiler import BuildError, find_compiler

NAMES = ("AdamW", "SGD", "NAdam")

# A table that says that a tensor is longer than it is: what the sanitizer has to notice.
PLANTED = """
import torch, thetac
param = torch.nn.Parameter(torch.zeros(1000))
optimizer = thetac.SGD([param], lr=0.1, fused=True)
for _ in range(2):
    param.grad = torch.ones(1000)
    optimizer.step()
optimizer._stepper.plan.executors[0].table[0, 0] = 5000
param.grad = torch.ones(1000)
optimizer.step()
print("done")
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Of a process in which everything that is compiled is watched."""
    try:
        compiler = find_compiler().command
    except BuildError as error:
        pytest.skip(f"{error}")
    asked = subprocess.run([*compiler, "-print-file-name=libasan.so"], capture_output=True, text=True, check=False)
    library = Path(asked.stdout.strip())
    if not library.is_absolute() or not library.exists():
        pytest.skip(f"{compiler[0]} has no AddressSanitizer")
    return {
        **{key: value for key, value in os.environ.items() if key != "THETAC_CPU_KERNELS"},
        "CXX": " ".join((*compiler, "-fsanitize=address", "-fno-omit-frame-pointer")),
        "XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache")),
        "THETAC_BUILD_DIR": str(tmp_path_factory.mktemp("build")),
        "LD_PRELOAD": str(library),
        "ASAN_OPTIONS": "detect_leaks=0:verify_asan_link_order=0",
        "OMP_NUM_THREADS": "1",
        "PYTHONMALLOC": "malloc",
        "THETAC_BUILD_MEMORY": "99999999",  # the compiler runs under the sanitizer too, which reserves terabytes
        "PYTHONPATH": str(ROOT),
    }


def run(arguments: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False, timeout=300
    )


@pytest.mark.thorough("everything is compiled anew; test_launch_cpp and the adversary run the same kernels")
def test_no_byte_that_is_not_theirs(environment: dict[str, str]) -> None:
    done = run(["-m", "tests.support.adversary", "9", *NAMES], environment)
    assert done.returncode == 0, done.stderr[-5000:]
    assert done.stdout.endswith("done\n")


@pytest.mark.thorough("of the test above")
def test_the_sanitizer_sees_a_step_that_goes_too_far(environment: dict[str, str]) -> None:
    done = run(["-c", PLANTED], environment)
    assert done.returncode != 0
    assert "AddressSanitizer: heap-buffer-overflow" in done.stderr
