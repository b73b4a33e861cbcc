"""What a spec calls things does not change what is computed, however awkward the names are for generated code."""

from __future__ import annotations

import ast
import inspect
import types
from collections.abc import Mapping

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.strategies import USED_BY_GENERATED_CODE, value_names
from thetac.codegen.ir import reserved_names
from thetac.codegen.pipeline import Source, compile_specs

PLAIN = ("scale", "low", "high", "flag", "buffer", "average", "weight", "direction", "shrunk")
SPEC = """\
optimizer: Named
summary: An optimizer with hyperparameters, a flag, states of every kind, locals and both kinds of branches.
hyperparameters:
  lr: {{default: 1e-3, tensor: true}}
  {scale}: {{default: 0.5, doc: factor}}
  bounds: {{default: [0.1, 1], names: [{low}, {high}], doc: bounds}}
  {flag}: {{default: false, doc: a flag}}
state:
  step: counter
  {buffer}: {{init: zeros}}
  {average}: {{init: grad, when: {flag}}}
  {weight}: {{scalar: true, init: 1}}
update: |
  {direction} = {scale} * grad
  {shrunk} = {weight} * {scale}
  {weight} = {shrunk} + 1
  if {flag}:
    {average} = lerp({average}, grad, {scale})
    {direction} = {direction} + {average}
  if {weight} > 1.6:
    {direction} = {direction} * {shrunk}
  {buffer} = clamp({buffer} * {high}, {low}, {high}) + {direction}
  param = param - lr * {buffer} / step
"""


def files(called: Mapping[str, str]) -> Mapping[str, str]:
    (compiled,) = compile_specs([Source("named.yaml", SPEC.format(**called))])
    return compiled.files


def module(text: str) -> types.ModuleType:
    made = types.ModuleType("generated")
    exec(compile(text, "generated", "exec"), made.__dict__)
    return made


def steps(text: str, *, one_first: bool, flag: bool) -> list[torch.Tensor]:
    """Parameters and states after three steps. Arguments are told apart by their order, since their names vary."""
    step = module(text).step
    generator = torch.Generator().manual_seed(0)
    params = [torch.randn(5, generator=generator) for _ in range(2)]
    counters, weights = ([torch.tensor(value) for _ in params] for value in (0.0, 1.0))
    buffers = [torch.zeros(5) for _ in params]
    averages = [torch.zeros(5) if flag else None for _ in params] if flag or not one_first else []
    for i in range(3):
        grads = [torch.randn(5, generator=generator) for _ in params]
        first = i == 0 if one_first else [i == 0] * len(params)
        values = (counters, buffers, averages, weights, first, 1e-2, 0.5, 0.1, 1.0, flag, False)
        step(params, grads, **dict(zip(list(inspect.signature(step).parameters)[2:], values, strict=True)))
    return [*params, *buffers, *weights, *(average for average in averages if average is not None)]


def scalars(text: str) -> tuple[list[float], list[float]]:
    function = module(text).scalars
    arguments = list(inspect.signature(function).parameters)
    values = (3.0, 1.5, True, 1e-2, 0.5, 0.1, 1.0)
    asked = values if arguments[2].startswith("first_") else (*values[:2], *values[3:])
    given = dict(zip((name for name in arguments if name != "round_to"), asked, strict=True))
    row, states = function(**given, round_to=float)
    return list(row), list(states)


EXPECTED = files(dict(zip(PLAIN, PLAIN, strict=True)))
AWKWARD = sorted(
    {*USED_BY_GENERATED_CODE, "params_t", "a", "i", "lists", "x", "new", "out", "alpha", "scratch", "copy"}
)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.one_of(st.sampled_from([name for name in AWKWARD if reserved_names.why_not(name) is None]), value_names()),
        min_size=len(PLAIN),
        max_size=len(PLAIN),
        unique=True,
    ).filter(lambda drawn: "bounds" not in drawn)
)
def test_names_do_not_change_what_is_computed(drawn: list[str]) -> None:
    named = files(dict(zip(PLAIN, drawn, strict=True)))
    for text in (text for name, text in named.items() if name.endswith(".py")):
        ast.parse(text)
        compile(text, "generated", "exec")  # finds arguments of one name, which the parser does not
    for flag in (False, True):
        for name, one_first in (("forloop.py", False), ("foreach.py", True)):
            expected = steps(EXPECTED[name], one_first=one_first, flag=flag)
            for wanted, got in zip(expected, steps(named[name], one_first=one_first, flag=flag), strict=True):
                assert torch.equal(wanted, got), f"{name} computes something else under other names"
    assert scalars(named["scalars.py"]) == scalars(EXPECTED["scalars.py"])


HIDING = """\
optimizer: Hiding
summary: Has values of the names of functions that generated code calls.
hyperparameters:
  lr:    {default: 0.1}
  power: {default: 0.5, doc: an exponent}
state:
  step:  counter
  store: {scalar: true, init: 1}
update: |
  store = store / (step ** power + 1)
  param = param - lr * grad / (store + step) ** power
"""


def test_a_value_of_the_name_of_a_function_hides_it_from_nothing() -> None:
    texts = {"plain": HIDING.replace("power", "exponent").replace("store", "factor"), "hiding": HIDING}
    found = {}
    for name, text in texts.items():
        (compiled,) = compile_specs([Source("hiding.yaml", text)])
        param, step, factor = torch.ones(3), torch.tensor(1.0), torch.tensor(1.0)
        function = module(compiled.files["forloop.py"]).step_on_tensors
        values = ([step], [factor], 0.1, 0.5, False, True, False)
        names = list(inspect.signature(function).parameters)[2:]
        function([param], [torch.full((3,), 0.5)], **dict(zip(names, values, strict=True)))
        found[name] = (param, factor)
    assert all(map(torch.equal, *found.values()))
    assert "power as power_" in compiled.files["forloop.py"]
