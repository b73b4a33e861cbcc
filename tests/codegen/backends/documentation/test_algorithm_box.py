"""The algorithm box: whole LaTeX whatever a spec holds, and the mathematics that the rule says."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import cache

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.support.every_optimizer import examples
from tests.support.reducing_specs import reducing_specs
from tests.support.strategies import Hostile, hostile_specs, legal_specs
from thetac.codegen.backends.documentation.algorithm_box import algorithm
from thetac.codegen.backends.documentation.formulas import arranged, formula
from thetac.codegen.backends.documentation.symbols import Symbols
from thetac.codegen.cli.library import our_specs
from thetac.codegen.errors import Diagnostics, Location
from thetac.codegen.frontend.parse import parse_expression
from thetac.codegen.frontend.symbol_syntax import COMMANDS
from thetac.codegen.frontend.yaml_tree import Scalar
from thetac.codegen.ir.nodes import Call, Const, Expr, Ref, Rule, StateKind
from thetac.codegen.pipeline import Source, front_end

fast = settings(deadline=None, max_examples=examples(100), suppress_health_check=[HealthCheck.too_slow])

OURS = COMMANDS | {
    *("cup", "emptyset"),  # of histories
    *("hspace", "textbf", "textit", "rule", "leftarrow", "nabla", "ldots", "left", "right", "begin", "end"),
    *(
        "frac",
        "exp",
        "ln",
        "ge",
        "le",
        "ne",
        "cos",
        "tanh",
        "lfloor",
        "rfloor",
        "bmod",
        "sum",
        "in",
        "operatorname",
        "lVert",
        "rVert",
        "langle",
        "rangle",
    ),
}
TOKEN = re.compile(r"\\(?P<command>[A-Za-z]+|.)|(?P<sign>[{}&])|[^\\{}&]", re.DOTALL)


@cache
def rules() -> dict[str, Rule]:
    return {rule.name: rule for rule in front_end(our_specs())}


def rule_of(text: str) -> Rule:
    (rule,) = front_end([Source("spec.yaml", text)])
    return rule


def assert_whole(box: str) -> None:
    """Every group, fence and environment that is opened is closed where it belongs, and nothing else is in there."""
    assert box.startswith("\\begin{aligned}\n")
    assert box.endswith("\n\\end{aligned}")
    assert re.fullmatch(r"[\x20-\x7e\n]*", box)
    assert not set("$%#~`") & set(box), "a sign that ends formulas, comments or fences"
    unknown = {token["command"] for token in TOKEN.finditer(box)} - OURS - {None, ",", ":", ";", "!", " ", "\\"}
    assert not unknown, f"commands of unknown effect: {unknown}"
    opened: list[str] = []
    names = iter(re.findall(r"\\(?:begin|end)\{(\w+)\}", box))
    for token in TOKEN.finditer(box):
        match token["command"] or token["sign"]:
            case "{" | "left" as opening:
                opened.append(opening)
            case "begin":
                opened.append(next(names))
            case "}":
                assert opened.pop() == "{", box
            case "right":
                assert opened.pop() == "left", box
            case "end":
                assert opened.pop() == next(names), box
            case "&":
                assert opened[-1] in ("aligned", "cases"), "a column outside of a row"
    assert not opened, box
    for line in lines_of(box):
        assert line.startswith("&"), f"a line without its column: {line}"


def lines_of(box: str) -> list[str]:
    return [line.strip().removesuffix("\\\\").rstrip() for line in box.split("\n")[1:-1]]


def assert_reads_in_order(rule: Rule, lines: list[str]) -> None:
    """A state is read as that of this step once it has been assigned, and not before."""
    symbols = Symbols(rule)
    kept = ["param", *(state.name for state in rule.states if state.kind is not StateKind.COUNTER)]
    for name in kept:
        now, before = symbols.at(name, "t"), symbols.at(name, "t-1")
        assigned = always = False
        for line in lines[lines.index(r"&\textbf{for} \: t = 1 \: \textbf{to} \: \ldots \: \textbf{do}") :]:
            target, arrow, value = line.rpartition(r" \leftarrow ")
            read = value if arrow else line
            assert assigned or now not in read, f"{now} is read before it is there: {line}"
            assert not always or before not in read, f"{before} is read although {now} is there: {line}"
            if arrow and target.endswith(now):
                assigned = True
                always = always or target.startswith(r"&\hspace{5mm} ")


@pytest.mark.parametrize("name", rules())
def test_the_box_of_a_spec_is_whole(name: str) -> None:
    rule = rules()[name]
    box = algorithm(rule)
    assert_whole(box)
    symbols = Symbols(rule)
    for hyperparameter in rule.hyperparameters:
        if not hyperparameter.fixed:
            for value in hyperparameter.value_names:
                assert symbols.bare(value) in box, f"{value} is not shown"
    for state in rule.states:
        if state.kind is not StateKind.COUNTER:
            assert rf"{symbols.at(state.name, '0')} \leftarrow" in box, f"{state.name} has no first value"
    names = ("param", "grad", *(state.name for state in rule.states))
    assert len({symbols.bare(name) for name in names}) == len(names), "two names look alike"


@fast
@given(hostile_specs())
def test_no_symbol_or_name_breaks_the_box(hostile: Hostile) -> None:
    assert_whole(algorithm(rule_of(hostile.text)))


@fast
@given(st.one_of(legal_specs(), reducing_specs()))
def test_any_program_is_written_whole_and_in_order(text: str) -> None:
    rule = rule_of(text)
    box = algorithm(rule)
    assert_whole(box)
    assert_reads_in_order(rule, lines_of(box))


SMALL = r"""\begin{aligned}
    &\rule{110mm}{0.4pt} \\
    &\textbf{input} : \gamma \text{ (lr)}, \: \beta_1, \beta_2 \text{ (betas)}, \: \rho_{\mathrm{inf}} \text{ (rho inf)}, \: \lambda \text{ (weight decay)}, \\
    &\hspace{13mm} \theta_0 \text{ (params)}, \: f(\theta) \text{ (objective)}, \: \textit{centered}, \: \textit{maximize} \\
    &\textbf{initialize} : m_{1,0} \leftarrow 0, \: x_0 \leftarrow \theta_0, \: \mathrm{top}_0 \leftarrow \gamma \text{ if } \textit{centered} \\
    &\rule{110mm}{0.4pt} \\
    &\textbf{for} \: t = 1 \: \textbf{to} \: \ldots \: \textbf{do} \\
    &\hspace{5mm} g_t \leftarrow \nabla_{\theta} f_t \left( \theta_{t-1} \right) \\
    &\hspace{5mm} \textbf{if} \: \textit{maximize}: \\
    &\hspace{10mm} g_t \leftarrow -g_t \\
    &\hspace{5mm} g_t \leftarrow g_t + \lambda \theta_{t-1} \\
    &\hspace{5mm} m_{1,t} \leftarrow \beta_1 m_{1,t-1} + \left( 1 - \beta_1 \right) g_t \\
    &\hspace{5mm} \mathrm{slow}_t \leftarrow \left( 1 - \beta_2 \right) m_{1,t} + \beta_2 g_t \\
    &\hspace{5mm} x_t \leftarrow x_{t-1} \\
    &\hspace{5mm} \textbf{if} \: t = 1: \\
    &\hspace{10mm} x_t \leftarrow \theta_{t-1} \\
    &\hspace{5mm} \textbf{if} \: \textit{centered}: \\
    &\hspace{10mm} \mathrm{top}_t \leftarrow \max\left( \mathrm{top}_{t-1}, \left| \mathrm{slow}_t \right|^{3} \right) \\
    &\hspace{10mm} \mathrm{slow}_t \leftarrow \frac{\mathrm{slow}_t}{\sqrt{\mathrm{top}_t} + 10^{-8}} \\
    &\hspace{5mm} \theta_t \leftarrow \theta_{t-1} - \frac{\gamma}{1 - \beta_1^{t}} \frac{\mathrm{slow}_t}{\rho_{\mathrm{inf}}} \\
    &\hspace{5mm} \theta_t \leftarrow \theta_t - {\left( 10^{-8} \right)}^{t} {\left( 2.5 \cdot 10^{-8} \right)}^{\gamma} g_t \\
    &\hspace{5mm} \theta_t \leftarrow \begin{cases} \min\left( \max\left( \theta_t, -1 \right), 1 \right) & \text{if } \theta_t > x_t \\ 0.0025 & \text{if } \theta_t^{2} \le 2 \\ -\theta_t & \text{otherwise} \end{cases} \\
    &\rule{110mm}{0.4pt} \\
    &\textbf{return} \: \theta_t \\
    &\rule{110mm}{0.4pt}
