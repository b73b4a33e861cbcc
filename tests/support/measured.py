"""A plugin of pytest that writes down how much time of a processor each test took, children included.

    python -m pytest -p tests.support.measured --measured FILE ...

Beside other work on a machine, time of a processor says more than time on the wall.
"""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--measured", type=Path, required=True, help="where to append a line of JSON for each test")


def _seconds() -> float:
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    started = _seconds()
    result = yield
    with item.config.getoption("--measured").open("a", encoding="utf-8") as file:
        file.write(json.dumps([item.nodeid, round(_seconds() - started, 4)]) + "\n")
    return result
