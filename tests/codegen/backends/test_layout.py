"""Long lines of generated Python are broken where a formatter would break them, and nothing else changes."""

from __future__ import annotations

import ast

import pytest

from tests.support.triton_support import every_spec
from thetac.codegen import pipeline
from thetac.codegen.backends.printing.layout import lay_out

NAMES = [f"a_rather_long_name_of_a_number_{index}" for index in range(6)]


def laid_out(code: str) -> str:
    text = lay_out(code)
    assert max(len(line) for line in text.split("\n")) <= 120
    assert lay_out(text) == text, "what is laid out stays as it is"
    return text


def test_powers_of_names_and_numbers_are_written_close() -> None:
    assert laid_out("x = 1 - beta2 ** step") == "x = 1 - beta2**step"
    assert laid_out("x = (1 - beta ** 2) ** 0.5 - a ** -b") == "x = (1 - beta**2) ** 0.5 - a**-b"
    assert laid_out("x = a ** f(b) + c.d ** 2 + g[0] ** 2") == "x = a ** f(b) + c.d ** 2 + g[0] ** 2"
    assert laid_out("x = 1  # beta2 ** step") == "x = 1  # beta2 ** step", "a comment is the spec's own text"
    assert laid_out('"""a ** b\n\na ** b"""\nx = a ** b') == '"""a ** b\n\na ** b"""\nx = a**b', "so is a docstring"


def test_a_sum_is_broken_before_its_operators() -> None:
    first, *rest = NAMES
    lines = ["    x = (", f"        {first}", *(f"        + {name}" for name in rest), "    )"]
    assert laid_out(f"    x = {' + '.join(NAMES)}") == "\n".join(lines)


def test_a_call_is_broken_in_its_own_brackets() -> None:
    three = ", ".join(NAMES[:3])
    assert laid_out(f"x, y = lerp_({three}, weight)") == f"x, y = lerp_(\n    {three}, weight\n)"
    lines = ["x, y = lerp_(", *(f"    {name}," for name in NAMES), ")"]
    assert laid_out(f"x, y = lerp_({', '.join(NAMES)})") == "\n".join(lines)


@pytest.mark.parametrize(
    "code",
    [
        f"if {' and '.join(NAMES)}:\n    pass",
        f"if x:\n    pass\nelif {' or '.join(NAMES)}:\n    pass",
        f"for a, b in zip({', '.join(NAMES)}):\n    pass",
        f"x: float = {NAMES[0]} if {NAMES[1]} > {NAMES[2]} else {NAMES[3]} - -{NAMES[4]}",
        f"f(\n    holds=lambda group: {' and not '.join(NAMES)},\n)",
        f"x = f({NAMES[0]}, {{'a': {NAMES[1]}}}, 'text, with (brackets', {NAMES[2]}, {NAMES[3]})  # remark",
        f"x = {'f(' * 9}{' * '.join(NAMES)}{')' * 9}",
        f"# {' '.join(NAMES)}",
        f"from a.package import {', '.join(NAMES)}",
        f"for {', '.join(NAMES)} in zip(\n    lists,\n):\n    pass",
        f"{', '.join(NAMES)} = f(\n    x,\n)",
        f"def f():\n    return {', '.join(NAMES)}",
        f"def f():\n    return {' or '.join(NAMES)}",
        f"def f(*, {', '.join(f'{name}: bool' for name in NAMES)}) -> bool:\n    pass",
        f"x = tl.load({' + '.join(NAMES)}, mask=along).to(math)",
        f"x = ({NAMES[0]} + {NAMES[1]} <= {NAMES[2]}) & (f({NAMES[3]}, {NAMES[4]}) == 0)",
        f"x += (a // b).to(tl.int64) * {' * '.join(NAMES)}",
        f"x -= {' + '.join(NAMES)}",
        f"x[0] = {' + '.join(NAMES)}",
        f"a.x = {' + '.join(NAMES)}",
    ],
    ids=[
        *("if", "elif", "for", "conditional", "lambda", "strings", "nested", "comment", "import", "for targets"),
        *("targets", "return", "return one", "def", "method", "and of bits"),
        *("product added", "sum taken away", "item", "attribute"),
    ],
)
def test_a_long_line_is_the_same_program_over_several(code: str) -> None:
    assert ast.dump(ast.parse(laid_out(code))) == ast.dump(ast.parse(code))


def test_what_cannot_be_broken_stays() -> None:
    for code in (f"x = {'a' * 130}", f'x = "{"a" * 130}"', f"x = {'(' * 150}{' + '.join(NAMES)}{')' * 150}"):
        assert ast.dump(ast.parse(lay_out(code))) == ast.dump(ast.parse(code))


def test_the_layout_changes_no_generated_program(monkeypatch: pytest.MonkeyPatch) -> None:
    laid = every_spec()
    monkeypatch.setattr(pipeline, "lay_out", lambda text: text)
    for name, plain in every_spec.__wrapped__().items():
        for file, text in plain.files.items():
            if file.endswith(".py"):
                assert ast.dump(ast.parse(laid[name].files[file])) == ast.dump(ast.parse(text)), f"{name}, {file}"
