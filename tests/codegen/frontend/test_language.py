"""docs/language.md says everything that the language has, and nothing that it has not."""

from __future__ import annotations

import ast
import fnmatch
import re

import pytest

from tests.support.front_end import INVALID, front_end
from tests.support.paths import FRONTEND, ROOT
from thetac.codegen import errors, pipeline
from thetac.codegen.backends.documentation.reference import with_tables
from thetac.codegen.cli.library import our_specs
from thetac.codegen.frontend import (
    defaults,
    entries,
    expressions,
    family,
    logical_lines,
    lower,
    parse,
    reading,
    source,
    yaml_tree,
)
from thetac.codegen.frontend.load import KEYS
from thetac.codegen.frontend.symbol_syntax import LONGEST as LONGEST_SYMBOL
from thetac.codegen.ir import reserved_names
from thetac.codegen.ir.nodes import Assign, ComplexMode, DecayStyle, HalfPrecision, SparseMode
from thetac.codegen.ir.ops import OPS
from thetac.codegen.ir.printer import expression_text
from thetac.codegen.passes.expand import expand
from thetac.options import OPTIONS

DOCS = (ROOT / "docs" / "language.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", DOCS, re.DOTALL | re.MULTILINE)
SPECS = [text for language, text in BLOCKS if language == "yaml"]


@pytest.mark.parametrize(
    "key", [*KEYS, *entries.HYPERPARAMETER_KEYS, *entries.FLAG_KEYS, *entries.CHOICE_KEYS, *entries.STATE_KEYS]
)
def test_every_key_is_documented(key: str) -> None:
    assert f"\n| `{key}` | " in DOCS, f"a row of a table in docs/language.md says what `{key}` holds"


@pytest.mark.parametrize(
    "value", [mode.value for kind in (DecayStyle, ComplexMode, HalfPrecision, SparseMode) for mode in kind]
)
def test_every_choice_is_documented(value: str) -> None:
    assert f"\n| `{value}` | " in DOCS


def test_the_table_of_ops_is_the_registry() -> None:
    section = DOCS.partition("### Operators and functions")[2].partition("\n\nPrecedence")[0]
    rows = [tuple(row.strip("| ").split(" | ")) for row in section.split("\n") if row.startswith("| `")]
    assert rows == [(f"`{op.syntax}`", op.doc) for op in OPS.values()]


def test_the_table_of_options_is_the_compilers() -> None:
    section = DOCS.partition("## Options")[2].partition("\n## ")[0]
    rows = [tuple(re.split(r" (?<!\\)\| ", row.strip("| "))) for row in section.split("\n") if row.startswith("| `")]
    assert [row[0] for row in rows] == [f"`{option}`" for option in OPTIONS]
    assert [row[3] for row in rows] == [option.doc for option in OPTIONS.values()]


@pytest.mark.parametrize("name", ["operations", "options"])
def test_tables_of_the_page_are_written_anew(name: str) -> None:
    assert with_tables(DOCS) == DOCS
    begin, end = f"<!-- {name}: written by make generate -->", f"<!-- end of {name} -->"
    before, _, rest = DOCS.partition(begin)
    assert with_tables(f"{before}{begin}\nstale\n{end}{rest.partition(end)[2]}") == DOCS
    with pytest.raises(ValueError, match=f"needs the lines `<!-- {name}"):
        with_tables(DOCS.replace(end, ""))


@pytest.mark.parametrize("text", SPECS, ids=lambda text: text.split("\n")[1])
def test_every_example_is_a_spec(text: str) -> None:
    assert pipeline.front_end([pipeline.Source("docs/language.md", text)], our_specs)


def test_every_message_is_the_one_that_authors_see() -> None:
    messages = [text for _, text in BLOCKS if re.match(r"\w+\.yaml:\d+:\d+: ", text)]
    assert len(messages) == 4
    for message in messages:
        golden = FRONTEND / "invalid" / message.partition(".yaml:")[0]
        assert message == golden.with_suffix(".txt").read_text(encoding="utf-8")


def test_every_mistake_belongs_to_a_group() -> None:
    table = DOCS.partition("## Errors")[2].partition("## Limits")[0]
    patterns = [
        pattern
        for row in table.split("\n")
        if row.startswith("| `")
        for pattern in re.findall(r"`([\w*]+)`", row.split(" | ")[0])
    ]
    mistakes = [path.stem for path in INVALID]
    assert [name for name in mistakes if not any(fnmatch.fnmatch(name, p) for p in patterns)] == [], (
        "in no group of the table"
    )
    assert [p for p in patterns if not fnmatch.filter(mistakes, p)] == [], "groups without an example"


