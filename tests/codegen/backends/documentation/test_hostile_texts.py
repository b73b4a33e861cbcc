"""A spec is data: its texts, symbols and names stay inside the comment, string or page that they are printed in."""

from __future__ import annotations

import ast
import io
import re
import subprocess
import tokenize
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from tests.support.every_optimizer import examples
from tests.support.paths import ROOT
from tests.support.strategies import NASTY, Hostile, hostile_specs, symbols
from thetac.codegen import pipeline
from thetac.codegen.backends.documentation.algorithm_box import algorithm
from thetac.codegen.backends.documentation.docstring import docstring
from thetac.codegen.backends.documentation.pages import markdown, pages
from thetac.codegen.backends.documentation.symbols import with_subscript
from thetac.codegen.backends.package.init_files import collection_init
from thetac.codegen.backends.printing.escaping import comment, literal, one_line
from thetac.codegen.backends.printing.escaping import docstring as as_docstring
from thetac.codegen.emit import environment, header
from thetac.codegen.frontend import symbol_syntax
from thetac.codegen.ir.nodes import Assign, If, Rule, Stmt
from thetac.codegen.pipeline import Compiled, Source

slow = settings(
    deadline=None, max_examples=examples(40), suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def compiled(hostile: Hostile) -> Compiled:
    (one,) = pipeline.compile_specs([Source("hostile.yaml", hostile.text)])
    return one


def harmless(rule: Rule) -> Rule:
    """The same rule with nothing but harmless texts and symbols."""
    return replace(
        rule,
        summary="text",
        references=tuple("text" for _ in rule.references),
        notes=tuple("text" for _ in rule.notes),
        hyperparameters=tuple(
            replace(
                h, doc=h.doc and "text", errors=tuple("text" for _ in h.errors), symbols=tuple("" for _ in h.symbols)
            )
            for h in rule.hyperparameters
        ),
        flags=tuple(replace(flag, doc=flag.doc and "text") for flag in rule.flags),
        states=tuple(replace(state, doc=state.doc and "text", symbol="") for state in rule.states),
        requirements=tuple(replace(requirement, message="text") for requirement in rule.requirements),
        sparse_error="text",
        body=quiet(rule.body),
    )


def quiet(body: tuple[Stmt, ...]) -> tuple[Stmt, ...]:
    """The statements with harmless comments."""
    statements: list[Stmt] = []
    for statement in body:
        remark = statement.comment and "text"
        match statement:
            case Assign():
                statements.append(replace(statement, comment=remark))
            case If(then=then, orelse=orelse):
                statements.append(replace(statement, comment=remark, then=quiet(then), orelse=quiet(orelse)))
    return tuple(statements)


class WithoutTexts(ast.NodeTransformer):
    """A program without what its strings say."""

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        return ast.Constant("") if isinstance(node.value, str) else node


def comments(text: str) -> list[str]:
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return [token.string for token in tokens if token.type == tokenize.COMMENT]


def program(text: str) -> str:
    return ast.dump(WithoutTexts().visit(ast.parse(text)))


# A backslash at its end, or the trigraph for one, makes the next line of C++ part of a comment, with blanks behind it
# too; GCC takes each of these for an end of a line.
CPP_COMMENT = re.compile(r"//(?:(?:\\|\?\?/)\s*?[\n\r\v\f]|[^\n\r\v\f])*")


def cpp_program(text: str) -> str:
    """A program in C++ without its comments."""
    return CPP_COMMENT.sub("//", text)


@slow
@given(hostile_specs())
def test_generated_programs_do_not_depend_on_texts(hostile: Hostile) -> None:
    one = compiled(hostile)
    written = harmless(one.written)
    twin = pipeline._render(written, *pipeline.lower(written))
    for name, text in one.files.items():
        if name.endswith(".cpp"):
            assert cpp_program(text) == cpp_program(twin.files[name])
            continue
        assert program(text) == program(twin.files[name]), name
        comments = [
            t.string for t in tokenize.generate_tokens(io.StringIO(text).readline) if t.type == tokenize.COMMENT
        ]
        twins = tokenize.generate_tokens(io.StringIO(twin.files[name]).readline)
        assert len(comments) == sum(t.type == tokenize.COMMENT for t in twins), name
        assert all(text.isprintable() for text in comments), name
        assert "\r" not in text, name


# Ends that reach into the next line of C++, visibly or once what cannot be printed is gone.
ENDS = (
    "\\",
    "\\\\",
    "\\ ",
    "\\\t",
    "\\\x01",
    "\\\u200f\u2028",
    "??/",
    "??/ ",
    "???/",
    "??/??/",
    "\\??/",
    "*/",
    "/*",
    "\\u000a",
    "//",
)


@pytest.mark.parametrize("end", ENDS, ids=ascii)
def test_a_remark_never_reaches_into_the_next_line(end: str, tmp_path: Path) -> None:
    """Neither by a backslash nor by its trigraph, which compilers know under some options."""
    source = tmp_path / "made.cpp"
    source.write_text(
        f"int first; // {comment('a remark ' + end)}\nint second;\nint* found = &second;\n", encoding="utf-8"
    )
    command = ["g++", "-trigraphs", "-Wall", "-Werror", "-fsyntax-only", str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@slow
@given(hostile_specs())
def test_the_docstring_says_exactly_what_the_documentation_is(hostile: Hostile) -> None:
    one = compiled(hostile)
    tree = ast.parse(one.files["optimizer.py"])
    (made,) = (node for node in tree.body if isinstance(node, ast.ClassDef))
    written = ast.get_docstring(made)
    assert written is not None
    expected = "\n".join(line.rstrip() for line in docstring(one.written).split("\n"))
    assert written == expected.strip()
    assert one_line(one.written.summary) in written


@slow
@given(hostile_specs())
def test_messages_reach_the_user_as_they_were_written(hostile: Hostile) -> None:
    rule = compiled(hostile).written
    strings = {
        node.value
        for node in ast.walk(ast.parse(compiled(hostile).files["optimizer.py"]))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert one_line(rule.requirements[0].message) in strings
    assert one_line(rule.sparse_error) in strings


@pytest.mark.parametrize(
    "text", [*NASTY, 'a"', "a\\", 'a\\"', '""', '"""\nimport os\n"""', "\\\n", "a\rb", "\x00", "\x1b[2J"]
)
def test_every_way_out_of_a_string_is_closed(text: str) -> None:
    for piece in (text, text + text, f"{text}x", f"x{text}"):
        doc = ast.parse(f'def f():\n    """{as_docstring(piece)}"""\n')
        (function,) = doc.body
        assert isinstance(function, ast.FunctionDef)
        assert len(function.body) == 1
        assert ast.literal_eval(literal(piece)) == one_line(piece)
        commented = ast.parse(f"x = 1  # {comment(piece)}\ny = 2\n")
        assert len(commented.body) == 2


# LaTeX and Markdown.

OURS = {
    *("aligned", "cases"),
    *("begin", "end", "frac", "sqrt", "left", "right", "text", "textbf", "textit", "mathrm", "hspace", "rule", "cdot"),
    *("leftarrow", "nabla", "theta", "ldots", "max", "min", "exp", "ln", "ge", "le", "ne", "infty", "sign"),
}


def structure(page: str) -> list[str]:
    """What a Markdown page is made of, block by block, without its texts."""
    blocks, fenced = [], False
    for line in page.splitlines():
        if line.startswith("```"):
            fenced = not fenced
            blocks.append(line)
        elif not fenced:
            kind = re.match(r"#+ |- |\|", line)
            cells = len(re.findall(r"(?<!\\)\|", line))
            blocks.append(f"{kind[0] if kind else 'text' if line else ''} {cells}")
    assert not fenced
    return blocks


@slow
@given(hostile_specs())
def test_pages_have_the_same_blocks_whatever_the_texts(hostile: Hostile) -> None:
    rule = compiled(hostile).written
    page, twin = (pages([one])["hostile.md"] for one in (rule, harmless(rule)))
    assert structure(page) == structure(twin)
    body = re.sub(r"```.*?```", "", page.split("\n", 1)[1], flags=re.DOTALL)  # without our own comment
    body = re.sub(r"^Spec: \[.*\]\(\.\./\.\./.*\)$", "", body, flags=re.MULTILINE)
    # Escaped signs, code and mathematics from left to right; what is left are signs that Markdown would act on.
    assert re.sub(r"\\[^A-Za-z0-9\s]|`[^`\n]*`|\$[^$\n]*\$|[^<`*_~&\[$]", "", body) == ""


@slow
@given(hostile_specs())
def test_algorithms_hold_no_command_but_known_ones(hostile: Hostile) -> None:
    text = algorithm(compiled(hostile).written)
    commands = set(re.findall(r"\\([A-Za-z]+)", text))
    assert commands <= OURS | symbol_syntax.COMMANDS
    assert re.search(r"[%#$~`\"@]", text) is None
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", text):
        depth += 1 if brace == "{" else -1
        assert depth >= 0
    assert depth == 0
    assert text.count("\\begin{") == text.count("\\end{")


@settings(deadline=None, max_examples=300)
@given(symbols())
def test_a_symbol_takes_an_index_whatever_it_is(symbol: str) -> None:
    indexed = with_subscript(symbol, "t-1")
    assert "t-1}" in indexed
    assert len(indexed) > symbol_syntax.LONGEST or symbol_syntax.why_not(indexed) is None, indexed


@pytest.mark.parametrize(
    ("symbol", "indexed"),
    [
        ("m", "m_t"),
        (r"\hat v", r"\hat v_t"),
        ("m_1", "m_{1,t}"),
        (r"T_{\beta_3}", r"T_{\beta_3,t}"),
        (r"T_\alpha", r"T_{\alpha,t}"),
        (r"T_\mathrm{max}", r"T_{\mathrm{max},t}"),
        ("g'", "{g'}_{t}"),
        (r"\eta^+", r"{\eta^+}_{t}"),
        ("x_1^2", "x_{1,t}^2"),
        (r"\mathrm{a_b}", r"\mathrm{a_b}_t"),
    ],
)
def test_an_index_stands_behind_one_that_is_there(symbol: str, indexed: str) -> None:
    assert with_subscript(symbol, "t") == indexed


@pytest.mark.parametrize("text", NASTY)
def test_markdown_shows_what_was_written(text: str) -> None:
    escaped = markdown(text)
    assert re.sub(r"\\([^A-Za-z0-9\s])", r"\1", escaped) == one_line(text)


# Names of files and classes.


@pytest.mark.parametrize("name", ["a\nimport os", 'a"""b.yaml', "a\rb", "\u2028x", "specs/ä b.yaml"])
def test_the_name_of_a_file_stays_in_the_header(name: str) -> None:
    text = ROOT.joinpath("specs", "lion.yaml").read_text(encoding="utf-8")
    (one,) = pipeline.compile_specs([Source("x", text, name=name)])
    (usual,) = pipeline.compile_specs([Source("x", text, name="usual")])
    for file, content in one.files.items():
        cpp = file.endswith(".cpp")
        read = cpp_program if cpp else program
        assert read(content) == read(usual.files[file])
        assert content.splitlines()[0] == f"{'//' if cpp else '#'} {header(name)}"
    ast.parse(collection_init({"A": "a"}, name, "", environment()))


@pytest.mark.parametrize("name", ["Import", "Class", "Lambda", "Yield"])
def test_a_class_may_be_named_like_a_word_of_pythons(name: str) -> None:
    spec = (
        f"optimizer: {name}\nsummary: A step against the gradient.\n"
        "hyperparameters:\n  lr: {default: 0.1}\nupdate: |\n  param = param - lr * grad\n"
    )
    (one,) = pipeline.compile_specs([Source("x.yaml", spec)])
    assert one.module == f"{name.lower()}_"
    ast.parse(collection_init({one.class_name: one.module}, "specs/", "", environment()))
