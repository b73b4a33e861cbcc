"""Text of a spec made safe for generated files.

In: any text. Out: text that cannot end the comment, docstring or literal that holds it.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Collection, Iterable

_UNPRINTABLE = re.compile(
    r"[^\x20-\x7e\xa0-\ud7ff\ue000-\ufdcf\ufdf0-\ufffd\U00010000-\U0010ffff]|[\u0085\u2028-\u202e\u2066-\u2069]"
)


def module_name(class_name: str) -> str:
    """Return the name of the package that holds a class: in lower case, with `_` behind a keyword of Python."""
    name = class_name.lower()
    return f"{name}_" if keyword.iskeyword(name) else name


def one_line(text: str) -> str:
    """Return the text on one line: white space folded; control, separator and direction-changing characters dropped."""
    return " ".join(_UNPRINTABLE.sub(" ", text).split())


def comment(text: str) -> str:
    """Return the text as the inside of a line comment: one line, and no escape in any language."""
    line = one_line(text)
    if line.endswith(("\\", "??/")):  # C++ would go on with the comment: the second is a trigraph for the first
        return line.replace("\\", "\u2216").replace("??/", "??\u2215")
    return line


def docstring(text: str) -> str:
    """Return the inside of a triple-quoted Python string whose value is the text, line breaks kept."""
    lines = [_UNPRINTABLE.sub(" ", line).rstrip() for line in text.split("\n")]
    # Backslashes are doubled by now, so the one put before a quote is the one that counts.
    return re.sub(r'"(?="|\Z)', r"\"", "\n".join(lines).replace("\\", "\\\\"))


def literal(text: str) -> str:
    """Return the text as a Python string literal, with double quotes if possible."""
    quoted = repr(one_line(text))
    if quoted.startswith("'") and '"' not in quoted:
        return f'"{quoted[1:-1]}"'
    return quoted


def calls(function: str, lines: Iterable[str]) -> bool:
    """Return whether a line of code calls the function; comments do not count."""
    call = re.compile(rf"(?<![\w.]){re.escape(function)}\(")
    return any(call.search(line.split("#")[0]) for line in lines)


def renamed_calls(functions: Collection[str], lines: Iterable[str]) -> list[str]:
    """Return lines of code in which functions are called by another name: their own with a `_`, which no spec gives.

    A rule may have a value of the name of a function that generated code imports.
    """
    if not functions:
        return list(lines)
    call = re.compile(rf"(?<![\w.])({'|'.join(map(re.escape, functions))})\(")
    found = []
    for line in lines:
        code, hash_sign, remark = line.partition("#")
        found.append(call.sub(r"\1_(", code) + hash_sign + remark)
    return found


def uses(module: str, lines: Iterable[str]) -> bool:
    """Return whether a line of code reads a member of the module; comments do not count."""
    member = re.compile(rf"(?<![\w.]){re.escape(module)}\.")
    return any(member.search(line.split("#")[0]) for line in lines)


def reads(name: str, lines: Iterable[str]) -> bool:
    """Return whether one of the lines of code reads a variable of this name; comments do not count."""
    variable = re.compile(rf"(?<![\w.]){re.escape(name)}(?!\w)")
    return any(variable.search(line.split("#")[0]) for line in lines)
