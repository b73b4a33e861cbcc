"""Which rules read on the host what they have reduced to one number."""

from __future__ import annotations

import inspect
import re
from importlib import import_module

from tests.support.every_optimizer import ours


def reads_numbers(name: str) -> bool:
    """Return whether the host reads what a step has reduced to one number; what lies along an axis stays a tensor."""
    schema = ours(name).schema
    packages = [schema.package, *(f"{schema.package}.{piece}" for piece in schema.pieces)]
    sources = [inspect.getsource(import_module(f"{package}.forloop")) for package in packages]
    functions = [text for source in sources for text in source.split("\ndef ")[1:]]
    functions = [text for text in functions if "on_tensors(" not in text.partition("\n")[0]]
    read = [line for text in functions for line in text.splitlines() if ".item()" in line]
    return any(not re.fullmatch(r"\s*\w+ = \w+_t\.item\(\)", line) for line in read)
