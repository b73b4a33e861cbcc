"""What is legal at each stage of the compiler: an illegal program of every sort is planted, and its message read."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.support.triton_support import everything, rule_of
from thetac.codegen.ir.fused import ElementAssign, ElementIf, Entry, Fused, Pass, Specialisation
from thetac.codegen.ir.nodes import Assign, Call, Const, Expr, Flag, If, Ref, Requirement, Rule
from thetac.codegen.ir.verify import STAGES, verify, verify_fused

MADE = rule_of("""
rate = rate * beta
seen = lerp(seen, grad, beta)
direction = seen
if fancy:
  direction = where(seen > 0, seen, grad)
if step > 3:
  direction = direction * (1 - beta ** step)
param = param - lr * rate * direction
""")
SOURCE = Assign("param", Ref("param"))


def add(*statements: Assign | If) -> Callable[[Rule], Rule]:
    return lambda rule: replace(rule, body=(*rule.body, *statements))


def set_param(value: Expr) -> Callable[[Rule], Rule]:
    return add(Assign("param", value))


ILLEGAL_RULES: dict[str, tuple[str, Callable[[Rule], Rule], str]] = {
    "no assignment of param": (
        "checked",
        lambda rule: replace(rule, body=()),
        "Made, stage checked: nothing is assigned that lives on",
    ),
    "a hyperparameter assigned": (
        "checked",
        add(Assign("lr", Const(1.0))),
        "Made, stage checked: ['lr'] cannot be assigned to",
    ),
    "a counter assigned": (
        "features",
        add(Assign("step", Const(1.0))),
        "Made, stage features: ['step'] cannot be assigned to",
    ),
    "the gradient assigned early": (
        "decided",
        add(Assign("grad", Ref("param"))),
        "Made, stage decided: ['grad'] cannot be assigned to",
    ),
    "a flag left": (
        "decided",
        lambda rule: replace(rule, flags=(*rule.flags, Flag("set", True, fixed=True))),
        "Made, stage decided: ['set'] are still flags",
    ),
    "a statement invented early": (
        "checked",
        add(Assign("param", Ref("param"), origin="weight decay")),
        "was invented too early",
    ),
    "an option read early": (
        "checked",
        set_param(Call("where", (Ref("maximize"), Ref("param"), Ref("grad")))),
        "Made, stage checked: ['maximize'] read before it is set",
    ),
    "an option that no update reads": (
        "features",
        set_param(Call("where", (Ref("foreach"), Ref("param"), Ref("grad")))),
        "Made, stage features: ['foreach'] read before it is set",
    ),
    "a value on one path only": (
        "features",
        add(If(Ref("fancy"), (Assign("late", Ref("grad")),)), Assign("param", Ref("late"))),
        "Made, stage features: ['late'] read before it is set",
    ),
    "a branch on what is not set": (
        "checked",
        add(If(Ref("late"), (SOURCE,))),
        "Made, stage checked: ['late'] read before it is set",
    ),
    "an unknown operation": (
        "checked",
        set_param(Call("tan", (Ref("param"),))),
        "Made, stage checked: the operation tan",
    ),
    "a composed operation late": (
        "features",
        set_param(Call("rms", (Ref("grad"),))),
        "Made, stage features: the operation rms",
    ),
    "too many arguments": (
        "checked",
        set_param(Call("sqrt", (Ref("param"), Ref("grad")))),
        "Made, stage checked: sqrt with 2 arguments",
    ),
    "a constant that is no number": ("checked", set_param(Const(math.nan)), "Made, stage checked: the constant nan"),
    "an unreadable part": (
        "checked",
        add(If(Ref(""), (SOURCE,))),
        "Made, stage checked: [''] read before it is set",
    ),
    "a start from the gradient late": (
        "features",
        lambda rule: replace(rule, states=tuple(replace(state, init=Ref("grad")) for state in rule.states)),
        "Made, stage features: the start of step reads ['grad']",
    ),
    "a condition of a state on a local": (
        "checked",
        lambda rule: replace(rule, states=tuple(replace(state, when=Ref("direction")) for state in rule.states)),
        "Made, stage checked: the condition of step reads ['direction']",
    ),
    "a requirement on an element": (
        "checked",
        lambda rule: replace(rule, requirements=(Requirement(Call("gt", (Ref("param"), Const(0))), ""),)),
        "Made, stage checked: a requirement reads ['param']",
    ),
    "a name for two things": (
        "checked",
        lambda rule: replace(rule, flags=(*rule.flags, Flag("lr", True))),
        "Made: a name stands for two things: ['beta', 'fancy', 'lr', 'lr', 'rate', 'seen', 'step']",
    ),
    "a reserved name": (
        "checked",
        lambda rule: replace(rule, flags=(*rule.flags, Flag("grad", True))),
        "Made: a declared name is reserved: ['beta', 'fancy', 'grad', 'lr', 'rate', 'seen', 'step']",
    ),
}


@pytest.mark.parametrize("planted", ILLEGAL_RULES)
def test_an_illegal_rule_is_named(planted: str) -> None:
    stage, change, message = ILLEGAL_RULES[planted]
    legal = MADE.rule if stage == "features" else MADE.written
    verify(legal, stage)  # type: ignore[arg-type]
    with pytest.raises(AssertionError, match=re.escape(message)):
        verify(change(legal), stage)  # type: ignore[arg-type]


def test_each_stage_has_an_illegal_rule() -> None:
    assert {stage for stage, _, _ in ILLEGAL_RULES.values()} == set(STAGES)


def in_pass(change: Callable[[Pass], Pass]) -> Callable[[Fused], Fused]:
    return lambda fused: replace(fused, passes=tuple(change(one) for one in fused.passes))


def set_element(value: Expr) -> Callable[[Fused], Fused]:
    return in_pass(lambda one: replace(one, body=(*one.body, ElementAssign("param", value, SOURCE))))


def branch(condition: Expr, *, static: bool) -> Callable[[Fused], Fused]:
    source = If(condition, (SOURCE,))
    then = (ElementAssign("param", Ref("param"), SOURCE),)
    return in_pass(lambda one: replace(one, body=(*one.body, ElementIf(condition, static, then, (), source))))


def stream(name: str, **conditions: Expr) -> Callable[[Fused], Fused]:
    return in_pass(
        lambda one: replace(one, streams=tuple(replace(s, **conditions) if s.name == name else s for s in one.streams))
    )


def on_host(*statements: Assign) -> Callable[[Fused], Fused]:
    return lambda fused: replace(fused, host=(*fused.host, *statements))


ILLEGAL_FUSED: dict[str, tuple[Callable[[Fused], Fused], str]] = {
    "the host reads what it has not": (
        on_host(Assign("more", Ref("param"))),
        "Made, fused, host: ['param'] read before it is set",
    ),
    "the host assigns an input": (on_host(Assign("lr", Const(1.0))), "Made, fused: the host assigns the inputs ['lr']"),
    "a question to the host's program": (
        on_host(Assign("more", Call("first", (Ref("rate"),)))),
        "Made, fused, host: the operation first",
    ),
    "a number that nothing computes": (
        lambda fused: replace(fused, row=(*fused.row, Entry("more", "nowhere", Const(0.0), truth=False))),
        "Made, fused: ['nowhere'] of the row may have no value",
    ),
    "a number that no element reads": (
        lambda fused: replace(fused, row=(*fused.row, Entry("more", "lr", Ref("lr"), truth=False))),
        "Made, fused: no element reads ['more'] of the row",
    ),
    "a name for two things": (
        lambda fused: replace(fused, row=(*fused.row, Entry("grad", "lr", Ref("lr"), truth=False))),
        "Made, fused: a name of kernels stands for two things: ",
    ),
    "a group that decides by a count": (
        lambda fused: replace(fused, specialisations=(Specialisation("late", Call("gt", (Ref("step"), Const(3)))),)),
        "Made, fused: the specialisation late reads ['step']",
    ),
    "no parameter": (
        lambda fused: replace(fused, streams=fused.streams[1:]),
        "Made, fused: the streams begin with ('grad', 'seen')",
    ),
    "a pass with other streams": (
        in_pass(lambda one: replace(one, streams=one.streams[:-1])),
        "Made, fused, pass 0: the streams are ('param', 'grad')",
    ),
    "a load that a number decides": (
        stream("seen", loaded=Ref("lr")),
        "Made, fused, pass 0: ['lr'] decide when a kernel is compiled",
    ),
    "a load that compares": (
        stream("seen", loaded=Call("gt", (Ref("fancy"), Const(0)))),
        "Made, fused, pass 0: the operation gt",
    ),
    "a stored gradient": (stream("grad", stored=Const(True)), "Made, fused, pass 0: the gradient is stored"),
    "a state that is not stored": (
        stream("seen", stored=Const(False)),
        "Made, fused: ['seen'] are assigned and not stored",
    ),
    "a store of what is not assigned": (
        in_pass(lambda one: replace(one, body=tuple(s for s in one.body if getattr(s, "target", "") != "seen"))),
        "Made, fused, pass 0: a stream is stored that nothing assigns",
    ),
    "an element that reads the host": (
        set_element(Ref("step")),
        "Made, fused, pass 0: ['step'] read before it is set",
    ),
    "an operation that elements do not have": (
        set_element(Call("cos", (Ref("param"),))),
        "Made, fused, pass 0: the operation cos",
    ),
    "a remainder of elements": (
        set_element(Call("mod", (Ref("param"), Const(2)))),
        "Made, fused, pass 0: the operation mod",
    ),
    "a static branch on a number": (
        branch(Ref("lr"), static=True),
        "Made, fused, pass 0: ['lr'] decide when a kernel is compiled",
    ),
    "a branch on elements": (
        branch(Ref("param"), static=False),
        "Made, fused, pass 0: a branch on Ref(name='param'), which is no truth value of the row",
    ),
}


@pytest.mark.parametrize("planted", ILLEGAL_FUSED)
def test_an_illegal_program_for_kernels_is_named(planted: str) -> None:
    change, message = ILLEGAL_FUSED[planted]
    with pytest.raises(AssertionError, match=re.escape(message)):
        verify_fused(change(MADE.fused), MADE.rule)


def test_legal_programs_are_legal() -> None:
    for compiled in (MADE, everything()):
        verify(compiled.written, "checked")
        verify(compiled.rule, "features")
        verify_fused(compiled.fused, compiled.rule)
