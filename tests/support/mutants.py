"""Specs with faults that somebody might make, in any number, the same for the same seed.

A mutant is made of a spec that is right, on one of three levels: its text (characters, words and lines), its YAML tree
(keys and values), or the expressions of its update. The last are accepted most often, the first almost never.
"""

from __future__ import annotations

import ast
import keyword
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import yaml

from tests.support.paths import FRONTEND, ROOT
from tests.support.strategies import NASTY
from thetac.codegen.frontend.entries import CHOICE_KEYS, FLAG_KEYS, HYPERPARAMETER_KEYS, STATE_KEYS
from thetac.codegen.frontend.foreign import known_names
from thetac.codegen.frontend.load import KEYS
from thetac.codegen.ir.ops import FUNCTIONS

LEVELS = ("text", "tree", "expressions")

Tree = dict[str, "Tree"] | list["Tree"] | str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Mutant:
    """One spec, and how it was made."""

    seed: int
    origin: str
    level: str
    text: str


@cache
def origins() -> dict[str, str]:
    """Specs that are right, by their names."""
    paths = [*sorted((ROOT / "specs").rglob("*.yaml")), *sorted((FRONTEND / "valid").glob("*.yaml"))]
    return {path.name: path.read_text(encoding="utf-8") for path in paths}


@cache
def _specs() -> frozenset[str]:
    return frozenset(path.name for path in (ROOT / "specs").rglob("*.yaml"))


def mutant(seed: int) -> Mutant:
    """The mutant of a seed."""
    draw = random.Random(seed)
    ours = sorted(name for name in origins() if name in _specs())
    origin = draw.choice(draw.choice((ours, sorted(origins()))))
    level = LEVELS[seed % len(LEVELS)]
    change: Callable[[str, random.Random], str] = {"text": _text, "tree": _tree, "expressions": _expressions}[level]
    text = origins()[origin]
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        text = change(text, draw)
    return Mutant(seed, origin, level, text)


# ----------------------------------------------------------------------------------------------------------------- text


def _text(text: str, draw: random.Random) -> str:
    lines = text.split("\n")
    row = draw.randrange(len(lines))
    other = draw.choice(draw.choice(list(origins().values())).split("\n"))
    word = draw.choice((*text.split(), *NASTY, *"()[]{}-=#|,;", ": ", " ", "**", "\n", "  ", "1e999", "1if", "lambda"))
    start = draw.randrange(len(text) + 1)
    match draw.randrange(9):
        case 0:
            del lines[row]
        case 1:
            lines.insert(row, lines[draw.randrange(len(lines))])
        case 2:
            lines.insert(row, other)
        case 3:
            lines[row] = draw.choice(("", " ", "  ", "\t")) + lines[row].lstrip()
        case 4:
            lines[row] = lines[row][: draw.randrange(len(lines[row]) + 1)]
        case 5:
            swapped = draw.randrange(len(lines))
            lines[row], lines[swapped] = lines[swapped], lines[row]
        case 6:
            return text[:start] + word + text[start:]
        case 7:
            return text[:start] + text[start + draw.randint(1, 6) :]
        case _:
            words = sorted(set(re.findall(r"\w+", text)))
            return re.sub(rf"\b{draw.choice(words)}\b", draw.choice((*words, word)).replace("\\", r"\\"), text, count=1)
    return "\n".join(lines)


# ----------------------------------------------------------------------------------------------------------------- tree

