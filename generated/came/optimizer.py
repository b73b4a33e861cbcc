# Generated from specs/came.yaml by thetac 0.1.0; do not edit.
"""CAME: its documentation, its constructor, and what the runtime has to know of it."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac.runtime.optimizer import Optimizer
from thetac.runtime.schema import Hyperparameter, Interval, Requirement, Schema, Specialisation, State


class CAME(Optimizer):
    """Factored second moments like Adafactor's, and steps damped where they are unsteady.

    Each step does this to every parameter::

        if maximize:
          grad = -grad                             # maximize
        if weight_decay != 0:
          param = param * (1 - lr * weight_decay)  # weight decay
        square = grad * grad + eps1
        if rank(param) > 1:
          exp_avg_sq_row = beta2 * exp_avg_sq_row + (1 - beta2) * mean(square, axis=-1)
          exp_avg_sq_col = beta2 * exp_avg_sq_col + (1 - beta2) * mean(square, axis=-2)
          scaled = grad * (rsqrt(exp_avg_sq_row / mean(exp_avg_sq_row, axis=-2)) *
              rsqrt(exp_avg_sq_col))
        else:
          exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * square
          scaled = grad * rsqrt(exp_avg_sq)
        scaled = scaled / maximum(rms(scaled) / clip_threshold, 1)
        exp_avg = beta1 * exp_avg + (1 - beta1) * scaled
        direction = exp_avg
        if rank(param) > 1:
          instability = (scaled - exp_avg) ** 2 + eps2
          exp_avg_res_row = beta3 * exp_avg_res_row + (1 - beta3) * mean(instability, axis=-1)
          exp_avg_res_col = beta3 * exp_avg_res_col + (1 - beta3) * mean(instability, axis=-2)
          direction = exp_avg * (rsqrt(exp_avg_res_row / mean(exp_avg_res_row, axis=-2)) *
              rsqrt(exp_avg_res_col))
        param = param - lr * direction

    Args:
        params: parameters, or groups of them, to optimize
        lr (float or Tensor, default: 0.0002, lr >= 0): learning rate
        eps (tuple of 2, float, default: (1e-30, 1e-16), each >= 0): terms added to the squared gradient
            and to the instability
        clip_threshold (float, default: 1.0, clip_threshold > 0): the root mean square above which an
            update is scaled down
        betas (tuple of 3, float, default: (0.9, 0.999, 0.9999), each in [0, 1]): coefficients of the
            running averages of the update, the squared gradient and the instability
        weight_decay (float, default: 0.0, weight_decay >= 0): each step takes away lr * weight_decay of
            the parameter
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
        ValueError: params is empty; a hyperparameter is NaN or out of its range
        TypeError: params holds something other than tensors, or a hyperparameter is not a number
        RuntimeError: fused is combined with foreach or differentiable

    State of a parameter, in float32 4 bytes per element, 4/columns + 4/rows + 4/columns + 4/rows more
            if rank(param) > 1, 4 more if rank(param) <= 1:
        exp_avg: running average of the update; like the parameter, at first 0
        exp_avg_sq_row: running average of the rows' mean squared gradients; one number per row, at
            first 0, if rank(param) > 1
        exp_avg_sq_col: running average of the columns' mean squared gradients; one number per column,
            at first 0, if rank(param) > 1
        exp_avg_res_row: running average of the rows' mean instability; one number per row, at first 0,
            if rank(param) > 1
        exp_avg_res_col: running average of the columns' mean instability; one number per column, at
            first 0, if rank(param) > 1
        exp_avg_sq: running average of the squared gradient; like the parameter, at first 0, if
            rank(param) <= 1

    Half precision:
        - float16 and bfloat16 parameters are computed in float32, and results rounded once.

    Notes:
        - lr has no default in the authors' code; 2e-4 is that of their README. There it must be above
          0; here it may be 0.
        - Nothing corrects the bias of averages that start from 0, as in the authors' code.
        - A parameter with less than two axes keeps all second moments, and its steps are not damped.
        - States of rows and columns keep the axis that is averaged, with size 1. The authors' state
          RMS, which nothing reads, is left out.

    References:
        - Luo et al., CAME: Confidence-guided Adaptive Memory Efficient Optimization, ACL 2023,
          Algorithm 2, arXiv:2307.02047
        - yangluo7/CAME, came_pytorch/CAME.py of version 0.1.3 (the authors' code)

    Example::

        optimizer = CAME(model.parameters())
        loss(model(input), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    """

    schema: ClassVar[Schema] = Schema(
        contract=1,
        name="CAME",
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
                "eps",
                elements=("eps1", "eps2"),
                intervals=(Interval(0.0, float("inf"), True, True), Interval(0.0, float("inf"), True, True)),
                is_tuple=True,
                tensor=False,
                error="Invalid eps value at index {index}: {value}",
            ),
            Hyperparameter(
                "clip_threshold",
                elements=("clip_threshold",),
                intervals=(Interval(0.0, float("inf"), False, True),),
                is_tuple=False,
                tensor=False,
                error="Invalid clip_threshold value: {value}",
            ),
            Hyperparameter(
                "betas",
                elements=("beta1", "beta2", "beta3"),
                intervals=(
                    Interval(0.0, 1.0, True, True), Interval(0.0, 1.0, True, True), Interval(0.0, 1.0, True, True)
                ),
                is_tuple=True,
                tensor=False,
                error="Invalid beta parameter at index {index}: {value}",
            ),
            Hyperparameter(
                "weight_decay",
                elements=("weight_decay",),
                intervals=(Interval(0.0, float("inf"), True, True),),
                is_tuple=False,
                tensor=False,
                error="Invalid weight_decay value: {value}",
            ),
        ),
        flags=(),
        states=(
            State(
                "exp_avg",
                argument="exp_avgs",
                kind="tensor",
                init=None,
                when=None,
                on_param_device=False,
            ),
            State(
                "exp_avg_sq_row",
                argument="exp_avg_sq_rows",
                kind="tensor",
                init=None,
                when=None,
                on_param_device=False,
                when_shape=lambda group, shape: shape["rank"] > 1,
                dims=("rows", "1"),
            ),
            State(
                "exp_avg_sq_col",
                argument="exp_avg_sq_cols",
                kind="tensor",
                init=None,
                when=None,
                on_param_device=False,
                when_shape=lambda group, shape: shape["rank"] > 1,
                dims=("1", "columns"),
            ),
            State(
                "exp_avg_res_row",
                argument="exp_avg_res_rows",
                kind="tensor",
                init=None,
                when=None,
                on_param_device=False,
                when_shape=lambda group, shape: shape["rank"] > 1,
                dims=("rows", "1"),
            ),
            State(
                "exp_avg_res_col",
                argument="exp_avg_res_cols",
                kind="tensor",
                init=None,
                when=None,
                on_param_device=False,
                when_shape=lambda group, shape: shape["rank"] > 1,
                dims=("1", "columns"),
            ),
            State(
                "exp_avg_sq",
                argument="exp_avg_sqs",
                kind="tensor",
                init=None,
                when=None,
                on_param_device=False,
                when_shape=lambda group, shape: shape["rank"] <= 1,
            ),
        ),
        requirements=(
        ),
        specialisations=(
            Specialisation("maximize", holds=lambda group: group.get("maximize", False)),
            Specialisation("weight_decay_nonzero", holds=lambda group: group["weight_decay"] != 0),
            Specialisation("param_rank_above_one", holds_for=lambda group, shape: shape["rank"] > 1),
        ),
        options=("maximize", "foreach", "capturable", "differentiable", "fused", "clip_grad_norm"),
        half_precision="float32",
        refusable=("lr", "beta1", "beta2", "beta3"),
        sparse="unsupported",
        sparse_error="CAME does not support sparse gradients.",
        decays_gradient=lambda group: False,
        state_at_construction=False,
        foreach_temporaries=9,
        traffic=lambda known: {
            "param": 2,
            "grad": 2 + known["param_rank_above_one"],
            "exp_avg": 3,
            "exp_avg_sq": 3 * (not known["param_rank_above_one"]),
            "exp_avg_sq_row": 2 * known["param_rank_above_one"],
            "exp_avg_sq_col": 2 * known["param_rank_above_one"],
            "exp_avg_res_row": 2 * known["param_rank_above_one"],
            "exp_avg_res_col": 2 * known["param_rank_above_one"],
        },
        has_axes=True,
        reread=("exp_avg",),
        shape_numbers=("rank", "size", "rows", "columns"),
        shape_conditions=("rank",),
        reduces=True,
        complex_error="CAME does not support complex parameters",
    )

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 0.0002,
        eps: tuple[float, float] = (1e-30, 1e-16),
        clip_threshold: float = 1.0,
        betas: tuple[float, float, float] = (0.9, 0.999, 0.9999),
        weight_decay: float = 0.0,
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
                "eps": eps,
                "clip_threshold": clip_threshold,
                "betas": betas,
                "weight_decay": weight_decay,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "clip_grad_norm": clip_grad_norm,
            },
        )
