# Generated from specs/adan.yaml by thetac 0.1.0; do not edit.
"""Adan: its documentation, its constructor, and what the runtime has to know of it."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac.runtime.optimizer import Optimizer
from thetac.runtime.schema import Hyperparameter, Interval, Requirement, Schema, Specialisation, State


class Adan(Optimizer):
    """Adaptive Nesterov momentum, from running means of the gradient and of its change.

    Each step (`step` is 1 in the first) does this to every parameter::

        if maximize:
          grad = -grad                               # maximize
        if weight_decay != 0:
          if no_prox:
            param = param * (1 - lr * weight_decay)  # weight decay
        if first(pre_grad):
          pre_grad = grad                            # first value
        change = grad - pre_grad
        exp_avg = beta1 * exp_avg + (1 - beta1) * grad
        exp_avg_diff = beta2 * exp_avg_diff + (1 - beta2) * change
        ahead = grad + beta2 * change                # the gradient at the look-ahead point
        exp_avg_sq = beta3 * exp_avg_sq + (1 - beta3) * ahead * ahead
        denom = sqrt(exp_avg_sq) / sqrt(1 - beta3 ** step) + eps
        param = param - lr / (1 - beta1 ** step) * exp_avg / denom
        param = param - lr * beta2 / (1 - beta2 ** step) * exp_avg_diff / denom
        if weight_decay != 0 and not no_prox:
          param = param / (1 + lr * weight_decay)    # proximal decay
        pre_grad = grad

    Args:
        params: parameters, or groups of them, to optimize
        lr (float or Tensor, default: 0.001, lr >= 0): learning rate
        betas (tuple of 3, float, default: (0.98, 0.92, 0.99), each in [0, 1)): decay of the means of
            the gradient, of its change, and of the square of the look-ahead gradient
        eps (float, default: 1e-08, eps >= 0): term added to the denominator for numerical stability
        weight_decay (float, default: 0, weight_decay >= 0): with no_prox, each step takes away lr *
            weight_decay of the parameter; else the parameter is divided by 1 + lr * weight_decay after
            the step
        no_prox (bool, default: False): shrink the parameter before the step (AdamW) instead of dividing
            it after the step
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

    State of a parameter, in float32 16 bytes per element:
        step: 0-d, the number of steps
        exp_avg: running average of the gradient; like the parameter, at first 0
        exp_avg_diff: running average of the gradient's change; like the parameter, at first 0
        exp_avg_sq: running average of the squared look-ahead gradient; like the parameter, at first 0
        pre_grad: gradient of the previous step; in the first step the gradient itself, so that its
            change is 0; like the parameter, at first the first gradient

    Half precision:
        - float16 and bfloat16 parameters are computed in float32, and results rounded once.

    Notes:
        - betas are the authors' code's: 1 minus the paper's.
        - Bias corrections are the authors' code's; the paper's Algorithm 1 has none.
        - The authors' code counts steps per group, this one per parameter: they differ for a parameter
          whose gradient comes late.
        - The authors' code keeps the negated gradient (neg_pre_grad); pre_grad is not negated.
        - max_grad_norm, a clipping by the norm of all gradients together, is left out.

    References:
        - Xie, Zhou, Li, Lin and Yan, Adan: Adaptive Nesterov Momentum Algorithm for Faster Optimizing
          Deep Models, TPAMI 2024, Algorithm 1, arXiv:2208.06677
        - sail-sg/Adan, adan.py (the authors' code)

    Example::

        optimizer = Adan(model.parameters())
        loss(model(input), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    """

    schema: ClassVar[Schema] = Schema(
        contract=1,
        name="Adan",
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
                elements=("beta1", "beta2", "beta3"),
                intervals=(
                    Interval(0.0, 1.0, True, False), Interval(0.0, 1.0, True, False), Interval(0.0, 1.0, True, False)
                ),
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
        ),
        flags=("no_prox",),
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
                "exp_avg_diff",
                argument="exp_avg_diffs",
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
            State(
                "pre_grad",
                argument="pre_grads",
                kind="tensor",
                init=None,
                when=None,
                on_param_device=False,
                first="first_pre_grad",
            ),
        ),
        requirements=(
        ),
        specialisations=(
            Specialisation("maximize", holds=lambda group: group.get("maximize", False)),
            Specialisation("weight_decay_nonzero", holds=lambda group: group["weight_decay"] != 0),
            Specialisation("no_prox", holds=lambda group: group["no_prox"]),
        ),
        options=("maximize", "foreach", "capturable", "differentiable", "fused", "clip_grad_norm"),
        half_precision="float32",
        refusable=("lr", "beta1", "beta2", "beta3"),
        sparse="unsupported",
        sparse_error="Adan does not support sparse gradients",
        decays_gradient=lambda group: False,
        state_at_construction=False,
        foreach_temporaries=4,
        traffic=lambda known: {
            "param": 2,
            "grad": 1,
            "exp_avg": 2,
            "exp_avg_diff": 2,
            "exp_avg_sq": 2,
            "pre_grad": 2,
        },
    )

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 0.001,
        betas: tuple[float, float, float] = (0.98, 0.92, 0.99),
        eps: float = 1e-08,
        weight_decay: float = 0,
        no_prox: bool = False,
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
                "no_prox": no_prox,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "clip_grad_norm": clip_grad_norm,
            },
        )