\end{aligned}"""  # noqa: E501


def test_the_whole_of_a_small_box() -> None:
    rule = rule_of("""\
optimizer: Small
summary: Everything that a box has, once.
hyperparameters:
  lr:           {default: 1e-3, symbol: "\\\\gamma"}
  betas:        {default: [0.9, 0.5], names: [beta1, beta2], symbol: "\\\\beta"}
  rho_inf:      {default: 2, doc: longest average}
  weight_decay: {default: 0, symbol: "\\\\lambda"}
  centered:     {default: false, doc: subtract the mean}
  kept:         {default: true, fixed: true}
state:
  step:  counter
  average: {init: zeros, symbol: "m_1"}
  start: {init: param, symbol: "x"}
  top:   {init: lr, when: centered}
weight_decay: l2
update: |
  average = lerp(average, grad, 1 - beta1)
  slow = lerp(average, grad, beta2)
  if step == 1 and kept:
    start = param
  if centered:
    top = maximum(top, abs(slow) ** 3)
    slow = slow / (sqrt(top) + 1e-8)
  param = param - lr / (1 - beta1 ** step) * slow / rho_inf
  param = param - 1e-8 ** step * (2.5e-8 ** lr) * grad
  param = where(param > start, clamp(param, -1, 1), where(param * param <= 2, 2.5e-3, -param))
