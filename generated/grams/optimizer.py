# Generated from specs/grams.yaml by thetac 0.1.0; do not edit.
"""Grams: its documentation, its constructor, and what the runtime has to know of it."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac.runtime.optimizer import Optimizer
from thetac.runtime.schema import Hyperparameter, Interval, Requirement, Schema, Specialisation, State


class Grams(Optimizer):
    """The size of Adam's step in the direction of the gradient's sign.

    Each step (`step` is 1 in the first) does this to every parameter::

        if maximize:
          grad = -grad                             # maximize
        if weight_decay != 0:
          param = param * (1 - lr * weight_decay)  # weight decay
        exp_avg = beta1 * exp_avg + (1 - beta1) * grad
        exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
        step_size = lr
        if correct_bias:
          step_size = lr * sqrt(1 - beta2 ** step) / (1 - beta1 ** step)
        param = param - step_size * (sign(grad) * abs(exp_avg)) / (sqrt(exp_avg_sq) + eps)

    Args:
        params: parameters, or groups of them, to optimize
        lr (float or Tensor, default: 0.001, lr >= 0): learning rate
        betas (tuple of 2, float, default: (0.9, 0.999), each in [0, 1)): coefficients used for
            computing running averages of gradient and its square
        eps (float, default: 1e-06, eps >= 0): term added to the denominator for numerical stability
        weight_decay (float, default: 0, weight_decay >= 0): each step takes away lr * weight_decay of
            the parameter
        correct_bias (bool, default: True): correct the bias of the running averages, which start from
            zero
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
        - eps is added to the root of the uncorrected second moment, as in the authors' code; the paper
          adds it after bias correction.
        - The authors' code overwrites gradients in its step; here they stay as they are.

    References:
        - Cao, Li and Song, Grams: Gradient Descent with Adaptive Momentum Scaling, arXiv:2412.17107,
          Algorithm 1
        - grams-pytorch 0.0.2 (the authors' code)

    Example::

        optimizer = Grams(model.parameters())
        loss(model(input), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    """

    schema: ClassVar[Schema] = Schema(
        contract=1,
        name="Grams",
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
        ),
        flags=("correct_bias",),
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
            Specialisation("weight_decay_nonzero", holds=lambda group: group["weight_decay"] != 0),
        ),
        options=("maximize", "foreach", "capturable", "differentiable", "fused", "clip_grad_norm"),
        half_precision="float32",
        refusable=("lr", "beta1", "beta2"),
        sparse="unsupported",
        sparse_error="Grams does not support sparse gradients",
        decays_gradient=lambda group: False,
        state_at_construction=False,
        foreach_temporaries=4,
        traffic=lambda known: {
            "param": 2,
            "grad": 1,
            "exp_avg": 2,
            "exp_avg_sq": 2,
        },
    )

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-06,
        weight_decay: float = 0,
        correct_bias: bool = True,
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
                "correct_bias": correct_bias,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "clip_grad_norm": clip_grad_norm,
            },
        )
