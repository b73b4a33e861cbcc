"""What authors are told to write instead of a function of torch or NumPy computes what that function does."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tests.support.front_end import front_end
from thetac.codegen.errors import MOST_DIAGNOSTICS, SpecError
from thetac.codegen.frontend import foreign
from thetac.codegen.ir.ops import FUNCTIONS

MASK = torch.tensor([True, False, True, True, False, False, True])
OPERANDS: Mapping[str, Tensor | float] = {
    "a": torch.tensor([-2.0, -0.5, 0.0, 0.25, 0.9, 2.0, 7.0], dtype=torch.float64),
    "b": torch.tensor([1.5, -0.5, 0.5, 3.0, -2.0, 2.0, 0.75], dtype=torch.float64),
    "c": torch.tensor([0.5, 2.0, -1.0, 1.5, 3.0, -0.25, 1.0], dtype=torch.float64),
    "mask": MASK,
    "condition": MASK,
    "alpha": 0.7,
    "value": 0.3,
    "slope": 0.1,
    "lambd": 0.4,
    "limit": 0.1,
    "low": -0.4,
    "high": 0.8,
    "min": -0.4,
    "max": 0.8,
}
BY_KEYWORD = ("alpha", "value", "min", "max")
SAME_AS = {  # as a function of the library, where it has that name for something else, for methods alone, or not at all
    "vector_norm": "norm",
    "equal": "eq",
    "pos": "positive",
    "expit": "sigmoid",
    "clip_min": "clamp_min",
    "clip_max": "clamp_max",
    "new_zeros": "zeros_like",
    "new_ones": "ones_like",
    "empty_like": "zeros_like",
    "new_empty": "zeros_like",
}


def tensor(value: object) -> Tensor:
    return torch.as_tensor(value, dtype=torch.float64)


def of_two(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[[object, object], Tensor]:
    return lambda a, b: function(tensor(a), tensor(b))


LANGUAGE = {
    **{name: getattr(torch, name) for name in ("sqrt", "abs", "sign", "exp", "clamp", "where", "floor", "cos", "tanh")},
    "atan2": of_two(torch.atan2),
    "pi": torch.pi,
    "log": lambda a: torch.log(tensor(a)),
    "maximum": of_two(torch.maximum),
    "minimum": of_two(torch.minimum),
    **{name: getattr(torch, name) for name in ("mean", "norm", "max", "sum")},
    "dot": torch.dot,
}


class OnElements(ast.NodeTransformer):
    """`and`, `or` and `not` as torch writes them of masks."""

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        self.generic_visit(node)
        left, right = node.values
        return ast.BinOp(left, ast.BitAnd() if isinstance(node.op, ast.And) else ast.BitOr(), right)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        self.generic_visit(node)
        return ast.UnaryOp(ast.Invert(), node.operand) if isinstance(node.op, ast.Not) else node


def meant(meaning: str, operands: Mapping[str, Tensor | float]) -> Tensor:
    operands = {name: value for name, value in operands.items() if f"{name}(" not in meaning}  # `max` is both
    tree = ast.fix_missing_locations(OnElements().visit(ast.parse(meaning, mode="eval")))
    return tensor(eval(compile(tree, "meaning", "eval"), {**LANGUAGE, **operands}))


def called(name: str, parameters: tuple[str, ...], operands: Mapping[str, Tensor | float]) -> Tensor:
    """What torch's function gives, or NumPy's where torch has none."""
    for library in (torch, torch.Tensor, functional):
        function = getattr(library, name, None) or getattr(library, f"{name}_", None)
        if function is not None:
            break
    given = [operands[parameter] for parameter in parameters]
    given[0] = given[0].clone() if isinstance(given[0], Tensor) else given[0]  # which the function may overwrite
    if function is None:
        with np.errstate(invalid="ignore"):
            return tensor(getattr(np, name)(*(one.numpy() if isinstance(one, Tensor) else one for one in given)))
    plain = [one for one, parameter in zip(given, parameters, strict=True) if parameter not in BY_KEYWORD]
    keywords = {parameter: operands[parameter] for parameter in parameters if parameter in BY_KEYWORD}
    try:
        return tensor(function(*plain, **keywords))
    except TypeError:
        return tensor(function(*given))


FORMS = [
    pytest.param(name, form, id=f"{name}({', '.join(form.parameters)})")
    for name in sorted(foreign.known_names() - FUNCTIONS.keys())
    for form in foreign.forms(name, method=False)
]


@pytest.mark.parametrize(("name", "form"), FORMS)
def test_what_is_to_be_written_computes_the_same(name: str, form: foreign.Form) -> None:
    operands = dict(OPERANDS)
    if name.startswith(("bitwise_", "logical_")):
        operands |= {"a": MASK, "b": MASK.roll(1)}
    wanted = called(SAME_AS.get(name, name), form.parameters, operands)
    written = meant(form.meaning, operands)
    assert torch.allclose(written.expand(wanted.shape), wanted, equal_nan=True)


SPEC = """\
optimizer: A
summary: A method.
hyperparameters: {lr: {default: 1}}
update: |
  param = param - lr * EXPRESSION
