"""The picture of the architecture is up to date, legible, and says only what is there."""

from __future__ import annotations

import ast
import itertools
import re
import xml.etree.ElementTree as etree
from pathlib import Path

import pytest
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from docs.picture.draw import PICTURE, WIDTH, picture
from docs.picture.stops import BETA2, GRADIENT, Stop

ROOT = Path(__file__).parent.parent.parent

STOPS = (*BETA2, *GRADIENT)
Box = tuple[float, float, float, float]  # left, top, right, bottom


def test_the_picture_is_up_to_date() -> None:
    assert PICTURE.read_text(encoding="utf-8") == picture(), "run `make picture`, and look at it"


@pytest.mark.parametrize("stop", STOPS, ids=lambda stop: f"{stop.path}:{stop.name}")
def test_every_stop_exists(stop: Stop) -> None:
    text = (ROOT / stop.path).read_text(encoding="utf-8")
    if not stop.path.endswith(".py"):
        assert re.search(rf"\b{stop.name}\b", text), f"{stop.path} has no {stop.name}"
        return
    scope: ast.AST = ast.parse(text)
    for name in stop.name.split("."):
        found = [
            n for n in ast.iter_child_nodes(scope) if isinstance(n, ast.FunctionDef | ast.ClassDef) and n.name == name
        ]
        assert found, f"{stop.path} has no {stop.name}"
        scope = found[0]


@pytest.mark.parametrize("stops", [BETA2, GRADIENT], ids=["beta2", "gradient"])
def test_a_way_has_at_most_twelve_stops(stops: tuple[Stop, ...]) -> None:
    assert 2 <= len(stops) <= 12


def labels() -> list[tuple[str, Box]]:
    """Every text of the picture and the box around it, measured with the first font of its style."""
    found = []
    for node in etree.fromstring(picture()).iter("{http://www.w3.org/2000/svg}text"):
        kinds = (node.get("class") or "").split()
        size = 15 if "title" in kinds else 12
        bold = bool({"title", "name", "number"} & set(kinds))
        font = FontProperties(family="DejaVu Sans", weight="bold" if bold else "normal")
        extents = TextPath((0, 0), node.text or "", size=size, prop=font).get_extents()
        x, y = float(node.get("x", 0)), float(node.get("y", 0))
        left = x - extents.width / 2 if {"middle", "number"} & set(kinds) else x
        found.append((node.text or "", (left, y - extents.y1, left + extents.width, y - extents.y0)))
    return found


def test_no_label_overlaps_another_or_leaves_the_picture() -> None:
    found = labels()
    assert len(found) > 40
    for text, (left, _, right, _) in found:
        assert 0 <= left < right <= WIDTH, f"{text} leaves the picture"
    for (one, a), (other, b) in itertools.combinations(found, 2):
        apart = a[2] < b[0] or b[2] < a[0] or a[3] < b[1] or b[3] < a[1]
        assert apart, f"{one!r} and {other!r} overlap"
