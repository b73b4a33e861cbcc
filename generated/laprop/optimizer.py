# Generated from specs/laprop.yaml by thetac 0.1.0; do not edit.
"""LaProp: its documentation, its constructor, and what the runtime has to know of it."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac.runtime.optimizer import Optimizer
from thetac.runtime.schema import Hyperparameter, Interval, Requirement, Schema, Specialisation, State


class LaProp(Optimizer):
    """Adam that divides each gradient by its size before it is averaged, not after.

    Each step (`step` is 1 in the first) does this to every parameter::

        if maximize:
          grad = -grad                                                 # maximize
        exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
        exp_avg_lr_1 = exp_avg_lr_1 * beta1 + (1 - beta1) * lr
        exp_avg_lr_2 = exp_avg_lr_2 * beta2 + (1 - beta2)
        bias_correction1 = 1.0
        if lr != 0:
          bias_correction1 = exp_avg_lr_1 / lr
        second = exp_avg_sq
        if centered:
          exp_mean_avg_beta2 = beta2 * exp_mean_avg_beta2 + (1 - beta2) * grad
          if step > 10:
            second = exp_avg_sq - exp_mean_avg_beta2 * exp_mean_avg_beta2
        if amsgrad:
          if not centered or step > 10:
            max_exp_avg_sq = maximum(max_exp_avg_sq, second)
            second = max_exp_avg_sq
        denom = sqrt(second / exp_avg_lr_2) + eps
        exp_avg = beta1 * exp_avg + (1 - beta1) * lr * (grad / denom)  # the mean of the steps
        param = param - 1 / bias_correction1 * exp_avg
        if weight_decay != 0 and lr != 0:
          param = param - weight_decay * param

    Args:
        params: parameters, or groups of them, to optimize
        lr (float or Tensor, default: 0.0004, lr >= 0): learning rate
        betas (tuple of 2, float, default: (0.9, 0.999), each in [0, 1)): decay of the mean of the
            steps, and of the mean square of the gradient
        eps (float, default: 1e-15, eps >= 0): term added to the denominator for numerical stability
        weight_decay (float, default: 0, weight_decay >= 0): the fraction of the parameter that is taken
            away after each step, whatever lr is
        amsgrad (bool, default: False): use the maximum of all second moments so far
        centered (bool, default: False): divide by an estimate of the standard deviation from the
            eleventh step on
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

    State of a parameter, in float32 8 bytes per element, 4 more if centered, 4 more if amsgrad:
        step: 0-d, the number of steps
        exp_avg: running average of the steps; like the parameter, at first 0
        exp_avg_lr_1: running average of lr; 0-d, a number, at first 0
        exp_avg_lr_2: sum of the weights in exp_avg_sq; 0-d, a number, at first 0
        exp_avg_sq: running average of the squared gradient; like the parameter, at first 0
        exp_mean_avg_beta2: running average of the gradient; like the parameter, at first 0, if centered
        max_exp_avg_sq: largest second moment so far; like the parameter, at first 0, if amsgrad

    Half precision:
        - float16 and bfloat16 parameters are computed in float32, and results rounded once.

    Notes:
        - lr enters the mean of the steps, which is divided by a mean of lr: the same as Adam's bias
          correction while lr stays, as in the authors' code.
        - Decay comes after the step and is not multiplied by lr, as in the authors' code; but a step
          with lr 0 does not decay, since torch.distributed.checkpoint makes state by one.
        - The variance of centered is a difference: rounding may make it negative, and its root NaN, as
          in the authors' code.

    References:
        - Ziyin, Wang and Ueda, LaProp: Separating Momentum and Adaptivity in Adam, arXiv:2002.04839,
          Algorithm 1
        - Z-T-WANG/LaProp-Optimizer, laprop.py (the authors' code)

    Example::

        optimizer = LaProp(model.parameters())
        loss(model(input), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    """

    schema: ClassVar[Schema] = Schema(
        contract=1,
        name="LaProp",
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
        flags=("amsgrad", "centered"),
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
                "exp_avg_lr_1",
                argument="exp_avg_lr_1s",
                kind="scalar",
                init=None,
                when=None,
                on_param_device=False,
                float64=True,
            ),
            State(
                "exp_avg_lr_2",
                argument="exp_avg_lr_2s",
                kind="scalar",
                init=None,
                when=None,
                on_param_device=False,
                float64=True,
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
                "exp_mean_avg_beta2",
                argument="exp_mean_avg_beta2s",
                kind="tensor",
                init=None,
                when=lambda group: group["centered"],
                on_param_device=False,
            ),
            State(
                "max_exp_avg_sq",
                argument="max_exp_avg_sqs",
                kind="tensor",
                init=None,
                when=lambda group: group["amsgrad"],
                on_param_device=False,
            ),
        ),
        requirements=(
        ),
        specialisations=(
            Specialisation("maximize", holds=lambda group: group.get("maximize", False)),
            Specialisation("centered", holds=lambda group: group["centered"]),
            Specialisation("amsgrad", holds=lambda group: group["amsgrad"]),
        ),
        options=("maximize", "foreach", "capturable", "differentiable", "fused", "clip_grad_norm"),
        half_precision="float32",
        refusable=("lr", "beta1", "beta2", "weight_decay"),
        sparse="unsupported",
        sparse_error="LaProp does not support sparse gradients",
        decays_gradient=lambda group: False,
        state_at_construction=False,
        foreach_temporaries=4,
        traffic=lambda known: {
            "param": 2,
            "grad": 1,
            "exp_avg": 2,
            "exp_avg_sq": 2,
            "exp_mean_avg_beta2": 2 * known["centered"],
            "max_exp_avg_sq": 2 * known["amsgrad"],
        },
    )

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 0.0004,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-15,
        weight_decay: float = 0,
        amsgrad: bool = False,
        centered: bool = False,
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
                "amsgrad": amsgrad,
                "centered": centered,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "clip_grad_norm": clip_grad_norm,
            },
        )