"""


def told(expression: str) -> str:
    with pytest.raises(SpecError) as raised:
        front_end({"a.yaml": SPEC.replace("EXPRESSION", expression)})
    (mistake,) = raised.value.diagnostics
    return mistake.remedy


@pytest.mark.parametrize("library", [torch, torch.Tensor, np], ids=["torch", "Tensor", "numpy"])
def test_every_function_has_a_remedy(library: object) -> None:
    """Whether called as a function, as a method, or read as an attribute: one mistake, with something to do."""
    names = [name for name in dir(library) if not name.startswith("_")]
    forms = ("grad.{}(param)", "torch.{}(grad)", "np.{}(grad, param)", "grad.{}")
    parts = [names[at : at + MOST_DIAGNOSTICS] for at in range(0, len(names), MOST_DIAGNOSTICS)]
    for form, some in itertools.product(forms, parts):
        lines = [f"  x = {form.format(name)}" for name in some]
        with pytest.raises(SpecError) as raised:
            front_end({"a.yaml": "\n".join((*SPEC.splitlines()[:4], *lines, ""))})
        mistakes = raised.value.diagnostics
        assert [mistake.location.line for mistake in mistakes] == list(range(5, 5 + len(lines))), "one for each"
        assert [str(mistake) for mistake in mistakes if not mistake.remedy] == []


@pytest.mark.parametrize(
    ("written", "remedy"),
    [
        ("grad.pow(2)", "write `grad ** 2`"),
        ("(grad + param).sqrt()", "write `sqrt(grad + param)`"),
        ("grad.mul(2 - lr).add(param, alpha=-lr)", "write `grad * (2 - lr) - lr * param`"),
        ("torch.where(grad.gt(0), grad, -param)", "write `where(grad > 0, grad, -param)`"),
        ("torch.clamp(input=grad, min=1e-8)", "write `maximum(grad, 1e-8)`"),
        ("np.clip(grad, a_min=-1, a_max=1)", "write `clamp(grad, -1, 1)`"),
        ("torch.lerp(grad, param, weight=lr)", "write `lerp(grad, param, lr)`"),
        ("torch._foreach_mul(grad, param)", "write `grad * param`"),
        ("grad.addcdiv_(param, grad.abs(), value=lr)", "write `grad + lr * param / abs(grad)`"),
        ("torch.nn.functional.softshrink(grad, lr)", "write `sign(grad) * maximum(abs(grad) - lr, 0)`"),
        ("grad.where(grad > 0, param)", "write `where(grad > 0, grad, param)`"),
    ],
)
def test_what_is_to_be_written_has_the_authors_own_operands(written: str, remedy: str) -> None:
    assert told(written) == remedy
    meaning = remedy.removeprefix("write `").rstrip("`")
    assert front_end({"a.yaml": SPEC.replace("EXPRESSION", f"({meaning})")})
