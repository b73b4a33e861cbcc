"""Where things lie, for tests that read files of the repository, at whatever depth a test is."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
FRONTEND = TESTS / "codegen" / "frontend"  # with specs that have mistakes, and their twins that have none
