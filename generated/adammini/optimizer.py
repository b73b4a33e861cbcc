# Generated from specs/adam_mini.yaml by thetac 0.1.0; do not edit.
"""AdamMini: its documentation, its constructor, and what the runtime has to know of it."""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac.runtime.optimizer import Optimizer
from thetac.runtime.schema import (
    Choice, DerivedFlag, Hyperparameter, Interval, Requirement, Schema, ShapeRequirement, Specialisation, State
)


class AdamMini(Optimizer):
    """Adam with one second moment for each block of a parameter instead of each element.

    Each step (`step` is 1 in the first) does this to every parameter::

        if maximize:
          grad = -grad                             # maximize
        if weight_decay != 0:
          param = param * (1 - lr * weight_decay)  # weight decay
        m = lerp(m, grad, 1 - beta1)
        rate = lr / (1 - beta1 ** step)
        correction = sqrt(1 - beta2 ** step)
        if blocks == "element":
          v = beta2 * v + (1 - beta2) * grad * grad
          param = param - rate * m / (sqrt(v) / correction + eps)
        if (blocks == "row" or blocks == "head") and rank(param) > 1:
          square = mean(grad * grad, axis=-1)
          if blocks == "head":
            square = mean_of_blocks(square, n_heads)
          v_row = beta2 * v_row + (1 - beta2) * square
          param = param - m * (rate / (sqrt(v_row) / correction + eps))
        if blocks == "tensor" or blocks == "row" and rank(param) <= 1:
          vmean = beta2 * vmean + (1 - beta2) * mean(grad * grad)
          param = param - m * (rate / (sqrt(vmean) / correction + eps))

    Args:
        params: parameters, or groups of them, to optimize
        lr (float or Tensor, default: 0.001, lr >= 0): learning rate
        betas (tuple of 2, float, default: (0.9, 0.999), each in [0, 1)): coefficients of the running
            averages
        eps (float, default: 1e-08, eps >= 0): term added to the denominator for numerical stability
        weight_decay (float, default: 0.0, weight_decay >= 0): each step takes away lr * weight_decay of
            the parameter
        blocks ("tensor" or "row" or "head" or "element", default: "tensor"): what shares a second
            moment
        n_heads (int, default: 32, n_heads >= 1 and finite): with head: number of blocks of rows, all
            equally high
        maximize (bool, default: False): maximize the objective instead of minimizing it
        foreach (bool or None, default: None): work on lists of tensors; by default where that is the
            fastest that fits
        capturable (bool, default: False): keep step counts on the device, so that a step can be
            captured in a CUDA graph
        differentiable (bool, default: False): let autograd run through the step
        fused (bool or None, default: None): do a whole step in one kernel: Triton on a GPU, C++ on a
            CPU; by default where that fits
        clip_grad_norm (float or None, default: None): scale gradients down to this global norm within
            the step; the gradients themselves stay as they are

    Raises:
        ValueError: params is empty; a hyperparameter is NaN or out of its range; "parameter {index} has
            the shape {shape}, and no rows to divide among heads"; "the rows of parameter {index} with
            the shape {shape} cannot be divided equally among n_heads"
        TypeError: params holds something other than tensors, or a hyperparameter is not a number
        RuntimeError: fused is combined with foreach or differentiable

    State of a parameter, in float32 4 bytes per element, 4 more if blocks == "element", 4/columns more
            if (blocks == "row" or blocks == "head") and rank(param) > 1:
        step: 0-d, the number of steps
        m: running average of the gradient; like the parameter, at first 0
        v: running average of the squared gradient; like the parameter, at first 0, if blocks ==
            "element"
        v_row: running average of the rows' or heads' mean squared gradients; one number per row, at
            first 0, if (blocks == "row" or blocks == "head") and rank(param) > 1
        vmean: running average of the mean squared gradient; 0-d, a number on the parameter's device, at
            first 0, if blocks == "tensor" or blocks == "row" and rank(param) <= 1

    Half precision:
        - float16 and bfloat16 parameters are computed in float32, and results rounded once.

    Notes:
        - The authors choose blocks by a parameter's name; here a parameter group names them: head for
          queries and keys, row for embeddings, output, value, projection and MLP matrices, element for
          biases, tensor for the rest.
        - The authors' heads have dim * dim / n_heads elements; here n_heads is that of the group's
          parameters, such as the authors' n_kv_heads for keys, and each row keeps a copy of its head's
          average.
        - The authors leave out the decay of parameters whose names say norm, ln or bias; here their
          group has weight_decay=0.
        - With row, a parameter with less than two axes is one block; with more than two, a row is what
          belongs to one index of the first.

    References:
        - Zhang et al., Adam-mini: Use Fewer Learning Rates To Gain More, ICLR 2025, arXiv:2406.16793
        - zyushun/Adam-mini, adam_mini.py of adam-mini 1.1.1 (the authors' code)

    Example::

        optimizer = AdamMini(model.parameters())
        loss(model(input), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    """

    schema: ClassVar[Schema] = Schema(
        contract=1,
        name="AdamMini",
        package=__name__.rpartition(".")[0],
        hyperparameters=(
            Hyperparameter(
                "lr",
                elements=("lr",),
                intervals=(Interval(0.0, float("inf"), True, True),),
                is_tuple=False,
                tensor=True,
                error="Invalid learning rate: {value}",
            ),
            Hyperparameter(
                "betas",
                elements=("beta1", "beta2"),
                intervals=(Interval(0.0, 1.0, True, False), Interval(0.0, 1.0, True, False)),
                is_tuple=True,
                tensor=False,
                error="Invalid beta parameter at index {index}: {value}",
            ),
            Hyperparameter(
                "eps",
                elements=("eps",),
                intervals=(Interval(0.0, float("inf"), True, True),),
                is_tuple=False,
                tensor=False,
                error="Invalid epsilon value: {value}",
            ),
            Hyperparameter(
                "weight_decay",
                elements=("weight_decay",),
                intervals=(Interval(0.0, float("inf"), True, True),),
                is_tuple=False,
                tensor=False,
                error="Invalid weight_decay value: {value}",
            ),
            Hyperparameter(
                "n_heads",
                elements=("n_heads",),
                intervals=(Interval(1.0, float("inf"), True, False),),
                is_tuple=False,
                tensor=False,
                error="Invalid n_heads value: {value}",
                integer=True,
            ),
        ),
        flags=(),
        choices=(
            Choice(
                "blocks",
                choices=("tensor", "row", "head", "element"),
                error='Invalid blocks value: {0}; it must be "tensor", "row", "head" or "element"',
            ),
        ),
        derived=(
            DerivedFlag("blocks_is_tensor", holds=lambda group: (group["blocks"] == "tensor")),
            DerivedFlag("blocks_is_row", holds=lambda group: (group["blocks"] == "row")),
            DerivedFlag("blocks_is_head", holds=lambda group: (group["blocks"] == "head")),
            DerivedFlag("blocks_is_element", holds=lambda group: (group["blocks"] == "element")),
        ),
        states=(
            State(
                "step",
                argument="steps",
                kind="counter",
                init=None,
                when=None,
                on_param_device=False,
            ),
            State(
                "m",
                argument="ms",
                kind="tensor",
                init=None,
                when=None,
                on_param_device=False,
            ),
            State(
                "v",
                argument="vs",
                kind="tensor",
                init=None,
                when=lambda group: (group["blocks"] == "element"),
                on_param_device=False,
            ),
            State(
                "v_row",
                argument="v_rows",
                kind="tensor",
                init=None,
                when=None,
                on_param_device=False,
                when_shape=lambda group,
                shape: ((group["blocks"] == "row") or (group["blocks"] == "head")) and shape["rank"] > 1,
                dims=("rows", "1"),
                of_matrix=True,
            ),
            State(
                "vmean",
                argument="vmeans",
                kind="number",
                init=None,
                when=None,
                on_param_device=False,
                when_shape=lambda group,
                shape: (group["blocks"] == "tensor") or (group["blocks"] == "row") and shape["rank"] <= 1,
            ),
        ),
        requirements=(
        ),
        specialisations=(
            Specialisation("maximize", holds=lambda group: group.get("maximize", False)),
            Specialisation("weight_decay_nonzero", holds=lambda group: group["weight_decay"] != 0),
            Specialisation("blocks_is_element", holds=lambda group: (group["blocks"] == "element")),
            Specialisation("blocks_is_row", holds=lambda group: (group["blocks"] == "row")),
            Specialisation("blocks_is_head", holds=lambda group: (group["blocks"] == "head")),
            Specialisation("param_rank_above_one", holds_for=lambda group, shape: shape["rank"] > 1),
            Specialisation("blocks_is_tensor", holds=lambda group: (group["blocks"] == "tensor")),
            Specialisation("param_rank_at_most_one", holds_for=lambda group, shape: shape["rank"] <= 1),
        ),
        options=("maximize", "foreach", "capturable", "differentiable", "fused", "clip_grad_norm"),
        half_precision="float32",
        refusable=("lr", "beta1", "beta2"),
        sparse="unsupported",
        sparse_error="AdamMini does not support sparse gradients",
        decays_gradient=lambda group: False,
        state_at_construction=False,
        foreach_temporaries=2,
        traffic=lambda known: {
            "param": (
                known["blocks_is_element"]
                or (not known["blocks_is_head"] and not known["blocks_is_row"] or not known["param_rank_above_one"])
                and (
                    (known["blocks_is_head"] or known["blocks_is_row"]) and known["param_rank_above_one"]
                    or known["blocks_is_row"] and known["param_rank_at_most_one"]
                )
                and (not known["blocks_is_row"] or not known["param_rank_at_most_one"])
                or (known["blocks_is_head"] or known["blocks_is_row"]) and known["param_rank_above_one"]
                or known["blocks_is_row"] and known["param_rank_at_most_one"]
                or known["blocks_is_tensor"]
                or known["weight_decay_nonzero"]
            )
            + (
                known["blocks_is_element"]
                or (known["blocks_is_head"] or known["blocks_is_row"]) and known["param_rank_above_one"]
                or known["blocks_is_row"] and known["param_rank_at_most_one"]
                or known["blocks_is_tensor"]
                or known["weight_decay_nonzero"]
            ),
            "grad": 1
            + (
                (known["blocks_is_head"] or known["blocks_is_row"]) and known["param_rank_above_one"]
                or known["blocks_is_row"] and known["param_rank_at_most_one"]
                or known["blocks_is_tensor"]
            ),
            "m": 2,
            "v": 2 * known["blocks_is_element"],
            "v_row": 2 * ((known["blocks_is_head"] or known["blocks_is_row"]) and known["param_rank_above_one"]),
            "vmean": 2 * (known["blocks_is_row"] and known["param_rank_at_most_one"] or known["blocks_is_tensor"]),
        },
        has_axes=True,
        view="matrix",
        separate_kernels=True,
        shape_requirements=(
            ShapeRequirement(
                holds=lambda group, shape: not (group["blocks"] == "head") or shape["rank"] > 1,
                message="parameter {index} has the shape {shape}, and no rows to divide among heads",
            ),
            ShapeRequirement(
                holds=lambda group,
                shape: not (group["blocks"] == "head") or shape["matrix_rows"] % group["n_heads"] == 0,
                message="the rows of parameter {index} with the shape {shape} cannot be divided equally among n_heads",
            ),
        ),
        shape_numbers=("rank", "size", "matrix_columns"),
        shape_conditions=("rank",),
        reduces=True,
        complex_error="AdamMini does not support complex parameters",
    )

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-08,
        weight_decay: float = 0.0,
        blocks: Literal["tensor", "row", "head", "element"] = "tensor",
        n_heads: int = 32,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        clip_grad_norm: float | None = None,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "blocks": blocks,
                "n_heads": n_heads,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "clip_grad_norm": clip_grad_norm,
            },
        )