_VALUES: tuple[Tree, ...] = (
    *("zeros", "grad", "param", "counter", "required", "l2", "decoupled", "[0, 1]", "(0, inf)", "lr", "lr > 0", "inf"),
    *(0, 1, -1, 0.5, 1e-3, 1e308, 2**53, True, False, None, "", "true", "native", "rows", "pairs", "construction"),
    *(
        [],
        {},
        [0.9, 0.999],
        ["a", "b"],
        [[]],
        {"default": 1, "doc": "one"},
        {"init": "zeros"},
        {"init": "zeros", "when": "lr > 0"},
    ),
    *(
        {"scalar": True, "init": 1},
        {"default": False, "doc": "a flag"},
        {"default": [1, 2], "names": ["u", "v"], "doc": "two"},
        {"default": ["none", 2], "names": ["u", "v"], "none": ["lr", ""], "doc": "two"},
        {"default": "a", "choices": ["a", "none"], "doc": "a choice"},
        {"counter": True, "integer": True},
        *("none", "float64", ["none", "a"], 'x == "a"'),
        "*",
        "betas[0]",
    ),
)
_TREE_KEYS = (
    *KEYS,
    *HYPERPARAMETER_KEYS,
    *FLAG_KEYS,
    *CHOICE_KEYS,
    *STATE_KEYS,
    "else",
    "x",
    "max_lr",
    "step",
    "momentum",
    "lambda",
)


def _tree(text: str, draw: random.Random) -> str:
    try:
        tree = yaml.safe_load(text)
    except yaml.YAMLError:
        return text
    if not isinstance(tree, dict):
        return text
    places = [place for place in _places(tree) if place[1] != "update" or draw.random() < 0.1]
    holder, key = draw.choice(places)
    match draw.randrange(6):
        case 0:
            del holder[key]  # type: ignore[arg-type]  # a key of the place's own kind
        case 1:
            holder[key] = draw.choice(_VALUES)  # type: ignore[index]
        case 2 if isinstance(holder, dict):
            items = list(holder.items())
            renamed = draw.choice(_TREE_KEYS)
            holder.clear()
            holder.update({renamed if name == key else name: value for name, value in items})
        case 3 if isinstance(holder, dict):
            holder[draw.choice(_TREE_KEYS)] = draw.choice(_VALUES)
        case 4 if isinstance(holder, dict):
            items = list(holder.items())
            draw.shuffle(items)
            holder.clear()
            holder.update(items)
        case _:
            donor = yaml.safe_load(draw.choice(list(origins().values())))
            other, name = draw.choice(list(_places(donor)))
            holder[key] = other[name]  # type: ignore[index]
    return dumped(tree)


def _places(tree: Tree) -> list[tuple[dict[str, Tree] | list[Tree], str | int]]:
    """Every place of a tree that holds a value: a mapping or list, and the key in it."""
    found: list[tuple[dict[str, Tree] | list[Tree], str | int]] = []
    if isinstance(tree, dict):
        for key, value in tree.items():
            found += [(tree, key), *_places(value)]
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            found += [(tree, index), *_places(value)]
    return found


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as blocks; nothing by reference."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _block(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _block)


def dumped(tree: Tree) -> str:
    """The tree as the text of a spec."""
    return yaml.dump(tree, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000)


# ---------------------------------------------------------------------------------------------------------- expressions

_NUMBERS = ("0", "1", "2", "3", "0.5", "-1", "1e-8", "1e-30", "1e30", "0.1", "1e-45", "3e38", "100", "1 / 3", "1 / 0")
_SIGNS = (">", ">=", "<", "<=", "==", "!=")
_BINARY = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow)
_COMPARE = (ast.Gt, ast.GtE, ast.Lt, ast.LtE, ast.Eq, ast.NotEq)
_UPDATE = re.compile(r"^update: \|.*\n((?:(?:  .*|\s*)\n?)*)", re.MULTILINE)


