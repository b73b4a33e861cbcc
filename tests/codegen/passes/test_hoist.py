"""What the host computes and what kernels compute, and the text of the host's part."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.support.generated_calls import call
from tests.support.strategies import functions
from tests.support.triton_support import Training, combinations, described, every_spec, everything, module, rule_of
from thetac.codegen.backends.kernels import cpp, triton
from thetac.codegen.emit import environment
from thetac.codegen.ir.fused import ElementAssign, ElementIf, ElementStmt, Fused, Pass
from thetac.codegen.ir.interpret import FLOATS, interpret
from thetac.codegen.ir.nodes import Assign, Call, Const, Expr, If, Range, Ref, StateKind, names_read
from thetac.codegen.ir.printer import expression_text
from thetac.codegen.ir.totals import has_totals
from thetac.codegen.passes.analysis.streams import streams
from thetac.codegen.passes.analysis.value_ranges import bounds, is_nonzero
from thetac.codegen.pipeline import Compiled
from thetac.runtime import scalar_math


def row(of: Compiled) -> dict[str, str]:
    return {entry.name: expression_text(entry.definition) for entry in of.fused.row}


def reads(fused: Fused) -> set[str]:
    return set().union(*(reads_of_block((*one.before, *one.body)) for one in fused.passes))


def reads_of_block(body: tuple[ElementStmt, ...]) -> set[str]:
    names: set[str] = set()
    for statement in body:
        match statement:
            case ElementAssign(value=value):
                names |= set(names_read(value))
            case ElementIf(condition=condition, then=then, orelse=orelse):
                names |= set(names_read(condition)) | reads_of_block(then) | reads_of_block(orelse)
    return names


def test_largest_host_expressions_leave_the_element_loop_under_their_own_words() -> None:
    assert row(every_spec()["AdamW"]) == {
        "one_minus_lr_times_weight_decay": "1 - lr * weight_decay",
        "one_minus_beta1": "1 - beta1",
        "beta2": "beta2",
        "one_minus_beta2": "1 - beta2",
        "one_minus_beta2_pow_step_pow_half": "(1 - beta2 ** step) ** 0.5",
        "eps": "eps",
        "lr_over_one_minus_beta1_pow_step": "lr / (1 - beta1 ** step)",
    }


def test_what_is_too_long_to_spell_is_named_for_what_it_does() -> None:
    names = row(every_spec()["NAdam"])
    assert names["grad_factor"] == "lr * (1 - mu) / (1 - mu_product)"
    assert names["exp_avg_factor"] == "lr * mu_next / (1 - mu_product * mu_next)"


@pytest.mark.parametrize("name", every_spec())
def test_every_name_of_the_elements_is_a_stream_a_local_or_in_the_row(name: str) -> None:
    fused = every_spec()[name].fused
    of_row, of_streams = {e.name for e in fused.row}, set(fused.streams)
    of_specialisations = {s.name for s in fused.specialisations}
    assert len(of_row | of_streams | of_specialisations) == len(of_row) + len(of_streams) + len(of_specialisations)
    host = {name for h in every_spec()[name].rule.hyperparameters for name in h.value_names} - of_row
    assert not reads(fused) & host, "a number of the host that is not in the row"
    assert of_row <= reads(fused), "an entry of the row that no kernel reads"


def test_specialisations_are_the_static_conditions_on_elements() -> None:
    names = {name: [s.name for s in c.fused.specialisations] for name, c in every_spec().items()}
    assert names["Adam"] == ["maximize", "weight_decay_nonzero", "decoupled_weight_decay", "amsgrad"]
    assert names["RMSprop"] == ["maximize", "weight_decay_nonzero", "centered", "momentum_positive"]
    # SGD's weight decay may be a tensor, but the host always looks at it, as in torch.
    assert names["SGD"] == ["maximize", "weight_decay_nonzero", "momentum_nonzero", "nesterov"]
    assert [e.name for e in every_spec()["SGD"].fused.row if e.truth] == ["first_momentum_buffer"]


def test_a_condition_over_numbers_of_the_host_alone_reaches_no_kernel() -> None:
    made = rule_of("size = lr\nif fancy:\n  size = lr / 2\nparam = param - size * grad")
    assert [s.name for s in made.fused.specialisations] == ["maximize"]
    assert row(made) == {"size": "size"}


def test_parts_of_a_compound_condition_are_specialisations_of_their_own() -> None:
    made = rule_of("if fancy and not beta > 0:\n  param = param - grad\nparam = param - lr * grad")
    assert [s.name for s in made.fused.specialisations] == ["maximize", "fancy", "beta_positive"]


def test_streams_are_loaded_and_stored_only_where_needed() -> None:
    uses = {
        (name, s.name): (expression_text(s.loaded), expression_text(s.stored))
        for name, c in every_spec().items()
        for one in c.fused.passes
        for s in one.streams
    }
    assert uses["Adam", "exp_avg"] == ("True", "True")
    assert uses["Adam", "grad"] == ("True", "False")
    assert uses["Adam", "max_exp_avg_sq"] == ("amsgrad", "amsgrad")
    assert uses["RMSprop", "grad_avg"] == ("centered", "centered")
    made = rule_of("if fancy:\n  seen = grad\nelse:\n  seen = seen + grad\nparam = param - lr * seen")
    (seen,) = (s for one in made.fused.passes for s in one.streams if s.name == "seen")
    assert (expression_text(seen.loaded), seen.stored) == ("not fancy", Const(True))
    # A branch on a number of the row may leave the old value in place.
    made = rule_of("if step > 3:\n  seen = grad\nparam = param - lr * seen")
    (seen,) = (s for one in made.fused.passes for s in one.streams if s.name == "seen")
    assert seen.loaded == Const(True)
    # Also if only one value of a flag gets there.
    assigned = Assign("seen", Ref("grad"))
    inner = ElementIf(Ref("fancy"), True, (ElementAssign("seen", Ref("grad"), assigned),), (), If(Ref("fancy"), ()))
    (seen,) = streams(("seen",), (ElementIf(Ref("late"), False, (inner,), (), If(Ref("late"), ())),))
    assert (seen.loaded, seen.stored) == (Ref("fancy"), Ref("fancy"))


def test_every_pass_has_functions_of_its_own() -> None:
    """The first pass stores the state, the second one reads it back."""
    made = rule_of("seen = beta * seen + grad\nparam = param - lr * seen")
    (only,) = made.fused.passes
    slices = (only.body[:-1], only.body[-1:])
    passes = tuple(Pass(streams(made.fused.streams, body), body) for body in slices)
    two = replace(made.fused, passes=passes)
    texts = {backend: backend.render(made.rule, two, environment()) for backend in (cpp, triton)}
    first, second = texts[triton].split("def kernel(")
    assert re.findall(r"^def (\w+)", texts[triton], re.MULTILINE) == [
        *("update_elements", "kernel", "update_elements_1", "kernel_1", "has_vectors")
    ]
    assert re.findall(r"ops\.store\((\w+)", texts[triton]) == ["seen_ptr", "param_ptr"]
    assert re.findall(r"(\w+) = ops\.load", first) == ["grad", "seen"]
    assert re.findall(r"(\w+) = ops\.load", second) == ["param", "seen"]
    assert re.findall(r"static void (\w+)", texts[cpp]) == ["update", "update_1"]
    assert re.findall(r"Mask (\w+) =\n", texts[cpp]) == [
        *("relevant_conditions", "loaded", "stored", "loaded_1", "stored_1")
    ]
    assert re.findall(r"(\w+)_ptr\[i\] =", texts[cpp]) == ["seen", "param"]


def test_a_number_is_taken_where_it_is_read() -> None:
    made = rule_of("param = param - rate * grad\nrate = rate * beta\nparam = param - rate * grad")
    assert [(e.name, e.variable) for e in made.fused.row] == [("rate", "old_rate"), ("new_rate", "rate")]
    numbers, states = module(made, "scalars.py").scalars(rate=0.8, beta=0.5, round_to=lambda x: round(x, 1))
    assert (numbers, states) == ((0.8, 0.4), (0.4,))


def test_later_reads_of_a_scalar_state_see_it_as_stored() -> None:
    made = rule_of("rate = lr / 3\nparam = param - (rate + 1) * grad")
    numbers, _ = module(made, "scalars.py").scalars(rate=0.0, lr=1.0, round_to=lambda x: round(x, 1))
    assert numbers == (1.3,)


def test_nothing_is_computed_outside_its_branch() -> None:
    adam = module(every_spec()["RAdam"], "scalars.py")
    values = {
        "lr": 1e-3,
        "beta1": 0.9,
        "beta2": 0.999,
        "eps": 1e-8,
        "weight_decay": 0.0,
        "decoupled_weight_decay": False,
    }
    early = dict(zip(adam.ROW, adam.scalars(step=1.0, **values)[0], strict=True))
    late = dict(zip(adam.ROW, adam.scalars(step=6.0, **values)[0], strict=True))
    assert (early["rho_above_five"], early["rect"], early["bias_correction2_pow_half"]) == (0.0, 0.0, 0.0)
    assert late["rho_above_five"] == 1.0
    assert 0 < late["rect"] < 1


def test_host_arithmetic_is_ieee_where_python_would_raise() -> None:
    made = rule_of("param = param - lr / eps * grad - (lr - 1) ** eps * sqrt(lr - 1) * grad")
    text = made.files["scalars.py"]
    for checked in ("scalar_math.divide(lr, eps)", "scalar_math.power(lr - 1, eps)", "scalar_math.sqrt(lr - 1)"):
        assert checked in text
    numbers, _ = module(made, "scalars.py").scalars(lr=0.5, eps=0.0)
    assert numbers[0] == math.inf
    assert math.isnan(numbers[1])
    assert "scalar_math" not in every_spec()["AdamW"].files["scalars.py"], "ranges say that nothing can go wrong there"


finite_and_not = st.floats(width=64)


@given(finite_and_not, finite_and_not)
def test_scalar_math_is_what_the_interpreter_computes(x: float, y: float) -> None:
    for op, function in {
        "div": scalar_math.divide,
        "mod": scalar_math.modulo,
        "pow": scalar_math.power,
        "maximum": scalar_math.maximum,
        "minimum": scalar_math.minimum,
    }.items():
        assert same(function(x, y), FLOATS.operations[op](x, y)), f"{op}({x}, {y})"
    assert same(scalar_math.atan2(x, y), FLOATS.operations["atan2"](x, y)), f"atan2({x}, {y})"
    for op in ("exp", "log", "tanh", "cbrt", "rsqrt", "sign", "floor", "cos"):
        assert same(getattr(scalar_math, op)(x), FLOATS.operations[op](x)), f"{op}({x})"
    root = scalar_math.sqrt(x)
    assert same(root, FLOATS.operations["sqrt"](x)) or math.isclose(root, math.sqrt(x), rel_tol=3e-16)


def same(x: float, y: float) -> bool:
    return x == y or (math.isnan(x) and math.isnan(y))


hosts = st.recursive(
    st.sampled_from([Ref("beta"), Ref("step"), Ref("lr"), Ref("free"), Const(0), Const(1), Const(0.5), Const(-2)]),
    lambda inner: (
        st.builds(
            lambda op, left, right: Call(op, (left, right)),
            st.sampled_from(["add", "sub", "mul", "div", "mod", "pow", *functions(2)]),
            inner,
            inner,
        )
        | st.builds(lambda op, value: Call(op, (value,)), st.sampled_from(["neg", *functions(1)]), inner)
    ),
    max_leaves=6,
)
KNOWN = {
    "beta": Range(0.0, 1.0, True, False),
    "step": Range(1.0, math.inf, True, True),
    "lr": Range(0.0, math.inf, True, True),
}


def evaluated(expression: Expr, values: dict[str, float]) -> float:
    match expression:
        case Const(value=value):
            return float(value)
        case Ref(name=name):
            return values[name]
        case Call(op=op, args=args):
            return FLOATS.operations[op](*(evaluated(argument, values) for argument in args))


@given(
    hosts,
    st.floats(0, 1, exclude_max=True),
    st.integers(1, 2**30),
    st.floats(0, math.inf),
    st.floats(allow_nan=False),
)
def test_bounds_hold(expression: Expr, beta: float, step: int, lr: float, free: float) -> None:
    value = evaluated(expression, {"beta": beta, "step": float(step), "lr": lr, "free": free})
    assert math.isnan(value) or value in bounds(expression, KNOWN), f"{value} is not in {bounds(expression, KNOWN)}"


def test_bounds_know_bias_corrections() -> None:
    correction = Call("sub", (Const(1), Call("pow", (Ref("beta"), Ref("step")))))
    assert is_nonzero(correction, KNOWN)
    assert not is_nonzero(Call("sub", (Const(1), Ref("lr"))), KNOWN)


@pytest.mark.parametrize(
    "name", [name for name, of in every_spec().items() if "scalars.py" in of.files and not has_totals(of.rule)]
)
def test_scalars_on_tensors_are_the_same_numbers(name: str) -> None:
    """Several step counts at once as 1-d tensors, and each alone as 0-d tensors, against Python floats."""
    of = every_spec()[name]
    scalars = module(of, "scalars.py")
    counts = torch.tensor([1.0, 2.0, 5.0, 6.0, 40.0], dtype=torch.float64)
    known = {s.name: counts if s.kind is StateKind.COUNTER else 1 / counts for s in of.rule.states}
    known |= {name: counts == 1 for name in of.fused.inputs if name.startswith("first_")}
    known = {name: values for name, values in known.items() if name in of.fused.inputs}
    rounding = {"round_to": lambda x: x} if of.fused.scalars else {}
    for values in combinations(of):
        together = flat(call(scalars.scalars_on_tensors, **values, **known, **rounding))
        for index in range(len(counts)):
            numbers = {n: v[index].item() for n, v in known.items()}
            wanted = flat(call(scalars.scalars, **values, **numbers, **rounding))
            tensors = {n: v[index] for n, v in known.items()}
            alone = flat(call(scalars.scalars_on_tensors, **values, **tensors, **rounding))
            entry = [t[index] if t.dim() else t for t in together]
            for found in (alone, entry):
                assert torch.allclose(torch.tensor(found), torch.tensor(wanted), rtol=1e-12, atol=0, equal_nan=True), (
                    f"step {counts[index]} ({described(of.rule, values)}): {found} instead of {wanted}"
                )


def flat(result: tuple[Sequence[object], Sequence[object]]) -> list[torch.Tensor]:
    """The row and the scalar states, each as a tensor."""
    return [torch.as_tensor(number, dtype=torch.float64) for part in result for number in part]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_every_construct_at_once(dtype: torch.dtype) -> None:
    """Branches in branches, constants of every kind, numbers for elements, names that kernels have uses for."""
    made = everything()
    generator = torch.Generator().manual_seed(0)
    for values in combinations(made):
        kernel = Training.start(made, values, torch.randn(300, generator=generator, dtype=torch.float64).to(dtype))
        truth: list[float] = kernel.param.tolist()
        states: list[dict[str, float]] = [{} for _ in truth]
        for _ in range(6):
            grad = 2 * torch.randn(300, generator=generator, dtype=torch.float64).to(dtype)
            kernel.step_triton(grad)
            steps = [
                interpret(made.rule, values, state, p, g, arithmetic=FLOATS)
                for state, p, g in zip(states, truth, grad.tolist(), strict=True)
            ]
            truth, states = [s.param for s in steps], [s.state for s in steps]  # type: ignore[misc]
        tolerance = 1e-5 if dtype is torch.float32 else 1e-13
        for found, wanted in ((kernel.param, truth), (kernel.states["seen"], [s["seen"] for s in states])):
            expected = torch.tensor(wanted, dtype=torch.float64)
            assert torch.allclose(found.double(), expected, rtol=tolerance, atol=tolerance), described(
                made.rule, values
            )
        assert kernel.states["rate"].item() == states[0]["rate"]
