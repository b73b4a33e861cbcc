"""Draw docs/architecture.svg: the folders of compiler and runtime, and two ways through them.

In: the imports of codegen/ and runtime/ (graph.py), and the stops of both ways (stops.py). Out: an SVG. Arrows
between folders are imports; an arrow that follows from others is left out. `make picture` writes the file, and
tests/docs/test_picture.py compares it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePath
from xml.sax.saxutils import escape

from docs.picture.graph import Arrows, folder_of, imports_of, layers_of, reduced
from docs.picture.stops import BETA2, GRADIENT, Stop

PICTURE = Path(__file__).parent.parent / "architecture.svg"

WIDTH = 880
MARGIN = 16
TITLE = 28  # height of a panel's title
ROW = 62  # from one layer to the next
BOX = 38
GAP = 14
STOP = 35  # height of a stop in a list
PANELS = {"codegen": (MARGIN, 470), "runtime": (484, WIDTH - MARGIN)}
NOTES = {"contract": "for generated code"}
COLORS = {"blue": "#1f5fbf", "orange": "#b3470b"}
STYLE = """
text { font-family: "DejaVu Sans", Verdana, Arial, sans-serif; font-size: 12px; fill: #1c2733; }
.title { font-size: 15px; font-weight: bold; }
.name { font-weight: bold; }
.note { fill: #4a5866; }
.box { fill: #ffffff; stroke: #5b6b7b; }
.arrow { fill: none; stroke: #8a97a5; stroke-width: 1.4; marker-end: url(#head); }
.number { fill: #ffffff; font-weight: bold; text-anchor: middle; }
.middle { text-anchor: middle; }
"""


# The places.


@dataclass(frozen=True, slots=True)
class Place:
    """Where a folder is drawn: the middle of its box, and the width."""

    x: float
    y: float
    width: float


Chain = tuple[str, ...]  # the nodes of an arrow from top to bottom: a folder, places to pass between, a folder


def width_of(text: str, *, size: float = 12, bold: bool = False) -> float:
    """Return an upper estimate of the width of a text in pixels."""
    return len(text) * size * (0.64 if bold else 0.6)


def box_width(name: str, marks: int, note: str = "") -> float:
    """Return the width of a box that has room for its name, its numbers and its note."""
    return max(width_of(name, bold=True), width_of(note), 20.0 * marks) + 16


def placed(
    arrows: Arrows, marks: Mapping[str, Sequence[object]], left: float, right: float, top: float
) -> tuple[dict[str, Place], list[Chain]]:
    """Return the places of all folders, the points that arrows pass through among them, and the arrows as chains."""
    levels = layers_of(arrows)
    highest = max(levels.values())
    rows: list[list[str]] = [sorted(f for f in levels if levels[f] == n) for n in range(highest, -1, -1)]
    chains: list[Chain] = []
    for here in sorted(arrows):
        for other in sorted(arrows[here]):
            between = [f"{here}>{other}@{n}" for n in range(levels[here] - 1, levels[other], -1)]
            for n, point in zip(range(levels[here] - 1, levels[other], -1), between, strict=True):
                rows[highest - n].append(point)
            chains.append((here, *between, other))
    rows = ordered(rows, [pair for chain in chains for pair in pairwise(chain)])
    places: dict[str, Place] = {}
    for n, row in enumerate(rows):
        widths = [
            12.0 if "@" in node else box_width(node, len(marks.get(node, ())), NOTES.get(node, "")) for node in row
        ]
        free = (right - left - sum(widths)) / (len(row) + 1)
        x = left
        for node, width in zip(row, widths, strict=True):
            x += free
            places[node] = Place(x + width / 2, top + n * ROW + BOX / 2, width)
            x += width
    return places, chains


def ordered(rows: list[list[str]], pairs: Sequence[tuple[str, str]]) -> list[list[str]]:
    """Return the rows with their nodes ordered by the mean position of their neighbours, so that few arrows cross."""
    rows = [list(row) for row in rows]
    for sweep in range(8):
        positions = {node: i / max(len(row) - 1, 1) for row in rows for i, node in enumerate(row)}
        for row in rows if sweep % 2 else reversed(rows):
            weights = {}
            for node in row:
                around = [b if a == node else a for a, b in pairs if node in (a, b)]
                weights[node] = sum(positions[other] for other in around) / len(around) if around else 0.5
            row.sort(key=lambda node: (weights[node], node))
            positions |= {node: i / max(len(row) - 1, 1) for i, node in enumerate(row)}
    return rows


# The drawing.


def badge(number: int, x: float, y: float, color: str) -> str:
    """Return a numbered circle."""
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="9" fill="{COLORS[color]}"/>'
        f'<text class="number" x="{x:.1f}" y="{y + 4.2:.1f}">{number}</text>'
    )


def text(x: float, y: float, content: str, kind: str = "") -> str:
    """Return a line of text."""
    return f'<text{f" class={chr(34)}{kind}{chr(34)}" if kind else ""} x="{x:.1f}" y="{y:.1f}">{escape(content)}</text>'


def arrow(points: Sequence[tuple[float, float]]) -> str:
    """Return a smooth line down through the points."""
    (x, y), *rest = points
    path = [f"M{x:.1f},{y:.1f}"]
    for to_x, to_y in rest:
        middle = (y + to_y) / 2
        path.append(f"C{x:.1f},{middle:.1f} {to_x:.1f},{middle:.1f} {to_x:.1f},{to_y:.1f}")
        x, y = to_x, to_y
    return f'<path class="arrow" d="{" ".join(path)}"/>'


def box(name: str, place: Place, marks: Sequence[tuple[int, str]], note: str = "") -> str:
    """Return a named box with the numbers of the stops in it, or with a note where there are none."""
    x, y = place.x - place.width / 2, place.y - BOX / 2
    parts = [f'<rect class="box" x="{x:.1f}" y="{y:.1f}" width="{place.width:.1f}" height="{BOX}" rx="6"/>']
    has_second_line = bool(marks or note)
    parts.append(text(place.x, place.y - 4 if has_second_line else place.y + 4, name, "name middle"))
    begin = place.x - (len(marks) - 1) * 10
    parts += [badge(number, begin + 20 * i, place.y + 9, color) for i, (number, color) in enumerate(marks)]
    if note and not marks:
        parts.append(text(place.x, place.y + 13, note, "note middle"))
    return "\n".join(parts)


def panel(package: str, title: str, top: float, badges: Mapping[str, Sequence[tuple[int, str]]]) -> tuple[str, float]:
    """Return one package as boxes and arrows, and the bottom of it."""
    left, right = PANELS[package]
    places, chains = placed(reduced(imports_of(package)), badges, left + 4, right - 4, top + TITLE + 8)
    parts = [text(left + 12, top + 20, title, "title")]
    for chain in chains:
        begin, *between, end = (places[node] for node in chain)
        points = [(begin.x, begin.y + BOX / 2)]
        for place in between:
            points += [(place.x, place.y - BOX / 2), (place.x, place.y + BOX / 2)]
        parts.append(arrow([*points, (end.x, end.y - BOX / 2 - 2)]))
    for folder, place in places.items():
        if "@" not in folder:
            parts.append(box(folder, place, badges.get(folder, ()), NOTES.get(folder, "")))
    bottom = max(place.y for place in places.values()) + BOX / 2 + 14
    frame = f'<rect x="{left}" y="{top}" width="{right - left}" height="{bottom - top:g}" rx="10" fill="#e9eef4"/>'
    return "\n".join([frame, *parts]), bottom


def listed(stops: Sequence[Stop], title: str, color: str, left: float, top: float) -> tuple[str, float]:
    """Return a way as a numbered list, and the bottom of it."""
    parts = [text(left, top + 20, title, "title")]
    for i, stop in enumerate(stops):
        y = top + TITLE + 16 + i * STOP
        parts.append(badge(i + 1, left + 9, y, color))
        parts.append(text(left + 26, y, stop.shown, "name"))
        parts.append(text(left + 26, y + 14, stop.what, "note"))
    return "\n".join(parts), top + TITLE + len(stops) * STOP + 8


def badges() -> dict[str, list[tuple[int, str]]]:
    """Return the numbers of the stops in each file."""
    marks: dict[str, list[tuple[int, str]]] = {}
    for stops, color in ((BETA2, "blue"), (GRADIENT, "orange")):
        for number, stop in enumerate(stops, 1):
            marks.setdefault(stop.path, []).append((number, color))
    return marks


def badges_of(package: str) -> dict[str, list[tuple[int, str]]]:
    """Return the numbers of the stops in each folder of a package."""
    marks: dict[str, list[tuple[int, str]]] = {}
    for path, numbers in badges().items():
        top, _, rest = path.partition("/")
        if top == package and rest.endswith(".py"):
            marks.setdefault(folder_of(rest.removesuffix(".py").split("/")), []).extend(numbers)
    return {folder: sorted(numbers, key=lambda mark: (mark[1], mark[0])) for folder, numbers in marks.items()}


def generated_panel(top: float) -> tuple[str, float]:
    """Return the files of a generated package that the ways pass, and the bottom of the panel."""
    left, right = PANELS["runtime"]
    parts = [text(left + 12, top + 20, "Generated code and its header", "title")]
    marks = {
        path: numbers for path, numbers in badges().items() if path.startswith("generated/") or path.endswith(".h")
    }
    widths = {path: box_width(PurePath(path).name.removesuffix(".py"), len(marks[path])) for path in marks}
    gap = (right - left - sum(widths.values())) / (len(marks) + 1)
    x = left + gap
    y = top + TITLE + 8 + BOX / 2
    for path in sorted(marks, key=lambda path: (path.endswith(".h"), max(marks[path])[0])):
        parts.append(
            box(PurePath(path).name.removesuffix(".py"), Place(x + widths[path] / 2, y, widths[path]), marks[path])
        )
        x += widths[path] + gap
    bottom = y + BOX / 2 + 14
    frame = f'<rect x="{left}" y="{top:g}" width="{right - left}" height="{bottom - top:g}" rx="10" fill="#e9eef4"/>'
    return "\n".join([frame, *parts]), bottom


def picture() -> str:
    """Return the whole picture as SVG."""
    left, left_bottom = panel("codegen", "The compiler, codegen/", MARGIN, badges_of("codegen"))
    right, right_bottom = panel("runtime", "The runtime, runtime/", MARGIN, badges_of("runtime"))
    made, made_bottom = generated_panel(right_bottom + 12)
    top = max(left_bottom, made_bottom) + 14
    blue, blue_bottom = listed(BETA2, "beta2, from the spec to the kernel", "blue", MARGIN + 4, top)
    orange, orange_bottom = listed(GRADIENT, "a gradient, from p.grad to the kernel", "orange", 452, top)
    height = max(blue_bottom, orange_bottom) + MARGIN
    head = (
        '<defs><marker id="head" markerWidth="9" markerHeight="9" refX="7" refY="4" orient="auto">'
        '<path d="M0,0 L8,4 L0,8 z" fill="#8a97a5"/></marker></defs>'
    )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:g}" '
            f'viewBox="0 0 {WIDTH} {height:g}">',
            "<!-- Drawn by docs/picture/draw.py; do not edit. -->",
            f"<style>{STYLE}</style>",
            head,
            f'<rect width="{WIDTH}" height="{height:g}" rx="12" fill="#f7f9fb"/>',
            *_lines((left, right, made, blue, orange)),
            "</svg>",
            "",
        ]
    )


def _lines(parts: Iterable[str]) -> list[str]:
    return [line for part in parts for line in part.split("\n")]


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
