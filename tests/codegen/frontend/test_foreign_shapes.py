"""What authors are told to write instead of a question about a shape, or a reduction along axes, gives the same."""

from __future__ import annotations

import ast
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from thetac.codegen.frontend.translate import NOTHING_DECLARED, Translation
from thetac.shape_numbers import SHAPE_NUMBERS, shape_numbers

GRAD = torch.tensor([[1.0, -2.0, 0.5], [4.0, 3.0, -7.0]], dtype=torch.float64)
EPSILON = 2.0**-52
LIBRARIES = {"torch": torch, "np": np, "math": math, "grad": GRAD, "param": GRAD, "float": float, "len": len}


def reduced(name: str, x: Tensor, axis: int | None) -> Tensor:
    along = (-1, -2) if axis is None else axis
    functions = {
        "sum": torch.sum,
        "mean": torch.mean,
        "norm": torch.linalg.vector_norm,
        "max": torch.amax,
        "min": torch.amin,
    }
    return torch.as_tensor(functions[name](x, dim=along, keepdim=True))


LANGUAGE = {
    "abs": torch.abs,
    "grad": GRAD,
    "param": GRAD,
    **{name: lambda x, axis=None, name=name: reduced(name, x, axis) for name in ("sum", "mean", "norm", "max", "min")},
    **{
        name: lambda x, name=name: torch.tensor(shape_numbers(x.shape, EPSILON)[name], dtype=torch.float64)
        for name in SHAPE_NUMBERS
    },
}


def translated(code: str) -> str:
    return Translation(code, NOTHING_DECLARED).text(ast.parse(code, mode="eval").body)


@pytest.mark.parametrize(
    "code",
    [
        *("param.numel()", "grad.nelement()", "torch.numel(param)", "np.size(param.numpy())", "np.ndim(grad.numpy())"),
        *("np.prod(param.shape)", "math.prod(grad.shape)", "param.shape.numel()"),
        *("param.ndim", "param.dim()", "len(param)", "len(grad.shape)", "torch.finfo(grad.dtype).eps"),
        *("param.size(0)", "param.size(dim=1)", "param.size()[-2]", "grad.shape[-1]", "grad.shape[0]"),
        *("grad.sum(dim=-1)", "grad.sum(1)", "torch.sum(grad, 0)", "torch.sum(grad, dim=None)"),
        *("torch.mean(grad * grad, dim=-2, keepdim=True)", "np.sum(grad.numpy(), axis=0)", "grad.mean(-2)"),
        *("grad.amax(dim=-1)", "torch.amin(grad, 0)", "torch.norm(grad, dim=-1)", "grad.norm(2, dim=0)"),
        *("grad.norm(p=1)", "torch.norm(grad, float('inf'), -1)", "torch.linalg.vector_norm(grad, ord=2, dim=1)"),
        *("torch.sum(input=grad, axis=1)", "torch.sum(grad, dim=1, dtype=torch.float64)"),
    ],
)
def test_what_is_to_be_written_gives_the_same(code: str) -> None:
    expected = torch.as_tensor(eval(code, LIBRARIES), dtype=torch.float64)
    given = torch.as_tensor(eval(translated(code), LANGUAGE), dtype=torch.float64)
    torch.testing.assert_close(given.flatten(), expected.flatten(), rtol=1e-14, atol=0)


@pytest.mark.parametrize(
    "code",
    [
        *("lr.numel()", "len(betas)", "exp_avg.shape[0]", "param.shape[2]", "param.size(step)", "param.shape[True]"),
        *("torch.finfo(torch.float32).eps", "grad.sum(dim=(0, 1))", "grad.sum(dim=2)", "grad.sum(dim=axis)"),
        *("grad.norm(p=3)", "torch.norm(grad, grad)", "torch.sum(grad, dim=0, axis=1)", "sum(grad, other=lr)"),
    ],
)
def test_nothing_is_said_of_other_shapes_axes_and_norms(code: str) -> None:
    assert translated(code) == ""
