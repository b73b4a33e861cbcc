# Generated from specs/adam.yaml by thetac 0.1.0; do not edit.
"""Adam: its documentation, its constructor, and what the runtime has to know of it."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac.runtime.optimizer import Optimizer
from thetac.runtime.schema import Hyperparameter, Interval, Requirement, Schema, Specialisation, State


class Adam(Optimizer):
    """Adaptive moment estimation, a step scaled by running means of the gradient and of its square.

    Each step (`step` is 1 in the first) does this to every parameter::

        if maximize:
          grad = -grad                                               # maximize
        if weight_decay != 0:
          if decoupled_weight_decay:
            param = param * (1 - lr * weight_decay)                  # weight decay
          else:
            grad = grad + weight_decay * param                       # weight decay
        exp_avg = lerp(exp_avg, grad, 1 - beta1)                     # first moment
        exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad  # second moment
        second_moment = exp_avg_sq
        if amsgrad:
          max_exp_avg_sq = maximum(max_exp_avg_sq, exp_avg_sq)
          second_moment = max_exp_avg_sq
        denom = sqrt(second_moment) / (1 - beta2 ** step) ** 0.5 + eps
        param = param - lr / (1 - beta1 ** step) * exp_avg / denom

    Args:
        params: parameters, or groups of them, to optimize
        lr (float or Tensor, default: 0.001, lr >= 0): learning rate
        betas (tuple of 2, float or Tensor, default: (0.9, 0.999), each in [0, 1)): coefficients used
            for computing running averages of gradient and its square
        eps (float, default: 1e-08, eps >= 0): term added to the denominator for numerical stability
        weight_decay (float or Tensor, default: 0, weight_decay >= 0): each step takes away lr *
            weight_decay of the parameter if decoupled_weight_decay, else weight_decay * param is added
            to the gradient
        amsgrad (bool, default: False): use the maximum of all second moments so far
        foreach (bool or None, default: None): work on lists of tensors; by default where that is the
            fastest that fits
        maximize (bool, default: False): maximize the objective instead of minimizing it
        capturable (bool, default: False): keep step counts on the device, so that a step can be
            captured in a CUDA graph
        differentiable (bool, default: False): let autograd run through the step
        fused (bool or None, default: None): do a whole step in one kernel: Triton on a GPU, C++ on a
            CPU; by default where that fits
        decoupled_weight_decay (bool, default: False): decay the parameter instead of adding to the
            gradient (AdamW)
        clip_grad_norm (float or None, default: None): scale gradients down to this global norm within
            the step; the gradients themselves stay as they are

    Raises:
        ValueError: params is empty; a hyperparameter is NaN or out of its range; "betas must be either
            both floats or both Tensors"; "lr as a Tensor is not supported for capturable=False and
            foreach=True"; "betas[0] as a Tensor is not supported for capturable=False and foreach=True"
        TypeError: params holds something other than tensors, or a hyperparameter is not a number
        RuntimeError: fused is combined with foreach or differentiable

    State of a parameter, in float32 8 bytes per element, 4 more if amsgrad:
        step: 0-d, the number of steps
        exp_avg: running average of the gradient; like the parameter, at first 0
        exp_avg_sq: running average of the squared gradient; like the parameter, at first 0
        max_exp_avg_sq: maximum of all exp_avg_sq so far; like the parameter, at first 0, if amsgrad

    Half precision:
        - float16 and bfloat16 parameters are computed in float32 by kernels, and results rounded once.
          The for-loop and foreach compute in the parameter's own dtype, as torch.optim does: in
          float16, squares of small gradients become 0 and large ones infinite.

    Notes:
        - eps is added to the root of the bias-corrected second moment, as in torch and in the paper's
          Algorithm 1.
        - amsgrad takes the maximum of the second moments before bias correction, as torch does; the
          paper has no bias correction.

    References:
        - Kingma and Ba, Adam: A Method for Stochastic Optimization, ICLR 2015, arXiv:1412.6980
        - Reddi, Kale and Kumar, On the Convergence of Adam and Beyond, ICLR 2018 (amsgrad),
          arXiv:1904.09237

    Example::

        optimizer = Adam(model.parameters())
        loss(model(input), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    """

    schema: ClassVar[Schema] = Schema(
        contract=1,
        name="Adam",
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
                tensor=True,
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
                tensor=True,
                error="Invalid weight_decay value: {value}",
            ),
        ),
        flags=("amsgrad", "decoupled_weight_decay"),
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
                "max_exp_avg_sq",
                argument="max_exp_avg_sqs",
                kind="tensor",
                init=None,
                when=lambda group: group["amsgrad"],
                on_param_device=False,
            ),
        ),
        requirements=(
            Requirement(
                holds=lambda group: (
                    isinstance(group["betas"][0], torch.Tensor) == isinstance(group["betas"][1], torch.Tensor)
                ),
                message="betas must be either both floats or both Tensors",
            ),
            Requirement(
                holds=lambda group: (
                    not (isinstance(group["lr"], torch.Tensor) and group.get("foreach", None))
                    or group.get("capturable", False)
                ),
                message="lr as a Tensor is not supported for capturable=False and foreach=True",
            ),
            Requirement(
                holds=lambda group: (
                    not (isinstance(group["betas"][0], torch.Tensor) and group.get("foreach", None))
                    or group.get("capturable", False)
                ),
                message="betas[0] as a Tensor is not supported for capturable=False and foreach=True",
            ),
        ),
        specialisations=(
            Specialisation("maximize", holds=lambda group: group.get("maximize", False)),
            Specialisation("weight_decay_nonzero", holds=lambda group: group["weight_decay"] != 0),
            Specialisation("decoupled_weight_decay", holds=lambda group: group["decoupled_weight_decay"]),
            Specialisation("amsgrad", holds=lambda group: group["amsgrad"]),
        ),
        options=("maximize", "foreach", "capturable", "differentiable", "fused"),
        half_precision="native",
        refusable=("lr", "beta1", "beta2", "weight_decay"),
        sparse="unsupported",
        sparse_error="Adam does not support sparse gradients, please consider SparseAdam instead",
        decays_gradient=lambda group: group["weight_decay"] != 0 and not group["decoupled_weight_decay"],
        state_at_construction=False,
        foreach_temporaries=2,
        traffic=lambda known: {
            "param": 2,
            "grad": 1,
            "exp_avg": 2,
            "exp_avg_sq": 2,
            "max_exp_avg_sq": 2 * known["amsgrad"],
        },
    )

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 0.001,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
        eps: float = 1e-08,
        weight_decay: float | Tensor = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
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
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "decoupled_weight_decay": decoupled_weight_decay,
                "clip_grad_norm": clip_grad_norm,
            },
        )
