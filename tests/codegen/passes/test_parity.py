"""Which sums would add real to imaginary parts of complex parameters: those that change sign with their elements."""

from __future__ import annotations

import pytest

from tests.support.front_end import front_end
from thetac.codegen.errors import SpecError

SPEC = """\
optimizer: Example
summary: A sum of elements.
hyperparameters: {{lr: {{default: 0.1}}, beta: {{default: 0.9, doc: decay}}}}
state:
  step: counter
  average: {{init: zeros}}
  squares: {{init: zeros}}
  origin: {{init: param}}
{complex}update: |
  average = lerp(average, grad, 1 - beta)
  squares = beta * squares + grad * grad
  direction = average / sqrt(squares)
  if step % 2 == 0:
    direction = average
  number = {number}
  param = param - lr * direction * number / origin
"""
REFUSED = (
    *("sum(grad)", "sum(param - origin)", "sum(-direction)", "sum(average * lr)", "sum(1 + grad)", "sum(grad / step)"),
    *("sum(grad * squares)", "sum(average / sqrt(squares))", "sum(grad ** 3)", "sum(sign(grad))", "sum(cbrt(grad))"),
    *("sum(where(grad * average > 0, grad, 0))", "sum(grad * abs(average))", "sum(lerp(grad, param, beta))"),
    *("dot(grad, 1 - beta)", "dot(grad * grad, param)", "1 + total(sum(grad)) / 2", "sum(grad) / norm(grad)"),
    *("sum(grad * norm(grad))", "sum(where(step > 2, grad, squares))", "sum(grad / param ** 2)"),
)
ALLOWED = (
    *("sum(grad * grad)", "sum(squares)", "dot(grad, param - origin)", "sum(abs(grad))", "sum(direction * average)"),
    *("norm(grad)", "sum(grad ** 2)", "dot(sign(grad), grad)", "sum(grad ** 4 / squares)", "sum(sqrt(squares))"),
    *("sum(lerp(squares, grad * grad, beta))", "norm(direction)", "sum(where(grad > 0, grad, -grad))"),
    *("total(sum(grad * average))", "sum(exp(grad))", "sum(grad / param)", "sum(maximum(squares, average ** 2))"),
)


@pytest.mark.parametrize("number", REFUSED)
def test_a_sum_of_parts_is_refused(number: str) -> None:
    with pytest.raises(SpecError, match=r"^\S+ `(sum|dot)` adds real to imaginary parts of complex parameters\n"):
        front_end({"one.yaml": SPEC.format(number=number, complex="")})
    assert front_end({"one.yaml": SPEC.format(number=number, complex="complex: unsupported\n")})


@pytest.mark.parametrize("number", ALLOWED)
def test_a_sum_over_complex_numbers_is_allowed(number: str) -> None:
    assert front_end({"one.yaml": SPEC.format(number=number, complex="")})


def test_what_may_be_either_is_not_refused() -> None:
    text = SPEC.format(number="sum(direction)", complex="").replace(
        "direction = average\n", "direction = grad * grad\n"
    )
    assert front_end({"one.yaml": text}), "which of the two it is depends on the step"
