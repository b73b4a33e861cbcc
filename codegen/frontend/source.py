"""Read the text of one spec file, and locate characters in it.

In: bytes or text. Out: lines of printable characters, or a SpecError. Must not know what a spec holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from thetac.codegen.errors import Diagnostic, Location, SpecError

LONGEST_FILE = 100_000  # characters; thetac's longest spec has about 2,500


@dataclass(frozen=True, slots=True)
class Source:
    """A spec's text, line by line."""

    path: str
    lines: tuple[str, ...]

    def at(self, line: int, column: int, length: int = 1) -> Location:
        """Return the location of a stretch by line and column, both from 0, as YAML and Python count."""
        line = min(max(line, 0), len(self.lines) - 1)
        return Location(self.path, line + 1, column + 1, max(length, 1), self.lines[line])

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def read_source(path: Path, shown_as: str) -> str:
    """Return the text of a spec file.

    Args:
        path: The file.
        shown_as: How messages name it.

    Raises:
        SpecError: If the file cannot be read, is too long or is not UTF-8.
    """
    here = Location(shown_as, 1, 1)
    try:
        if not path.is_file():
            raise SpecError([Diagnostic(here, "there is no such file")])
        with path.open("rb") as file:
            data = file.read(4 * LONGEST_FILE + 1)  # UTF-8 takes at most 4 bytes for a character
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise SpecError([Diagnostic(here, f"the file cannot be read: {reason}")]) from error
    if len(data) > 4 * LONGEST_FILE:
        raise SpecError([_too_long(here)])
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        where = Location(shown_as, line, column)
        cause = f"the file is not UTF-8: byte 0x{data[error.start]:02x} is no character"
        raise SpecError([Diagnostic(where, cause, "save it as UTF-8")]) from error


def split_source(text: str, path: str) -> Source:
    """Return the lines of a spec's text.

    Args:
        text: The text.
        path: How messages name the file.

    Raises:
        SpecError: If the text is too long or holds unprintable characters.
    """
    text = text.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}").replace("\r\n", "\n")
    if len(text) > LONGEST_FILE:
        raise SpecError([_too_long(Location(path, 1, 1))])
    source = Source(path, tuple(text.split("\n")))
    found = [
        Diagnostic(source.at(row, column), f"{unprintable(line[column])} in the file", "delete it")
        for row, line in enumerate(source.lines)
        if not line.isprintable()
        for column in range(len(line))
        if unprintable(line[column])
    ]
    if found:
        raise SpecError(found)
    return source


def unprintable(text: str) -> str:
    """Return in words the first character of the text that cannot be printed; empty if all can."""
    for character in text:
        if not character.isprintable() and character not in _BLANKS:
            return "a carriage return" if character == "\r" else f"the unprintable character U+{ord(character):04X}"
    return ""


_BLANKS = "\t\N{NO-BREAK SPACE}\N{IDEOGRAPHIC SPACE}\N{THIN SPACE}\N{NARROW NO-BREAK SPACE}"


def _too_long(where: Location) -> Diagnostic:
    return Diagnostic(where, f"the file is longer than {LONGEST_FILE:,} characters", "a spec is a page of text at most")
