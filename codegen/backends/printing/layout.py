"""The layout of generated Python: no line above 120 columns, and powers of plain names as formatters write them.

In: the text of a module, one statement or one item of a list per line. Out: the same program. Lines that fit stay as
they are, but for their powers: `beta2 ** step` becomes `beta2**step`. Docstrings are not code and stay as they are.
Must not know what the code does.
"""

from __future__ import annotations

import io
import re
import textwrap
import tokenize
from collections.abc import Iterator, Sequence
from itertools import pairwise

WIDTH = 120
DEEPEST = 40  # brackets within each other; Python reads 200

_INDENT = "    "
_OPEN, _CLOSE = ("(", "[", "{"), (")", "]", "}")
# What a long expression is broken at, the loosest first; an operator begins a line, a comma ends one.
_COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")
_BREAKS = ((",",), ("if", "else"), ("or",), ("and",), _COMPARISONS, ("|",), ("&",), ("+", "-"), ("*", "/", "%"))
_KEYWORDS = ("for ", "return ", "raise ", "assert ")
_TARGETS = re.compile(r"(?P<head>for |)(?P<targets>\w+(?:, \w+)+)(?P<rest> (?:in|=) [^()]*\(.*)")
_STATEMENT = re.compile(
    r"(?P<head>(?:if|elif) |from [\w.]+ import |[\w, .\[\]]+(?:: [\w |]+)? (?:\+|-|\*|/|)= |\w+=lambda \w+: )"
    r"(?P<body>.*?)(?P<tail>[:,]?)"
)
_END = re.compile(r",|:| -> \w+:|")  # what follows the last brackets of a statement, or of an item


def lay_out(text: str) -> str:
    """Return the text of a module with its lines laid out."""
    lines: list[str] = []
    inside = False  # of a docstring
    for line in text.split("\n"):
        code = line.strip()
        if inside or code.startswith('"""'):
            inside = not (code.endswith('"""') and (inside or len(code) > 3))
            lines.append(line)
        elif " ** " in code or len(line) > WIDTH:
            lines += _laid_out(line)
        else:
            lines.append(line)
    return "\n".join(lines)


def _laid_out(line: str) -> list[str]:
    """Return the lines that one line of code or comment becomes."""
    code = line.lstrip()
    indent = line[: len(line) - len(code)]
    if code.startswith("#"):
        return textwrap.wrap(code, WIDTH, initial_indent=indent, subsequent_indent=f"{indent}#   ") or [line]
    tokens = _tokens(code)
    remark = ""
    if tokens and tokens[-1].type == tokenize.COMMENT:
        remark, code = tokens[-1].string, code[: tokens[-1].start[1]].rstrip()
    code = _with_close_powers(code)
    whole = f"{indent}{code}  {remark}" if remark else indent + code
    if len(whole) <= WIDTH:
        return [whole]
    above = _laid_out(indent + remark) if remark else []
    return [*above, *_statement(code, indent)]


def _statement(code: str, indent: str) -> list[str]:
    """Return a statement, or an item of a list, over as many lines as it takes."""
    if len(indent) + len(code) <= WIDTH:
        return [indent + code]
    targets = _TARGETS.fullmatch(code)
    if targets is not None and len(indent) + code.index("(") >= WIDTH:
        names = [f"{indent}{_INDENT}{name}," for name in targets["targets"].split(", ")]
        return [f"{indent}{targets['head']}(", *names, *_statement(f"){targets['rest']}", indent)]
    match = _STATEMENT.fullmatch(code)
    if match is None:
        if code.startswith("return ") and len(parts := _parts(code.removeprefix("return "))) > 1:
            inner = [line for part in parts for line in _expression(part, indent + _INDENT, DEEPEST)]
            return [f"{indent}return (", *inner, f"{indent})"]
        if code.startswith(_KEYWORDS):
            return _within_brackets(code, indent, DEEPEST)
        return _expression(code, indent, DEEPEST)
    head, body, tail = match["head"], match["body"], match["tail"]
    if not _parts(body):  # a call: its own brackets will do
        return _within_brackets(code, indent, DEEPEST)
    return [f"{indent}{head}(", *_expression(body, indent + _INDENT, DEEPEST), f"{indent}){tail}"]


