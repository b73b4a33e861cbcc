"""The `thetac` command, in this process or in one of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.support.paths import ROOT
from thetac.codegen.__main__ import main


def run(*arguments: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command as a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "thetac.codegen", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def status(arguments: Sequence[str]) -> int:
    """The exit status of the command, in this process."""
    try:
        return main(arguments)
    except SystemExit as error:  # from argparse
        return int(error.code or 0)
