# Generated from specs/adopt.yaml by thetac 0.1.0; do not edit.
"""ADOPT: its documentation, its constructor, and what the runtime has to know of it."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac.runtime.optimizer import Optimizer
from thetac.runtime.schema import Hyperparameter, Interval, Requirement, Schema, Specialisation, State


class ADOPT(Optimizer):
    """Adam that normalizes the gradient by the second moment of the steps before, then averages.

    Each step (`step` is 1 in the first) does this to every parameter::

        if maximize:
          grad = -grad                                                 # maximize
        if weight_decay != 0:
          if not decouple:
            grad = grad + weight_decay * param                         # weight decay
        if step == 1:
          exp_avg_sq = grad * grad
        else:
          if decouple and weight_decay != 0:
            param = param - lr * weight_decay * param
          normed_grad = grad / maximum(sqrt(exp_avg_sq), eps)
          if clip:
            bound = (step - 1) ** clip_exponent
            normed_grad = clamp(normed_grad, -bound, bound)
          exp_avg = lerp(exp_avg, normed_grad, 1 - beta1)
          param = param - lr * exp_avg
          exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad  # for the next step

    Args:
        params: parameters, or groups of them, to optimize
        lr (float or Tensor, default: 0.001, lr >= 0): learning rate
        betas (tuple of 2, float, default: (0.9, 0.9999), each in [0, 1)): coefficients used for
            computing running averages of gradient and its square
        eps (float, default: 1e-06, eps >= 0): smallest value of the denominator
        weight_decay (float, default: 0, weight_decay >= 0): weight_decay * param is added to the
            gradient; with decouple, each step takes away lr * weight_decay of the parameter
        decouple (bool, default: False): decay the parameter instead of adding to the gradient
        clip (bool, default: True): clip every element of the normalized gradient
        clip_exponent (float, default: 0.25, clip_exponent >= 0): clip at this power of the number of
            steps before this one
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
        exp_avg: running average of the normalized gradient; like the parameter, at first 0
        exp_avg_sq: running average of the squared gradient; like the parameter, at first 0

    Half precision:
        - float16 and bfloat16 parameters are computed in float32, and results rounded once.

    Notes:
        - The first step only sets the second moment: it moves no parameter, and decoupled decay begins
          with the second step.
        - The normalized gradient is divided by max(sqrt(v), eps), as in the paper and the authors'
          code.
        - The authors' clip_lambda is a function of the number of steps before this one, by default its
          power 0.25; here that power is clip_exponent, and clip: false stands for None.
        - There is no bias correction.

    References:
        - Taniguchi et al., ADOPT: Modified Adam Can Converge with Any beta2 with the Optimal Rate,
          NeurIPS 2024, arXiv:2411.02853
        - iShohei220/adopt, adopt.py with clipping (the authors' code since November 2024)

    Example::

        optimizer = ADOPT(model.parameters())
        loss(model(input), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    """

    schema: ClassVar[Schema] = Schema(
        contract=1,
        name="ADOPT",
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
                "clip_exponent",
                elements=("clip_exponent",),
                intervals=(Interval(0.0, float("inf"), True, True),),
                is_tuple=False,
                tensor=False,
                error="Invalid clip_exponent value: {value}",
            ),
        ),
        flags=("decouple", "clip"),
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
            Specialisation("decouple", holds=lambda group: group["decouple"]),
            Specialisation("clip", holds=lambda group: group["clip"]),
        ),
        options=("maximize", "foreach", "capturable", "differentiable", "fused", "clip_grad_norm"),
        half_precision="float32",
        refusable=("lr", "beta1", "beta2", "eps", "weight_decay"),
        sparse="unsupported",
        sparse_error="ADOPT does not support sparse gradients",
        decays_gradient=lambda group: group["weight_decay"] != 0 and not group["decouple"],
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
        betas: tuple[float, float] = (0.9, 0.9999),
        eps: float = 1e-06,
        weight_decay: float = 0,
        decouple: bool = False,
        clip: bool = True,
        clip_exponent: float = 0.25,
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
                "decouple": decouple,
                "clip": clip,
                "clip_exponent": clip_exponent,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "clip_grad_norm": clip_grad_norm,
            },
        )
