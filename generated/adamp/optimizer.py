# Generated from specs/adamp.yaml by thetac 0.1.0; do not edit.
"""AdamP: its documentation, its constructor, and what the runtime has to know of it."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac.runtime.optimizer import Optimizer
from thetac.runtime.schema import Hyperparameter, Interval, Requirement, Schema, Specialisation, State


class AdamP(Optimizer):
    """Adam that leaves out the part of a step that only makes a scale-invariant parameter longer.

    Each step (`step` is 1 in the first) does this to every parameter::

        if maximize:
          grad = -grad  # maximize
        exp_avg = beta1 * exp_avg + (1 - beta1) * grad
        exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
        denom = sqrt(exp_avg_sq) / sqrt(1 - beta2 ** step) + eps
        if nesterov:
          perturb = (beta1 * exp_avg + (1 - beta1) * grad) / denom
        else:
          perturb = exp_avg / denom
        rate = lr / (1 - beta1 ** step)
        if rank(param) > 1:
          cosine = abs(sum(grad * param)) / (maximum(norm(grad), eps) * maximum(norm(param), eps))
          unit = param / (norm(param) + eps)
          tangent = perturb - unit * sum(unit * perturb)
          is_flat = cosine < delta / sqrt(size(param))
          projected = where(is_flat, tangent, perturb)
          ratio = where(is_flat, wd_ratio, 1)
          row_cosine = abs(sum(grad * param, axis=-1)) / (maximum(norm(grad, axis=-1), eps) *
              maximum(norm(param, axis=-1), eps))
          row_unit = param / (norm(param, axis=-1) + eps)
          row_tangent = perturb - row_unit * sum(row_unit * perturb, axis=-1)
          is_row_flat = max(row_cosine) < delta / sqrt(columns(param))
          projected = where(is_row_flat, row_tangent, projected)
          ratio = where(is_row_flat, wd_ratio, ratio)
          perturb = projected
          if weight_decay > 0:
            param = param * (1 - lr * weight_decay * ratio)
        elif weight_decay > 0:
          param = param * (1 - lr * weight_decay)
        param = param - rate * perturb

    Args:
        params: parameters, or groups of them, to optimize
        lr (float or Tensor, default: 0.001, lr >= 0): learning rate
        betas (tuple of 2, float, default: (0.9, 0.999), each in [0, 1)): coefficients of the running
            averages
        eps (float, default: 1e-08, eps >= 0): term added to the denominator for numerical stability
        weight_decay (float, default: 0, weight_decay >= 0): each step takes away lr * weight_decay of
            the parameter, times wd_ratio if it is scale-invariant
        delta (float, default: 0.1, delta >= 0): a cosine below delta / sqrt(n) is nearly orthogonal
        wd_ratio (float, default: 0.1, wd_ratio >= 0): factor of the decay of scale-invariant parameters
        nesterov (bool, default: False): use Nesterov momentum
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

    State of a parameter, in float32 8 bytes per element:
        step: 0-d, the number of steps
        exp_avg: running average of the gradient; like the parameter, at first 0
        exp_avg_sq: running average of the squared gradient; like the parameter, at first 0

    Half precision:
        - float16 and bfloat16 parameters are computed in float32, and results rounded once.

    Notes:
        - A parameter is taken for scale-invariant where its gradient is nearly orthogonal to it: in
          each of its channels, or as a whole.
        - Channels run along the first axis, whatever the number of axes.
        - An eps is added to norms, too, as in the authors' code.

    References:
        - Heo et al., AdamP: Slowing Down the Slowdown for Momentum Optimizers on Scale-invariant
          Weights, ICLR 2021, arXiv:2006.08217
        - clovaai/AdamP, adamp/adamp.py of version 0.3.0 (the authors' code)

    Example::

        optimizer = AdamP(model.parameters())
        loss(model(input), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    """

    schema: ClassVar[Schema] = Schema(
        contract=1,
        name="AdamP",
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
                "delta",
                elements=("delta",),
                intervals=(Interval(0.0, float("inf"), True, True),),
                is_tuple=False,
                tensor=False,
                error="Invalid delta value: {value}",
            ),
            Hyperparameter(
                "wd_ratio",
                elements=("wd_ratio",),
                intervals=(Interval(0.0, float("inf"), True, True),),
                is_tuple=False,
                tensor=False,
                error="Invalid wd_ratio value: {value}",
            ),
        ),
        flags=("nesterov",),
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
                "exp_avg",
                argument="exp_avgs",
                kind="tensor",
                init=None,
                when=None,
                on_param_device=False,
            ),
            State(
                "exp_avg_sq",
                argument="exp_avg_sqs",
                kind="tensor",
                init=None,
                when=None,
                on_param_device=False,
            ),
        ),
        requirements=(
        ),
        specialisations=(
            Specialisation("maximize", holds=lambda group: group.get("maximize", False)),
            Specialisation("nesterov", holds=lambda group: group["nesterov"]),
            Specialisation("param_rank_above_one", holds_for=lambda group, shape: shape["rank"] > 1),
            Specialisation("weight_decay_positive", holds=lambda group: group["weight_decay"] > 0),
        ),
        options=("maximize", "foreach", "capturable", "differentiable", "fused", "clip_grad_norm"),
        half_precision="float32",
        refusable=("lr", "beta1", "beta2", "eps"),
        sparse="unsupported",
        sparse_error="AdamP does not support sparse gradients",
        decays_gradient=lambda group: False,
        state_at_construction=False,
        foreach_temporaries=8,
        traffic=lambda known: {
            "param": 2 + 2 * known["param_rank_above_one"],
            "grad": 1 + known["param_rank_above_one"] + known["nesterov"],
            "exp_avg": 3,
            "exp_avg_sq": 3,
        },
        has_axes=True,
        view="matrix",
        reread=("exp_avg", "exp_avg_sq"),
        shape_numbers=("rank", "size", "matrix_columns"),
        shape_conditions=("rank",),
        reduces=True,
        complex_error="AdamP does not support complex parameters",
    )

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-08,
        weight_decay: float = 0,
        delta: float = 0.1,
        wd_ratio: float = 0.1,
        nesterov: bool = False,
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
                "delta": delta,
                "wd_ratio": wd_ratio,
                "nesterov": nesterov,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "clip_grad_norm": clip_grad_norm,
            },
        )
