"""Templates in, files out: the Jinja environment, the header, and the replacement of a package as a whole.

In: finished strings for templates, and finished files. Out: the same bytes on disk, whatever the locale, the hash
seed or the order of the specs. Must not know what the files say.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import jinja2

TEMPLATES = Path(__file__).parent / "backends" / "templates"
MARK = "by thetac; do not edit."  # a first line that holds this is ours to replace or remove


@cache
def environment() -> jinja2.Environment:
    """The one environment of all templates. Its output is Python and Markdown, not HTML, so nothing is escaped in it."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES, encoding="utf-8"),
        undefined=jinja2.StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        newline_sequence="\n",
    )


def render(template: str, **values: object) -> str:
    """A template of codegen/backends/templates filled with finished values."""
    return environment().get_template(template).render(**values)


def header(source: str) -> str:
    """The text of the first line of a generated file, without the comment sign of its language."""
    return f"Generated from {source} {MARK}"