def test_limits_are_what_is_documented() -> None:
    table = re.findall(r"^\| (?!what|---).* \| ([0-9,*]+)", DOCS.partition("## Limits")[2], re.MULTILINE)
    assert [int(number.replace(",", "")) for number in table if number != "2**53"] == [
        source.LONGEST_FILE,
        yaml_tree.DEEPEST,
        reading.LONGEST_TEXT,
        reading.LONGEST_NUMBER,
        family.DEEPEST_FAMILY,
        lower.MOST_HYPERPARAMETERS,
        defaults.MOST_ELEMENTS,
        lower.MOST_STATES,
        lower.MOST_REQUIREMENTS,
        lower.MOST_CASES,
        parse.MOST_STATEMENTS,
        logical_lines.LONGEST,
        expressions.LONGEST_WRITTEN_OUT,
        logical_lines.DEEPEST,
        expressions.DEEPEST_EXPRESSION,
        parse.DEEPEST_BRANCH,
        parse.LONGEST_WAY,
        pipeline.MOST_NUMBERS,
        errors.MOST_DIAGNOSTICS,
    ]
    assert "| 2**53 |" in DOCS
    assert reading.LARGEST_INTEGER == 2**53
    assert f"at most {reserved_names.LONGEST} characters" in DOCS
    assert f"at most {LONGEST_SYMBOL} characters" in DOCS


def test_messages_point_to_what_every_installation_has() -> None:
    """Nothing that the compiler or the runtime may say names a page of the repository."""
    found = []
    for path in sorted((*(ROOT / "codegen").rglob("*.py"), *(ROOT / "runtime").rglob("*.py"))):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        bodies = [node.body for node in ast.walk(tree) if isinstance(node, DOCUMENTED)]
        documentation = {id(body[0].value) for body in bodies if body and isinstance(body[0], ast.Expr)}
        found += [
            f"{path.relative_to(ROOT)}:{node.lineno}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation
            if "docs/" in node.value
        ]
    assert found == []


DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef)


def body(update: str) -> str:
    (rule,) = front_end(
        {"a.yaml": f"{HEAD}update: |\n{''.join(f'  {line}{chr(10)}' for line in update.split(chr(10)))}"}
    )
    (statement,) = expand(rule).body
    assert isinstance(statement, Assign)
    return expression_text(statement.value)


HEAD = "optimizer: A\nsummary: a\nhyperparameters: {lr: {default: 1}}\nstate: {step: counter}\n"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("param - lr * grad ** 2", "param - lr * (grad * grad)"),
        ("param - lr * grad ** 3", "param - lr * (grad * grad * grad)"),
        ("param - lr * grad ** 0.5", "param - lr * sqrt(grad)"),
        ("param - lr ** 2 * (grad + param) ** 2", "param - lr ** 2 * ((grad + param) * (grad + param))"),
        ("param - lr * -grad ** 2", "param - lr * -(grad * grad)"),
        ("param - (lr * grad\n  + lr * param)", "param - (lr * grad + lr * param)"),
        (
            "where(lr > 0 and step > 1 and lr > 2, param, lr * grad)",
            "where(lr > 0 and step > 1 and lr > 2, param, lr * grad)",
        ),
        ("param - lr * (grad - (param - 1e-3))", "param - lr * (grad - (param - 0.001))"),
        ("param - lr * .5 * grad * 1.", "param - lr * 0.5 * grad * 1.0"),
    ],
)
def test_what_an_expression_means(written: str, meant: str) -> None:
    assert body(f"param = {written}") == meant


def test_comments_are_kept_with_their_statements() -> None:
    (rule,) = front_end(
        {"a.yaml": f"{HEAD}update: |\n  # alone\n  param = param - (lr # first\n    * grad)  #  second # third\n"}
    )
    assert [statement.comment for statement in rule.body if isinstance(statement, Assign)] == ["first second # third"]


def test_numbers_stay_what_they_are() -> None:
    (rule,) = front_end(
        {
            "a.yaml": HEAD.replace("1}", "1.0}, b: {default: 1e-3, doc: b}, c: {default: 0, doc: c}")
            + "update: param = param - lr * b * c * grad\n"
        }
    )
    assert [repr(h.default) for h in rule.hyperparameters] == ["1.0", "0.001", "0"]


def test_a_tuple_with_one_symbol_is_numbered() -> None:
    text = HEAD.replace("{default: 1}", '{default: [1, 2], names: [a, b], symbol: "\\\\beta"}')
    (rule,) = front_end({"a.yaml": text + "update: param = param - a * b * grad\n"})
    assert rule.hyperparameters[0].symbols == ("\\beta_1", "\\beta_2")


def test_a_spec_inherits_what_it_does_not_say() -> None:
    parent = (ROOT / "specs" / "adam.yaml").read_text(encoding="utf-8")
    child = (ROOT / "specs" / "adamw.yaml").read_text(encoding="utf-8")
    adam, adamw = front_end({"adam.yaml": parent, "adamw.yaml": child})
    assert adamw.body == adam.body
    assert adamw.states == adam.states
    assert [h.name for h in adamw.hyperparameters] == [h.name for h in adam.hyperparameters], "replaced in place"
    assert adamw.hyperparameters[-1].default == 0.01
    assert adamw.references != adam.references
    assert adamw.sparse_error == adam.sparse_error
    assert "decoupled_weight_decay" not in (*adamw.positional, *adamw.keyword_only)


def test_without_signature_hyperparameters_come_first_and_options_by_keyword() -> None:
    (rule,) = front_end({"a.yaml": HEAD + "update: param = param - lr * grad\n"})
    assert rule.positional == ("lr",)
    assert rule.keyword_only == tuple(OPTIONS)
