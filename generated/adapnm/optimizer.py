# Generated from specs/adapnm.yaml by thetac 0.1.0; do not edit.
"""AdaPNM: its documentation, its constructor, and what the runtime has to know of it."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac.runtime.optimizer import Optimizer
from thetac.runtime.schema import Hyperparameter, Interval, Requirement, Schema, Specialisation, State


class AdaPNM(Optimizer):
    """Adam with two momenta fed in turn, combined with weights of opposite signs.

    Each step (`step` is 1 in the first) does this to every parameter::

        if maximize:
          grad = -grad                               # maximize
        if weight_decay != 0:
          if decoupled:
            param = param * (1 - lr * weight_decay)  # weight decay
          else:
            grad = grad + weight_decay * param       # weight decay
        if step % 2 == 1:
          exp_avg = beta1 ** 2 * exp_avg + (1 - beta1 ** 2) * grad
          momentum = (1 + beta3) * exp_avg - beta3 * neg_exp_avg
        else:
          neg_exp_avg = beta1 ** 2 * neg_exp_avg + (1 - beta1 ** 2) * grad
          momentum = (1 + beta3) * neg_exp_avg - beta3 * exp_avg
        noise_norm = sqrt((1 + beta3) ** 2 + beta3 ** 2)
        exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
        second = exp_avg_sq
        if amsgrad:
          max_exp_avg_sq = maximum(max_exp_avg_sq, exp_avg_sq)
          second = max_exp_avg_sq
        denom = sqrt(second) / sqrt(1 - beta2 ** step) + eps
        param = param - lr / (1 - beta1 ** step) * (1 / noise_norm * momentum) / denom

    Args:
        params: parameters, or groups of them, to optimize
        lr (float or Tensor, default: 0.001, lr >= 0): learning rate
        betas (tuple of 3, float, default: (0.9, 0.999, 1.0), beta1 in [0, 1); beta2 in [0, 1); finite):
            decay of both momenta, decay of the mean square, and the weight of the negative momentum
        eps (float, default: 1e-08, eps >= 0): term added to the denominator for numerical stability
        weight_decay (float, default: 0.0, weight_decay >= 0): each step takes away lr * weight_decay of
            the parameter if decoupled, else weight_decay * param is added to the gradient
        amsgrad (bool, default: True): use the maximum of all second moments so far
        decoupled (bool, default: True): decay the parameter instead of adding to the gradient
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

    State of a parameter, in float32 12 bytes per element, 4 more if amsgrad:
        step: 0-d, the number of steps
        exp_avg: running average of the gradients of odd steps; like the parameter, at first 0
        exp_avg_sq: running average of the squared gradient; like the parameter, at first 0
        neg_exp_avg: running average of the gradients of even steps; like the parameter, at first 0
        max_exp_avg_sq: largest second moment so far; like the parameter, at first 0, if amsgrad

    Half precision:
        - float16 and bfloat16 parameters are computed in float32, and results rounded once.

    Notes:
        - A momentum is fed in every second step, with the weight beta1 ** 2 for both steps; its bias is
          corrected by 1 - beta1 ** step, as in the authors' code.

    References:
        - Xie, Yuan, Zhu and Sugiyama, Positive-Negative Momentum: Manipulating Stochastic Gradient
          Noise to Improve Generalization, ICML 2021, Algorithm 2, arXiv:2103.17182
        - zeke-xie/Positive-Negative-Momentum, pnm_optim/adapnm.py (the authors' code)

    Example::

        optimizer = AdaPNM(model.parameters())
        loss(model(input), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    """

    schema: ClassVar[Schema] = Schema(
        contract=1,
        name="AdaPNM",
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
                    Interval(0.0, 1.0, True, False),
                    Interval(0.0, 1.0, True, False),
                    Interval(float("-inf"), float("inf"), False, False),
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
        flags=("amsgrad", "decoupled"),
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
            State(
                "neg_exp_avg",
                argument="neg_exp_avgs",
                kind="tensor",
                init=None,
                when=None,
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
            Specialisation("weight_decay_nonzero", holds=lambda group: group["weight_decay"] != 0),
            Specialisation("decoupled", holds=lambda group: group["decoupled"]),
            Specialisation("amsgrad", holds=lambda group: group["amsgrad"]),
        ),
        options=("maximize", "foreach", "capturable", "differentiable", "fused", "clip_grad_norm"),
        half_precision="float32",
        refusable=("lr", "beta1", "beta2", "beta3", "weight_decay"),
        sparse="unsupported",
        sparse_error="AdaPNM does not support sparse gradients",
        decays_gradient=lambda group: group["weight_decay"] != 0 and not group["decoupled"],
        state_at_construction=False,
        foreach_temporaries=4,
        traffic=lambda known: {
            "param": 2,
            "grad": 1,
            "exp_avg": 2,
            "exp_avg_sq": 2,
            "neg_exp_avg": 2,
            "max_exp_avg_sq": 2 * known["amsgrad"],
        },
    )

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 0.001,
        betas: tuple[float, float, float] = (0.9, 0.999, 1.0),
        eps: float = 1e-08,
        weight_decay: float = 0.0,
        amsgrad: bool = True,
        decoupled: bool = True,
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
                "decoupled": decoupled,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "clip_grad_norm": clip_grad_norm,
            },
        )