""")
    assert algorithm(rule) == SMALL


LINES = {
    "SGD": (
        r"g_t \leftarrow g_t + \lambda \theta_{t-1}",
        r"b_t \leftarrow \mu b_{t-1} + \left( 1 - \tau \right) g_t",
        r"\theta_t \leftarrow \theta_{t-1} - \gamma \mathrm{direction}_t",
    ),
    "AdamW": (
        r"\theta_t \leftarrow \theta_{t-1} \left( 1 - \gamma \lambda \right)",
        r"v_t \leftarrow \beta_2 v_{t-1} + \left( 1 - \beta_2 \right) g_t^{2}",
        r"\hat v_t \leftarrow \max\left( \hat v_{t-1}, v_t \right)",
        r"\theta_t \leftarrow \theta_t - \frac{\gamma}{1 - \beta_1^{t}} \frac{m_t}{\mathrm{denom}_t}",
    ),
    "NAdam": (r"\Pi_t \leftarrow \Pi_{t-1} \mu_t",),
    "Lion": (
        r"\theta_t \leftarrow \theta_t - \gamma \mathrm{sign}\left( \beta_1 m_{t-1} "
        r"+ \left( 1 - \beta_1 \right) g_t \right)",
        r"m_t \leftarrow \beta_2 m_{t-1} + \left( 1 - \beta_2 \right) g_t",
    ),
    "ASGD": (
        r"\theta_t \leftarrow \theta_{t-1} \left( 1 - \lambda \eta_{t-1} \right)",
        r"\eta_t \leftarrow \frac{\gamma}{\left( 1 + \lambda \gamma t \right)^{\alpha}}",
    ),
}


@pytest.mark.parametrize("name", LINES)
def test_lines_that_a_reader_of_the_paper_expects(name: str) -> None:
    box = [re.sub(r"^&(\\hspace\{\d+mm\} )?", "", line) for line in lines_of(algorithm(rules()[name]))]
    for line in LINES[name]:
        assert line in box, f"{line}\nis not in\n" + "\n".join(box)


REDUCTIONS = {
    "norm(x)": r"\left\lVert x \right\rVert_2",
    "norm(x, axis=-1)": r"\left\lVert x \right\rVert_{2,\text{row}}",
    "norm(x) ** 2": r"\left\lVert x \right\rVert_2^{2}",
    "mean(x * x)": r"\operatorname{mean}\left( x^{2} \right)",
    "mean(x, axis=-2)": r"\operatorname{mean}_{\text{column}}\left( x \right)",
    "max(x + y, axis=-1)": r"\max_{\text{row}}\left( x + y \right)",
    "rms(x)": r"\operatorname{rms}\left( x \right)",
    "dot(x, y)": r"\left\langle x, y \right\rangle",
    "dot(x, y, axis=-1)": r"\left\langle x, y \right\rangle_{\text{row}}",
    "sum(x * y) / sum(x)": r"\frac{\sum x y}{\sum x}",
    "sum(x + y, axis=-2)": r"\sum_{\text{column}} \left( x + y \right)",
    "2 * sum(x) + y": r"2 \left( \sum x \right) + y",
    "sqrt(sum(x))": r"\sqrt{\sum x}",
}


@pytest.mark.parametrize("text", REDUCTIONS)
def test_reductions_are_set_as_papers_do(text: str) -> None:
    diagnostics, place = Diagnostics(), Location("<test>", 1, 1, text=text)
    expression = parse_expression(Scalar(text, "|", place, (place,), exact=True), diagnostics)
    diagnostics.raise_any()
    assert formula(expression, str) == REDUCTIONS[text]


_REFS = st.sampled_from((Ref("a"), Ref("b"), Ref("c"), Const(1), Const(2)))
_TREES = st.recursive(
    _REFS,
    lambda inner: st.one_of(
        st.tuples(st.sampled_from(("add", "sub", "mul", "div")), inner, inner).map(lambda t: Call(t[0], t[1:])),
        st.tuples(inner, inner, inner).map(lambda t: Call("lerp", t)),
    ),
    max_leaves=8,
)


def value(expression: Expr, names: dict[str, Fraction]) -> Fraction:
    match expression:
        case Const(value=number):
            return Fraction(number)
        case Ref(name=name):
            return names[name]
        case Call(op=op, args=args):
            numbers = [value(argument, names) for argument in args]
    match op, numbers:
        case "add", [a, b]:
            return a + b
        case "sub", [a, b]:
            return a - b
        case "mul", [a, b]:
            return a * b
        case "div", [a, b]:
            return a / b
        case "pow", [a, b]:
            assert b == 2
            return a * a
        case "lerp", [a, b, weight]:
            return a + weight * (b - a)
    raise AssertionError(f"unexpected {op}")


@fast
@given(_TREES, st.lists(st.fractions(-5, 5, max_denominator=7), min_size=3, max_size=3))
def test_arranging_terms_changes_no_value(expression: Expr, numbers: list[Fraction]) -> None:
    names = dict(zip("abc", numbers, strict=True))
    try:
        wanted = value(expression, names)
    except ZeroDivisionError:
        assume(False)
    assert value(arranged(expression), names) == wanted
