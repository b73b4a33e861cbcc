"""Read YAML into a tree in which every node knows its location.

In: a Source. Out: Scalars, Sequences and Mappings, and diagnostics. YAML is read as events and never constructed: no
tags, anchors or aliases, and every value stays a text until a reader of the tree parses a number.
Must not know what a spec holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from thetac.codegen.errors import Diagnostic, Diagnostics, Location, SpecError, quote
from thetac.codegen.frontend.source import Source, unprintable

DEEPEST = 8  # levels of nested YAML; a spec has four


@dataclass(frozen=True, slots=True)
class Scalar:
    """A text, with the location of each of its lines."""

    text: str
    style: str  # "" plain, "'" or '"' quoted, "|" or ">" a block, "(" one that YAML has cut at its commas
    location: Location
    lines: tuple[Location, ...]  # one per line of the text; the first character of each, if `exact`
    exact: bool  # whether the file holds the text character by character

    def at(self, line: int, column: int, length: int) -> Location:
        """Return the location of a stretch of the text, by line and column from 0."""
        if not self.exact or line >= len(self.lines):
            return self.location
        return self.lines[line].part(column, length)


@dataclass(frozen=True, slots=True)
class Sequence:
    """`[a, b]` or lines with dashes."""

    items: tuple[Node, ...]
    location: Location


@dataclass(frozen=True, slots=True)
class Entry:
    """`key: value`."""

    key: Scalar
    value: Node


@dataclass(frozen=True, slots=True)
class Mapping:
    """`{key: value}` or lines of them; the keys differ."""

    entries: tuple[Entry, ...]
    location: Location


Node = Scalar | Sequence | Mapping


def read_tree(source: Source, diagnostics: Diagnostics) -> Node | None:
    """Return the one document of the source; None if it is empty, or if it cannot be read, which is noted."""
    try:
        return _Builder(source, yaml.parse(source.text, Loader=yaml.SafeLoader), diagnostics).document()
    except SpecError as error:
        diagnostics.take(error)
    except yaml.MarkedYAMLError as error:
        diagnostics.add(*_syntax(source, error))
    except (yaml.YAMLError, ValueError) as error:  # an escape or a version number that Python cannot convert
        diagnostics.add(source.at(0, 0), f"not valid YAML: {error}")
    return None


class _Builder:
    """Converts events to nodes, one method per kind of event."""

    def __init__(self, source: Source, events: Iterator[yaml.Event], diagnostics: Diagnostics) -> None:
        self.source = source
        self.events = events
        self.diagnostics = diagnostics

    def document(self) -> Node | None:
        """Return the root of the only document; None if there is none."""
        tree: Node | None = None
        documents = 0
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._stop(event, "a second document in one file", "one file holds one spec: delete the `---`")
            elif isinstance(event, yaml.NodeEvent):
                tree = self._node(event, 1)
        return tree

    def _node(self, event: yaml.Event, depth: int) -> Node:
        self._refuse_extras(event)
        if depth > DEEPEST:
            self._stop(
                event, f"YAML nested more than {DEEPEST} levels deep", "a spec is nested four levels deep at most"
            )
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Node] = []
            while not isinstance(inner := next(self.events), yaml.SequenceEndEvent):
                items.append(self._node(inner, depth + 1))
            return Sequence(tuple(items), self._place(event))
        assert isinstance(event, yaml.MappingStartEvent), event
        return self._mapping(event, depth)

    def _mapping(self, event: yaml.MappingStartEvent, depth: int) -> Mapping:
        entries: dict[str, Entry] = {}
        while not isinstance(inner := next(self.events), yaml.MappingEndEvent):
            key = self._node(inner, depth + 1)
            value = self._node(next(self.events), depth + 1)
            if not isinstance(key, Scalar):
                self.diagnostics.add(
                    key.location, "a key that is no text", "a text that begins with `[` or `{` must be quoted"
                )
            elif key.text in entries:
                first = entries[key.text].key.location
                self.diagnostics.add(
                    key.location, f"key {quote(key.text)} is given twice", f"the first is in line {first.line}"
                )
            else:
                entries[key.text] = Entry(key, value)
        written = tuple(entries.values())
        return Mapping(_rejoin(written) if event.flow_style else written, self._place(event))

    def _scalar(self, event: yaml.ScalarEvent) -> Scalar:
        style = event.style or ""
        text: str = event.value
        first, _, last, _ = _extent(event)
        here = self._place(event)
        if bad := unprintable(text.replace("\n", "")):  # only an escape can have made it: the file itself has none
            self.diagnostics.add(here, f"{bad} in a text", "between double quotes a backslash is written `\\\\`")
            text = "".join(character for character in text if not unprintable(character))
        if style == "|":
            rows = text.split("\n")
            lines = tuple(self._block_line(first + 1 + i, row) for i, row in enumerate(rows))
            head = next((line for line, row in zip(lines, rows, strict=True) if row.strip()), here)
            return Scalar(text, style, head, lines, exact=True)
        if style != ">" and first == last:
            inner = here.part(len(style), len(text)) if style else here
            written = self.source.lines[first][inner.column - 1 : inner.column - 1 + len(text)]
            return Scalar(text, style, here, (inner,), exact=written == text)
        return Scalar(text, style, here, (here,), exact=False)

    def _block_line(self, row: int, text: str) -> Location:
        line = self.source.lines[row] if row < len(self.source.lines) else ""
        return self.source.at(row, len(line) - len(text) if line.endswith(text) else 0, len(text))

    def _place(self, event: yaml.Event) -> Location:
        line, column, end_line, end_column = _extent(event)
        return self.source.at(line, column, end_column - column if line == end_line else 1)

    def _refuse_extras(self, event: yaml.Event) -> None:
        """Raise SpecError for an alias, an anchor or a tag.

        They make a file hard to read, and nested aliases make a small file arbitrarily large.
        """
        if isinstance(event, yaml.AliasEvent):
            self._stop(
                event,
                f"`*{event.anchor}` is a YAML alias",
                "write the value itself; a text that begins with `*` must be quoted",
            )
        if isinstance(event, yaml.NodeEvent) and event.anchor is not None:
            self._stop(
                event, f"`&{event.anchor}` is a YAML anchor", "delete it; a text that begins with `&` must be quoted"
            )
        if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent) and event.tag is not None:
            self._stop(
                event,
                f"{quote(self._source_text(event))} is a YAML tag",
                "delete it; a text that begins with `!` must be quoted",
            )

    def _source_text(self, event: yaml.Event) -> str:
        here = self._place(event)
        return here.text[here.column - 1 : here.column - 1 + here.length].split()[0]

    def _stop(self, event: yaml.Event, cause: str, remedy: str) -> None:
        """Raise SpecError at an event."""
        raise SpecError([Diagnostic(self._place(event), cause, remedy)])


def _rejoin(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """Return the entries of `{a: (1, 2)}` as they were meant: YAML reads `a: (1` and a key `2)`."""
    whole: list[Entry] = []
    for entry in entries:
        torn = whole[-1].value if whole else None
        if (
            isinstance(torn, Scalar)
            and isinstance(entry.value, Scalar)
            and torn.style in ("", "(")
            and torn.text.startswith("(")
            and not torn.text.endswith((")", "]"))
            and entry.key.style == entry.value.style == entry.value.text == ""
        ):
            here = torn.location
            end = entry.key.location.column + entry.key.location.length
            place = here.part(0, end - here.column if entry.key.location.line == here.line else here.length)
            text = f"{torn.text}, {entry.key.text}"
            whole[-1] = Entry(whole[-1].key, Scalar(text, "(", place, (place,), exact=False))
        else:
            whole.append(entry)
    return tuple(whole)


def _extent(event: yaml.Event) -> tuple[int, int, int, int]:
    """Return line and column of the first character, and line and column behind the last, all from 0."""
    start, end = event.start_mark, event.end_mark
    assert start is not None, "events of a parsed text have marks"
    assert end is not None, "events of a parsed text have marks"
    return start.line, start.column, end.line, end.column


_PROBLEMS = (  # what PyYAML calls it, what it is, what to do
    ("character '\\t'", "a tab where YAML wants spaces", "indent with spaces"),
    ("mapping values are not allowed", "a second `: ` on the line", "a text that holds `: ` must be quoted"),
    ("cannot start any token", "a text cannot begin with this character", "put the text in quotes"),
    ("could not find expected ':'", "a key without a colon", "a key ends with a colon and a space"),
    (
        "expected ',' or '}'",
        "a comma or a `}` is missing before this",
        "separate entries by commas and close the brace",
    ),
    (
        "expected ',' or ']'",
        "a comma or a `]` is missing before this",
        'close the bracket; a range must be quoted, as in `"[0, 1)"`',
    ),
    ("unexpected end of stream", "quotes that are never closed", "close them"),
    ("unknown escape character", "an unknown escape", "between double quotes a backslash is written `\\\\`"),
    ("expected escape sequence", "an unknown escape", "between double quotes a backslash is written `\\\\`"),
    (
        "expected alphabetic or numeric character",
        "`*` and `&` begin YAML references",
        'put the text in quotes, as in `"*"`',
    ),
    (
        "expected <block end>",
        "a line that begins in a wrong column",
        "lines that belong together begin in the same column",
    ),
)


def _syntax(source: Source, error: yaml.MarkedYAMLError) -> tuple[Location, str, str]:
    """Return location, cause and remedy for an error of the YAML parser."""
    problem = error.problem or "something is missing"
    if (found := _habit(source, error, problem)) is not None:
        return found
    known = next(((cause, remedy) for part, cause, remedy in _PROBLEMS if part in problem), None)
    unclosed = "unexpected end of stream" in problem  # the location to show is where the text began
    mark = error.context_mark if unclosed or error.problem_mark is None else error.problem_mark
    where = source.at(mark.line, mark.column) if mark is not None else source.at(0, 0)
    return (where, *known) if known is not None else (where, f"not valid YAML: {problem}", "")


def _habit(source: Source, error: yaml.MarkedYAMLError, problem: str) -> tuple[Location, str, str] | None:
    """Return location, cause and remedy if a known habit, further up, explains the error; else None."""
    if "mapping values are not allowed" in problem and error.problem_mark is not None:
        row = error.problem_mark.line
        for above in range(row, max(row - 2, -1), -1):
            if (key := _NO_SPACE.match(source.lines[above])) is not None:
                remedy = f"write `{key['name']}: {key['rest'].strip()}`"
                return source.at(above, key.start("name"), len(key["name"]) + 1), NO_SPACE, remedy
    if "could not find expected ':'" in problem and error.context_mark is not None:
        row = error.context_mark.line
        if _STATEMENT.match(source.lines[row]):
            remedy = "statements stand behind `update: |`, indented by two spaces"
            length = len(source.lines[row].strip())
            return source.at(row, error.context_mark.column, length), "a statement outside of the update", remedy
    return None


NO_SPACE = "a space is missing behind the colon"
_NO_SPACE = re.compile(r"\s*(?P<name>[A-Za-z_]+):(?P<rest>[^\s:/][^:#]*)$")
_STATEMENT = re.compile(r"\s*[A-Za-z_]\w*\s*=[^=]")
