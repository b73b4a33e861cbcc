"""Examples in the documentation, for tests that run them."""

from __future__ import annotations

import re

from tests.support.paths import ROOT

DOCS = ROOT / "docs"


def example(page: str, heading: str) -> str:
    """The one block of Python under a heading of a page."""
    text = (DOCS / page).read_text(encoding="utf-8")
    (section,) = re.findall(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    (block,) = re.findall(r"^```python\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    return block


def run_example(page: str, heading: str) -> dict[str, object]:
    """In this process and the working directory; what it has defined."""
    names: dict[str, object] = {"__name__": "__main__"}
    exec(compile(example(page, heading), f"{page}, {heading}", "exec"), names)
    return names
