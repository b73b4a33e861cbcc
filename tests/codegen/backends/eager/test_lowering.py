"""Random update rules: what the for-loop, foreach and the rule on tensors compute is what the interpreter says.

The hard part of lowering is deciding what may be overwritten: aliases, values read after their storage was
written, branches. These rules are made to hit it; torch's own rules would leave most of it untouched.
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.support.every_optimizer import examples
from tests.support.generated_calls import call
from tests.support.strategies import functions
from thetac.codegen.backends.eager import foreach, forloop
from thetac.codegen.backends.eager.inplace import SetTensor, lower
from thetac.codegen.backends.printing.arguments import list_names
from thetac.codegen.emit import environment
from thetac.codegen.errors import Diagnostics, Location
from thetac.codegen.frontend.parse import parse_expression
from thetac.codegen.frontend.yaml_tree import Scalar
from thetac.codegen.ir.interpret import FLOATS, exact, interpret
from thetac.codegen.ir.listing import listing
from thetac.codegen.ir.nodes import (
    Assign,
    Call,
    ComplexMode,
    Const,
    DecayStyle,
    Expr,
    Flag,
    HalfPrecision,
    Hyperparameter,
    If,
    Ref,
    Rule,
    SparseMode,
    State,
    StateKind,
    Stmt,
)
from thetac.codegen.passes import features
from thetac.codegen.passes.expand import expand

STEEP = {"sqrt", "cbrt", "rsqrt", "log", "exp"}  # somewhere: there, an error in the argument grows
STATES, LOCALS = ("u", "v"), ("x", "y", "z")
ELEMENTS = 5


def make_rule(body: tuple[Stmt, ...]) -> Rule:
    """A rule with two states, a counter, two numbers and a flag around a body."""
    states = [State("step", StateKind.COUNTER), *(State(name, StateKind.TENSOR) for name in STATES)]
    hyperparameters = (Hyperparameter("lr", 0.25, tensor=True), Hyperparameter("rho", 0.75))
    rule = features.apply(
        Rule(
            name="Random",
            summary="A random rule.",
            references=(),
            notes=(),
            source="random.yaml",
            hyperparameters=hyperparameters,
            flags=(Flag("flag", False),),
            states=tuple(states),
            positional=("lr", "rho", "flag"),
            keyword_only=(),
            requirements=(),
            decay=((None, DecayStyle.NONE),),
            complex_mode=ComplexMode.PAIRS,
            half_precision=HalfPrecision.FLOAT32,
            sparse_mode=SparseMode.UNSUPPORTED,
            sparse_error="",
            state_at_construction=False,
            body=body,
            group_keys=(),
        )
    )
    return expand(rule)


numbers = st.sampled_from(
    [Ref("lr"), Ref("rho"), Const(0.5), Const(2), Call("sub", (Const(1), Ref("rho"))), Ref("step")]
)


def elements(names: tuple[str, ...]) -> st.SearchStrategy[Expr]:
    """Expressions over elements that neither overflow nor lose their digits."""
    leaf = st.sampled_from([Ref(name) for name in names])

    def grow(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
        either = inner | numbers
        binary = st.sampled_from(["add", "sub", "mul", *(set(functions(2, of_elements=True)) - {"atan2"})])
        unary = st.sampled_from(["neg", *(set(functions(1, of_elements=True)) - STEEP)])
        bounded = st.builds(lambda a: Call("add", (Call("abs", (a,)), Const(1))), inner)
        return st.one_of(
            st.builds(lambda op, a, b: Call(op, (a, b)), binary, inner, either),
            st.builds(lambda op, a, b: Call(op, (a, b)), binary, either, inner),
            st.builds(lambda a, b: Call("div", (a, b)), either, bounded),
            st.builds(
                lambda s, a, b, c: Call("add", (c, Call("mul", (Call("mul", (s, a)), b)))), numbers, inner, inner, inner
            ),
            st.builds(
                lambda s, a, b, c: Call("sub", (c, Call("div", (Call("mul", (s, a)), b)))),
                numbers,
                inner,
                bounded,
                inner,
            ),
            st.builds(lambda a, b: Call("lerp", (a, b, Ref("rho"))), inner, inner),
            st.builds(lambda op, a: Call(op, (a,)), unary, inner),
            st.builds(lambda a: Call("sqrt", (Call("abs", (a,)),)), inner),
            st.builds(lambda a: Call("exp", (Call("neg", (Call("abs", (a,)),)),)), inner),
            st.builds(lambda op, a: Call(op, (a,)), st.sampled_from(["log", "cbrt", "rsqrt"]), bounded),
            st.builds(lambda a, b: Call("pow", (a, b)), bounded, st.sampled_from([Ref("rho"), Const(-0.25)])),
            st.builds(lambda a: Call("pow", (Ref("rho"), Call("abs", (a,)))), inner),
            st.builds(lambda a, b: Call("pow", (a, Call("neg", (Call("abs", (b,)),)))), bounded, inner),
            st.builds(lambda a, b: Call("atan2", (a, b)), inner | numbers, bounded),
            st.builds(lambda a, b: Call("atan2", (a, b)), bounded, numbers),
            st.builds(lambda a: Call("clamp", (a, Const(-2), Const(2))), inner),
            st.builds(lambda a, b, c: Call("where", (Call("gt", (a, Const(0))), b, c)), inner, either, either),
            st.builds(lambda a, b: Call("where", (Ref("flag"), a, b)), inner, either),
        )

    return st.recursive(leaf, grow, max_leaves=6)


@st.composite
def statements(draw: st.DrawFn, defined: tuple[str, ...], depth: int) -> tuple[tuple[Stmt, ...], tuple[str, ...]]:
    """A block, and the names that are surely defined after it."""
    block: list[Stmt] = []
    for _ in range(draw(st.integers(1, 4))):
        if depth and draw(st.integers(0, 3)) == 0:
            conditions = [Ref("flag"), Call("gt", (Ref("step"), Const(1))), Call("first", (Ref("u"),))]
            then, after_then = draw(statements(defined, depth - 1))
            orelse, after_else = draw(st.just(((), defined)) | statements(defined, depth - 1))
            block.append(If(draw(st.sampled_from(conditions)), then, orelse))
            defined = tuple(name for name in after_then if name in after_else)
        else:
            target = draw(st.sampled_from(["param", *STATES, *LOCALS]))
            block.append(Assign(target, draw(st.sampled_from([Ref(n) for n in defined]) | elements(defined))))
            defined = tuple(dict.fromkeys((*defined, target)))
    return tuple(block), defined


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    body, defined = draw(statements(("param", "grad", *STATES), 2))
    last = draw(elements(defined))
    return make_rule((*body, Assign("param", Call("sub", (Ref("param"), Call("mul", (Const(0.125), last)))))))


def module(text: str) -> types.ModuleType:
    made = types.ModuleType("made")
    exec(compile(text, "made", "exec"), made.__dict__)
    return made


def run(rule: Rule, how: str, flag: bool) -> list[torch.Tensor]:
    """Two steps of two parameters by one implementation: parameters and states afterwards, and the gradients."""
    text = (foreach if how == "foreach" else forloop).render(rule, environment())
    generator = torch.Generator().manual_seed(0)

    def draw() -> torch.Tensor:
        return torch.randn(ELEMENTS, dtype=torch.float64, generator=generator)

    params = [draw(), draw()]
    states = {name: [torch.zeros_like(p) for p in params] for name in STATES}
    steps = [torch.tensor(0.0, dtype=torch.float64) for _ in params]
    lists = list_names(rule)
    grads = [[draw(), draw()], [draw(), draw()]]
    made = module(text)
    for count, pair in enumerate(grads):
        arguments: dict[str, object] = {lists[name]: states[name] for name in STATES}
        arguments |= {"steps": steps, "lr": 0.25, "rho": 0.75, "flag": flag, "maximize": False}
        first: object = count == 0 if how == "foreach" else [count == 0] * 2
        if "first_u" in text:
            arguments["first_u"] = first
        if how in ("capturable", "differentiable"):
            options = {"capturable": how == "capturable", "differentiable": how == "differentiable"}
            call(made.step_on_tensors, params, pair, **arguments, **options)
        else:
            call(made.step, params, pair, **arguments)
    return [*params, *(s for name in STATES for s in states[name]), *grads[0], *grads[1]]


def defined_result(rule: Rule, flag: bool) -> list[torch.Tensor]:
    """The same by the interpreter, element by element."""
    generator = torch.Generator().manual_seed(0)
    start = [torch.randn(ELEMENTS, dtype=torch.float64, generator=generator) for _ in range(2)]
    grads = [[torch.randn(ELEMENTS, dtype=torch.float64, generator=generator) for _ in range(2)] for _ in range(2)]
    params: list[list[float]] = []
    states: dict[str, list[list[float]]] = {name: [] for name in STATES}
    for index, tensor in enumerate(start):
        columns = []
        for element, value in enumerate(tensor.tolist()):
            param, state = value, dict[str, float]()
            for pair in grads:
                done = interpret(
                    rule, {"flag": flag}, state, param, pair[index][element].item(), arithmetic=FLOATS, store=exact
                )
                param, state = done.param, done.state
            columns.append((param, state))
        params.append([param for param, _ in columns])
        for name in STATES:
            states[name].append([state[name] for _, state in columns])
    results = [*params, *(values for name in STATES for values in states[name])]
    return [*(torch.tensor(values, dtype=torch.float64) for values in results), *grads[0], *grads[1]]


def spec_text(rule: Rule) -> str:
    return "\n".join(listing(rule.body))


@settings(
    max_examples=examples(80),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.generate],
)
@given(rule=rules(), flag=st.booleans())
def test_every_implementation_computes_what_the_interpreter_says(rule: Rule, flag: bool) -> None:
    expected = defined_result(rule, flag)
    plain = run(rule, "for-loop", flag)
    for how in ("for-loop", "capturable", "differentiable"):
        for got, want in zip(run(rule, how, flag), expected, strict=True):
            close = torch.allclose(got, want, rtol=1e-9, atol=1e-9, equal_nan=True)
            assert close, f"{how} differs: {got.tolist()} for {want.tolist()} of\n{spec_text(rule)}"
    for got, want in zip(run(rule, "foreach", flag), plain, strict=True):
        assert torch.equal(got, want), f"foreach differs from the for-loop for\n{spec_text(rule)}"


def tree_of(expression: Expr, target: str = "param") -> SetTensor:
    """How the last statement of a rule is lowered."""
    step = lower(make_rule((Assign(target, expression),)))[-1]
    assert isinstance(step, SetTensor)
    return step


def text_of(expression: Expr, target: str = "param") -> str:
    step = tree_of(expression, target)
    text = forloop.tree_text(step.tree)
    return text if step.how == "write" else f"{target}.copy_({text})"


def parsed(text: str) -> Expr:
    """An expression from text, by the front end."""
    diagnostics, place = Diagnostics(), Location("<test>", 1, 1, text=text)
    expression = parse_expression(Scalar(text, "|", place, (place,), exact=True), diagnostics)
    diagnostics.raise_any()
    return expression


CONTRACTIONS: dict[str, str] = {
    "param + lr * grad * u": "param.addcmul_(grad, u, value=lr)",
    "param - lr * grad * u": "param.addcmul_(grad, u, value=-lr)",
    "param - grad * u": "param.addcmul_(grad, u, value=-1)",
    "param - lr * grad / u": "param.addcdiv_(grad, u, value=-lr)",
    "param + grad / u": "param.addcdiv_(grad, u, value=1)",
    "param - lr * grad": "param.add_(grad, alpha=-lr)",
    "param - grad * lr": "param.sub_(grad.mul(lr))",
    "param - lr / 2 * grad / u": "param.addcdiv_(grad, u, value=-lr / 2)",
    "param - lr / rho * grad / u": "param.addcdiv_(grad, u, value=scalar_math.divide(-lr, rho))",
    "(param - u) * rho": "param.sub_(u).mul_(rho)",
    "rho * u + (1 - rho) * grad": "param.copy_(u.mul(rho).add_(grad, alpha=1 - rho))",
    "rho * param + param * param": "param.copy_(param.mul(rho).addcmul_(param, param, value=1))",
    "param + (u - param) * rho": "param.addcmul_(u.sub(param), rho)",
    "lr / param": "param.reciprocal_().mul_(lr)",
    "lr - param": "param.neg_().add_(lr)",
    "param ** rho": "param.pow_(rho)",
    "rho ** param": "param.copy_(torch.pow(rho, param))",
    "u ** grad": "param.copy_(u.pow(grad))",
    "param ** 3": "param.copy_(param.mul(param).mul_(param))",
    "cbrt(param) + rho": "param.copy_(cbrt(param).add_(rho))",
    "atan2(param, u)": "param.atan2_(u)",
    "atan2(1, grad)": "param.copy_(torch.atan2(param.new_full((), 1), grad))",
    "rsqrt(tanh(exp(param)))": "param.exp_().tanh_().rsqrt_()",
    "where(grad > 0, 1, 0)": "param.copy_(torch.where(grad > 0, 1, param.new_full((), 0)))",
}
CONTRACTIONS["param + (u - param) * rho"] = "param.add_(u.sub(param).mul_(rho))"


@pytest.mark.parametrize("source", CONTRACTIONS)
def test_sums_contract_by_syntax_alone(source: str) -> None:
    assert text_of(parsed(source)) == CONTRACTIONS[source]


def test_an_alias_of_a_state_that_is_written_later_keeps_its_value() -> None:
    body = (Assign("x", Ref("u")), Assign("u", parsed("u + grad")), Assign("param", parsed("param - x")))
    steps = lower(make_rule(body))
    assert isinstance(steps[-3], SetTensor)
    assert forloop.tree_text(steps[-3].tree) == "u.clone()"


def test_an_alias_of_a_state_that_is_not_written_later_costs_nothing() -> None:
    body = (Assign("u", parsed("u + grad")), Assign("x", Ref("u")), Assign("param", parsed("param - x")))
    steps = lower(make_rule(body))
    assert isinstance(steps[-2], SetTensor)
    assert forloop.tree_text(steps[-2].tree) == "u"


def _counts(step: Callable[[], None]) -> int:
    """How often a call synchronises with the host."""
    calls = 0
    original = torch.Tensor.item

    def counted(self: torch.Tensor) -> float:
        nonlocal calls
        calls += 1
        return original(self)

    torch.Tensor.item = counted  # type: ignore[method-assign,assignment]
    try:
        step()
    finally:
        torch.Tensor.item = original  # type: ignore[method-assign]
    return calls


def test_capturable_never_asks_the_host() -> None:
    body = (If(parsed("step > 2"), (Assign("u", parsed("u + grad")),), (Assign("u", Ref("grad")),)),)
    rule = make_rule((*body, Assign("param", parsed("param - lr / (1 - rho ** step) * u"))))
    assert _counts(lambda: run(rule, "capturable", False) and None) == 0
    assert _counts(lambda: run(rule, "differentiable", False) and None) > 0
    assert math.isfinite(run(rule, "capturable", False)[0].sum())


@pytest.mark.parametrize(
    "number",
    [
        "1 / (step - 1)",
        "exp(800 * step)",
        "log(step - 1)",
        "sqrt(1 - step * 2)",
        "(0 - lr) ** rho",
        "10 ** (400 * step)",
    ],
)
def test_no_number_of_the_host_raises_midway(number: str) -> None:
    """Division by zero, overflow and roots of negative numbers are IEEE's: a step that has begun to write goes on."""
    value = Assign("x", parsed(number))
    rule = make_rule((Assign("u", parsed("u + grad")), value, Assign("param", parsed("param - x * u"))))
    expected = defined_result(rule, flag=False)
    assert not torch.isfinite(expected[0]).all()
    for how in ("for-loop", "foreach", "differentiable"):
        for got, want in zip(run(rule, how, flag=False), expected, strict=True):
            assert torch.allclose(got, want, equal_nan=True), f"{how}: {got} for {want}"