def _expressions(text: str, draw: random.Random) -> str:
    found = _UPDATE.search(text)
    if found is None:
        return text
    lines = found.group(1).split("\n")
    rows = [row for row, line in enumerate(lines) if "=" in line or line.strip().startswith(("if", "elif"))]
    if not rows:
        return text
    row = draw.choice(rows)
    line, _, comment = lines[row].partition("#")
    indent = line[: len(line) - len(line.lstrip())]
    names = _names(text)
    code = line.strip()
    header = re.fullmatch(r"(if|elif)\s+(.*):", code)
    target, sign, value = ("", "", header.group(2)) if header else code.partition(" = ")
    changed = _mutated(value, names, draw)
    match draw.randrange(10):
        case 0 if header is None:
            lines[row] = f"{indent}if {_condition(names, draw)}:\n{indent}  {target} = {changed}"
        case 1 if header is None:
            lines.insert(row, f"{indent}{target} = {changed}")
        case 2 if header is None:
            lines[row] = f"{indent}{draw.choice(names)} = {changed}"
        case 3:
            del lines[row]
        case _:
            mended = f"{header.group(1)} {changed}:" if header else f"{target}{sign}{changed}"
            lines[row] = f"{indent}{mended}{f'  # {comment.strip()}' if comment else ''}"
    return text[: found.start(1)] + "\n".join(lines) + text[found.end(1) :]


def _names(text: str) -> list[str]:
    """What an update may read, and some that it may not."""
    declared = re.findall(r"^  (\w+):", text, re.MULTILINE)
    listed = [name for group in re.findall(r"names: \[(.*?)\]", text) for name in group.split(", ")]
    assigned = re.findall(r"^ +(\w+) = ", text, re.MULTILINE)
    found = {*declared, *listed, *assigned, "param", "grad"}
    return sorted(name for name in found if not keyword.iskeyword(name))


def _condition(names: list[str], draw: random.Random) -> str:
    compared = f"{draw.choice(names)} {draw.choice(_SIGNS)} {draw.choice(_NUMBERS)}"
    parts = [compared, draw.choice(names), f"not {draw.choice(names)}"]
    return f" {draw.choice(('and', 'or'))} ".join(draw.sample(parts, draw.randint(1, 3)))


def _mutated(code: str, names: list[str], draw: random.Random) -> str:
    try:
        tree = ast.parse(code, mode="eval")
    except (SyntaxError, ValueError):
        return code
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.expr)]
    chosen = draw.choice(nodes)
    other = draw.choice([*nodes, ast.Name(draw.choice(names)), ast.Name(draw.choice(names))])
    new = _instead(chosen, other, names, draw)

    class Replace(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> ast.AST:
            return new if node is chosen else super().generic_visit(node)

    try:
        return ast.unparse(Replace().visit(tree))
    except RecursionError:  # the new part holds the whole
        return code


def _instead(node: ast.expr, other: ast.expr, names: list[str], draw: random.Random) -> ast.expr:
    number = ast.parse(draw.choice(_NUMBERS), mode="eval").body
    copy = ast.parse(ast.unparse(node), mode="eval").body
    name = ast.Name(draw.choice(names))
    match draw.randrange(11) if draw.random() < 0.97 else 11:
        case 0:
            return number
        case 1:
            return name
        case 2:
            return ast.BinOp(copy, draw.choice(_BINARY)(), draw.choice((number, name)))
        case 3:
            return ast.BinOp(draw.choice((number, name)), draw.choice(_BINARY)(), copy)
        case 4:
            return ast.UnaryOp(draw.choice((ast.USub, ast.Not))(), copy)
        case 5:
            function = draw.choice(sorted(FUNCTIONS))
            return ast.Call(ast.Name(function), [copy, name, number][: FUNCTIONS[function].arity], [])
        case 6:
            return ast.Call(ast.Name("where"), [ast.parse(_condition(names, draw), mode="eval").body, copy, name], [])
        case 7:
            return ast.Compare(copy, [draw.choice(_COMPARE)()], [draw.choice((number, name))])
        case 8:
            return ast.BoolOp(draw.choice((ast.And, ast.Or))(), [copy, name])
        case 9 if isinstance(node, ast.BinOp):
            return ast.BinOp(node.left, draw.choice(_BINARY)(), node.right)
        case 10 if isinstance(node, ast.Call):
            return ast.Call(node.func, draw.sample(node.args, len(node.args)), node.keywords)
        case 11:
            method = ast.Attribute(copy, draw.choice(sorted(known_names())))
            return ast.Call(method, [name, number][: draw.randint(0, 2)], [])
    return ast.parse(ast.unparse(other), mode="eval").body
