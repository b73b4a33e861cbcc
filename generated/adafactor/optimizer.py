# Generated from specs/adafactor.yaml by thetac 0.1.0; do not edit.
"""Adafactor: its documentation, its constructor, and what the runtime has to know of it."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac.runtime.optimizer import Optimizer
from thetac.runtime.schema import DerivedFlag, Hyperparameter, Interval, Requirement, Schema, Specialisation, State


class Adafactor(Optimizer):
    """Adam without a first moment, whose second moment of a matrix is one number per row and column.

    Each step (`step` is 1 in the first) does this to every parameter::

        if maximize:
          grad = -grad  # maximize
        weight = step ** beta2_decay
        relative = 1 / step ** 0.5
        rho = where(relative < lr, relative, lr)
        scale = norm(param) / size(param) ** 0.5
        alpha = where(scale > eps2, scale, eps2) * rho
        if weight_decay != 0:
          param = param * (1 - lr * weight_decay)
        if rank(param) > 1:
          row_var = lerp(row_var, norm(grad, axis=-1) ** 2 / columns(param), weight)
          col_var = lerp(col_var, norm(grad, axis=-2) ** 2 / rows(param), weight)
          estimate = row_var * col_var / maximum(mean(row_var, axis=-2), eps1)
        else:
          variance = lerp(variance, grad * grad, weight)
          estimate = variance
        change = rsqrt(maximum(estimate, eps1 * eps1)) * grad
        ratio = norm(change) / (size(param) ** 0.5 * d)
        denom = where(ratio > 1, ratio, 1)
        param = param - alpha / denom * change

    Args:
        params: parameters, or groups of them, to optimize
        lr (float or Tensor, default: 0.01, lr >= 0): bound of the relative step size
        beta2_decay (float, default: -0.8, beta2_decay <= 0): power of the step number that is the
            weight of a new second moment
        eps (tuple of 2, float or None, default: (None, 0.001), each >= 0): least second moment, as its
            root; least size of the parameter that steps are relative to; eps1 None stands for
            epsilon(param)
        d (float, default: 1.0, d >= 1): largest root mean square of the update before the step size
        weight_decay (float, default: 0.0, weight_decay >= 0): weight decay is part of the rule
        foreach (bool or None, default: None): work on lists of tensors; by default where that is the
            fastest that fits
        maximize (bool, default: False): maximize the objective instead of minimizing it
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

    State of a parameter, in float32 0 bytes per element, 4/columns + 4/rows more if rank(param) > 1, 4
            more if rank(param) <= 1:
        step: 0-d, the number of steps
        row_var: running mean of squared gradients of each row; one number per row, at first 0, if
            rank(param) > 1
        col_var: running mean of squared gradients of each column; one number per column, at first 0, if
            rank(param) > 1
        variance: running mean of squared gradients; like the parameter, at first 0, if rank(param) <= 1

    Half precision:
        - float16 and bfloat16 parameters are computed in float32 by kernels, and results rounded once.
          The for-loop and foreach compute in the parameter's own dtype, as torch.optim does: in
          float16, squares of small gradients become 0 and large ones infinite.

    Notes:
        - As in torch, lr bounds the relative step size 1 / sqrt(t), and weight decay is applied after
          the norm of the parameter has been taken.
        - eps1 is that of each parameter's own dtype where it is None. torch takes it from the first
          parameter of the group that has a gradient.
        - A parameter without elements is left as it is; torch raises ZeroDivisionError.

    References:
        - Shazeer and Stern, Adafactor: Adaptive Learning Rates with Sublinear Memory Cost, ICML 2018,
          arXiv:1804.04235

    Example::

        optimizer = Adafactor(model.parameters())
        loss(model(input), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    """

    schema: ClassVar[Schema] = Schema(
        contract=1,
        name="Adafactor",
        package=__name__.rpartition(".")[0],
        hyperparameters=(
            Hyperparameter(
                "lr",
                elements=("lr",),
                intervals=(Interval(0.0, float("inf"), True, True),),
                is_tuple=False,
                tensor=True,
                error="Learning rate should be >= 0 but is: {0}",
            ),
            Hyperparameter(
                "beta2_decay",
                elements=("beta2_decay",),
                intervals=(Interval(float("-inf"), 0.0, True, True),),
                is_tuple=False,
                tensor=False,
                error="beta2_decay should be <= 0 but is: {0}",
            ),
            Hyperparameter(
                "eps",
                elements=("eps1", "eps2"),
                intervals=(Interval(0.0, float("inf"), True, True), Interval(0.0, float("inf"), True, True)),
                is_tuple=True,
                tensor=False,
                error=("epsilon1 should be >= 0 but is: {0}", "epsilon2 should be >= 0 but is: {1}"),
                none=(0.0, None),
            ),
            Hyperparameter(
                "d",
                elements=("d",),
                intervals=(Interval(1.0, float("inf"), True, True),),
                is_tuple=False,
                tensor=False,
                error="Clipping threshold d should be >= 1 but is: {0}",
            ),
            Hyperparameter(
                "weight_decay",
                elements=("weight_decay",),
                intervals=(Interval(0.0, float("inf"), True, True),),
                is_tuple=False,
                tensor=False,
                error="weight_decay should be >= 0 but is: {0}",
            ),
        ),
        flags=(),
        derived=(
            DerivedFlag("eps1_is_none", holds=lambda group: (group["eps"][0] is None)),
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
                "row_var",
                argument="row_vars",
                kind="tensor",
                init=None,
                when=None,
                on_param_device=False,
                when_shape=lambda group, shape: shape["rank"] > 1,
                dims=("rows", "1"),
            ),
            State(
                "col_var",
                argument="col_vars",
                kind="tensor",
                init=None,
                when=None,
                on_param_device=False,
                when_shape=lambda group, shape: shape["rank"] > 1,
                dims=("1", "columns"),
            ),
            State(
                "variance",
                argument="variances",
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
        options=("maximize", "foreach"),
        half_precision="native",
        refusable=(),
        sparse="unsupported",
        sparse_error="Adafactor does not support sparse gradients",
        decays_gradient=lambda group: False,
        state_at_construction=False,
        foreach_temporaries=4,
        traffic=lambda known: {
            "param": 3,
            "grad": 2 + known["param_rank_above_one"],
            "variance": 3 * (not known["param_rank_above_one"]),
            "row_var": 2 * known["param_rank_above_one"],
            "col_var": 2 * known["param_rank_above_one"],
        },
        has_axes=True,
        shape_numbers=("rank", "size", "rows", "columns", "epsilon"),
        shape_conditions=("rank",),
        reduces=True,
        complex_error="Adafactor does not support complex parameters",
    )

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 0.01,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 0.001),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        clip_grad_norm: float | None = None,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "beta2_decay": beta2_decay,
                "eps": eps,
                "d": d,
                "weight_decay": weight_decay,
                "foreach": foreach,
                "maximize": maximize,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "clip_grad_norm": clip_grad_norm,
            },
        )
