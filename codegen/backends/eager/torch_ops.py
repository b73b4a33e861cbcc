"""The torch operations that element expressions are lowered to, and how the for-loop and foreach write each.

Functions of one argument have their rows from the registry. `{0}` is the tensor that an operation is a method of, the
rest its arguments; `{out}` the tensor that an in-place form without a method writes to. An empty in-place form: the
operation always makes a new tensor. An empty foreach form: torch has no list operation with the same bits, and foreach
loops over the tensors instead. A reduction has a row for everything, which gives a 0-d tensor, and one for each axis
(`row_along`), which keeps that axis with the size 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from thetac.codegen.ir.ops import ELEMENT_FUNCTIONS, OPS
from thetac.codegen.ir.printer import Precedence, row_along
from thetac.codegen.ir.reductions import ALL_AXES, AXES_OF_MATRIX


@dataclass(frozen=True, slots=True)
class TorchOp:
    """How one torch operation is written."""

    new: str  # for-loop, makes a new tensor
    in_place: str = ""  # for-loop, overwrites {0}
    foreach: str = ""  # foreach, makes a new list
    foreach_in_place: str = ""  # foreach, overwrites {0}; statements
    precedence: Precedence = Precedence.ATOM  # of `new`
    refuses: tuple[int, ...] = ()  # arguments that torch refuses if they are numbers beyond the tensor's dtype
    refuses_late: bool = False  # only numbers beyond float32, of float16 too


def _method(name: str, arguments: str = "", refuses: tuple[int, ...] = (), *, refuses_late: bool = False) -> TorchOp:
    """Return an operation that is a method in the for-loop and `torch._foreach_name` in foreach."""
    separator = ", " if arguments else ""
    return TorchOp(
        f"{{0}}.{name}({arguments})",
        f"{{0}}.{name}_({arguments})",
        f"torch._foreach_{name}({{0}}{separator}{arguments})",
        f"torch._foreach_{name}_({{0}}{separator}{arguments})",
        refuses=refuses,
        refuses_late=refuses_late,
    )


_OF_EVERYTHING: Mapping[str, TorchOp] = {
    "sum": TorchOp("{0}.sum()"),
    "mean": TorchOp("{0}.mean()"),
    "norm": TorchOp("{0}.norm()", foreach="torch._foreach_norm({0})"),
    # torch's own raise for a tensor without elements.
    "max": TorchOp("largest({0})"),
    "min": TorchOp("smallest({0})"),
}
_ALONG_AXIS = {
    "sum": "{0}.sum(AXIS, keepdim=True)",
    "mean": "{0}.mean(AXIS, keepdim=True)",
    "norm": "{0}.norm(dim=AXIS, keepdim=True)",
    "max": "largest({0}, AXIS)",
    "min": "smallest({0}, AXIS)",
}
# Of runtime/tensors.py, along all axes but the first: how many there are differs between parameters.
_ALONG_REST = {
    "sum": "sum_of_rest",
    "mean": "mean_of_rest",
    "norm": "norm_of_rest",
    "max": "largest_of_rest",
    "min": "smallest_of_rest",
}
FUNCTIONS_OF_ROWS = (*_ALONG_REST.values(), "mean_of_blocks")


def _along(name: str, axis: int) -> TorchOp:
    """Return a reduction along an axis, which stays with the size 1."""
    if axis == AXES_OF_MATRIX[-1]:
        return TorchOp(f"{_ALONG_REST[name]}({{0}})")
    return TorchOp(_ALONG_AXIS[name].replace("AXIS", str(axis)))


TORCH_OPS: Mapping[str, TorchOp] = {
    **_OF_EVERYTHING,
    **{row_along(OPS[name], axis): _along(name, axis) for name in _ALONG_AXIS for axis in ALL_AXES},
    # A function of one argument is torch's of that name. Others have rows: which arguments may be numbers differs.
    **{op.name: _method(op.name) for op in ELEMENT_FUNCTIONS if op.arity == 1},
    "add": _method("add", "{1}"),
    "add_number": _method("add", "{1}"),
    "add_scaled": _method("add", "{1}, alpha={2}", refuses=(2,)),
    "sub": _method("sub", "{1}"),
    "sub_number": _method("sub", "{1}"),
    "mul": _method("mul", "{1}"),
    # In place, the list form rounds the number to bfloat16 and float16 first; the runtime's `scale_` does not.
    "mul_number": TorchOp("{0}.mul({1})", "{0}.mul_({1})", "torch._foreach_mul({0}, {1})", "scale_({0}, {1})"),
    "div": _method("div", "{1}"),
    "div_number": _method("div", "{1}"),
    "addcmul": _method("addcmul", "{1}, {2}, value={3}", refuses=(3,), refuses_late=True),
    "addcdiv": _method("addcdiv", "{1}, {2}, value={3}", refuses=(3,), refuses_late=True),
    "lerp": _method("lerp", "{1}, {2}", refuses=(2,), refuses_late=True),
    "neg": _method("neg"),
    "reciprocal": _method("reciprocal"),
    "pow": _method("pow", "{1}"),
    "pow_number": _method("pow", "{1}", refuses=(1,)),
    "pow_of_number": TorchOp("torch.pow({1}, {0})", foreach="torch._foreach_pow({1}, {0})"),
    "cbrt": TorchOp("cbrt({0})", foreach="cube_roots({0})"),  # of runtime/tensors.py: torch has none
    "inverse_hessian": TorchOp("inverse_hessian({0}, {1})"),  # these two are of runtime/drivers/history.py
    "remember": TorchOp("remember({0}, {1}, {2}, {3})"),
    "mean_of_blocks": TorchOp("mean_of_blocks({0}, {1})"),
    "atan2": TorchOp("torch.atan2({0}, {1})", "{0}.atan2_({1})"),
    "atan2_of_number": TorchOp("torch.atan2({1}, {0})"),
    "maximum": TorchOp(
        "torch.maximum({0}, {1})",
        "torch.maximum({0}, {1}, out={out})",
        "torch._foreach_maximum({0}, {1})",
        "torch._foreach_maximum_({0}, {1})",
    ),
    "minimum": TorchOp(
        "torch.minimum({0}, {1})",
        "torch.minimum({0}, {1}, out={out})",
        "torch._foreach_minimum({0}, {1})",
        "torch._foreach_minimum_({0}, {1})",
    ),
    "clamp": TorchOp(
        "{0}.clamp({1}, {2})",
        "{0}.clamp_({1}, {2})",
        foreach_in_place="torch._foreach_clamp_min_({0}, {1})\ntorch._foreach_clamp_max_({0}, {2})",
        refuses=(1, 2),
    ),
    "clamp_min": TorchOp(
        "{0}.clamp(min={1})",
        "{0}.clamp_(min={1})",
        "torch._foreach_clamp_min({0}, {1})",
        "torch._foreach_clamp_min_({0}, {1})",
        refuses=(1,),
    ),
    "clamp_max": TorchOp(
        "{0}.clamp(max={1})",
        "{0}.clamp_(max={1})",
        "torch._foreach_clamp_max({0}, {1})",
        "torch._foreach_clamp_max_({0}, {1})",
        refuses=(1,),
    ),
    "where": TorchOp("torch.where({0}, {1}, {2})", refuses=(1, 2)),
    "choose": TorchOp("{1} if {0} else {2}", precedence=Precedence.CONDITIONAL),
    "clone": TorchOp("{0}.clone()"),
    "full_like": TorchOp("torch.full_like(param, {0})", refuses=(0,)),
    # A number in the parameter's dtype, where torch would take float32.
    "full": TorchOp("param.new_full((), {0})", refuses=(0,)),
    "truth": TorchOp("torch.tensor({0}, device=param.device)"),
    "gt": TorchOp("{0} > {1}", precedence=Precedence.COMPARISON),
    "ge": TorchOp("{0} >= {1}", precedence=Precedence.COMPARISON),
    "lt": TorchOp("{0} < {1}", precedence=Precedence.COMPARISON),
    "le": TorchOp("{0} <= {1}", precedence=Precedence.COMPARISON),
    "eq": TorchOp("{0} == {1}", precedence=Precedence.COMPARISON),
    "ne": TorchOp("{0} != {1}", precedence=Precedence.COMPARISON),
    "and": TorchOp("{0}.logical_and({1})"),
    "or": TorchOp("{0}.logical_or({1})"),
    "not": TorchOp("{0}.logical_not()"),
}