def _expression(code: str, indent: str, depth: int) -> list[str]:
    """Return the text between brackets, broken at its loosest operators, then within its last brackets."""
    if len(indent) + len(code) <= WIDTH or not depth:
        return [indent + code]
    if parts := _parts(code):
        return [line for part in parts for line in _expression(part, indent, depth - 1)]
    return _within_brackets(code, indent, depth)


def _within_brackets(code: str, indent: str, depth: int) -> list[str]:
    """Return the code broken within its last brackets, or the last before which the rest fits, if there are any."""
    brackets = _brackets(code)
    if not brackets or not depth:
        return [indent + code]
    fitting = [pair for pair in brackets if len(indent) + max(pair[0], len(code) - pair[1]) <= WIDTH]
    begin, end = (fitting or brackets)[-1]
    inner = _expression(code[begin:end], indent + _INDENT, depth - 1)
    return [indent + code[:begin], *inner, indent + code[end:]]


def _parts(code: str) -> list[str]:
    """Return the code in pieces, broken at the loosest operators that are in no brackets; nothing if there are none."""
    outer = list(_in_no_brackets(_tokens(code)))
    for operators in _BREAKS:
        cuts = []
        for before, token in pairwise(outer):
            is_binary = (
                token.string == ","
                or before.type in (tokenize.NAME, tokenize.NUMBER, tokenize.STRING)
                or before.string in _CLOSE
            )
            if token.string in operators and is_binary:
                cuts.append(token.end[1] if token.string == "," else token.start[1])
        pieces = [code[i:j].strip() for i, j in zip([0, *cuts], [*cuts, len(code)], strict=True)]
        if len(pieces := [piece for piece in pieces if piece]) > 1:
            ends_in_comma = operators != (",",) or pieces[-1].endswith(",")
            return pieces if ends_in_comma else [*pieces[:-1], f"{pieces[-1]},"]
    return []


def _brackets(code: str) -> list[tuple[int, int]]:
    """Return where brackets that are in no others begin and end, if nothing but what ends a statement follows them."""
    begin, nesting = 0, 0
    found: list[tuple[int, int]] = []
    for token in _tokens(code):
        if token.string in _OPEN:
            begin, nesting = begin if nesting else token.end[1], nesting + 1
        elif token.string in _CLOSE:
            nesting -= 1
            if nesting == 0 and token.start[1] > begin:
                found.append((begin, token.start[1]))
    return found if found and _END.fullmatch(code, found[-1][1] + 1) else []


def _in_no_brackets(tokens: Sequence[tokenize.TokenInfo]) -> Iterator[tokenize.TokenInfo]:
    """Yield the tokens outside of brackets, with the brackets themselves."""
    nesting = 0
    for token in tokens:
        nesting -= token.string in _CLOSE
        if not nesting:
            yield token
        nesting += token.string in _OPEN


def _with_close_powers(code: str) -> str:
    """Return the code with no spaces in powers of names and numbers, as formatters have it."""
    if " ** " not in code:
        return code
    tokens = _tokens(code)
    close: list[int] = []
    for i, token in enumerate(tokens):
        if code[token.start[1] - 1 : token.end[1] + 1] == " ** " and 0 < i < len(tokens) - 1:
            before = tokens[i - 1].type in (tokenize.NAME, tokenize.NUMBER) and (i < 2 or tokens[i - 2].string != ".")
            j = i + 2 if tokens[i + 1].string == "-" else i + 1
            follows = tokens[j + 1].string if j + 1 < len(tokens) else ""
            after = tokens[j].type in (tokenize.NAME, tokenize.NUMBER) and follows not in (*_OPEN, ".")
            close += [token.start[1]] if before and after else []
    for start in reversed(close):
        code = f"{code[: start - 1]}**{code[start + 3 :]}"
    return code


def _tokens(code: str) -> list[tokenize.TokenInfo]:
    """Return the tokens of one line, of which brackets may be open; nothing if it cannot be read alone."""
    try:
        found = list(tokenize.generate_tokens(io.StringIO(code).readline))
    except (tokenize.TokenError, IndentationError):
        return []
    return [token for token in found if token.string.strip()]
