# Generated from specs/adabound.yaml by thetac 0.1.0; do not edit.
"""AdaBound: its documentation, its constructor, and what the runtime has to know of it."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac.runtime.optimizer import Optimizer
from thetac.runtime.schema import Hyperparameter, Interval, Requirement, Schema, Specialisation, State


class AdaBound(Optimizer):
    """Adam whose rate per element is clipped into a band that narrows to the rate of SGD.

    Each step (`step` is 1 in the first) does this to every parameter::

        if maximize:
          grad = -grad                        # maximize
        if weight_decay != 0:
          grad = grad + weight_decay * param  # weight decay
        exp_avg = beta1 * exp_avg + (1 - beta1) * grad
        exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
        second = exp_avg_sq
        if amsbound:
          max_exp_avg_sq = maximum(max_exp_avg_sq, exp_avg_sq)
          second = max_exp_avg_sq
        step_size = lr * sqrt(1 - beta2 ** step) / (1 - beta1 ** step)
        target = 0.0
        if base_lr != 0:
          target = final_lr * lr / base_lr
        lower = target * (1 - 1 / (gamma * step + 1))
        upper = target * (1 + 1 / (gamma * step))
        rate = clamp(step_size / (sqrt(second) + eps), lower, upper)
        param = param - rate * exp_avg

    Args:
        params: parameters, or groups of them, to optimize
        lr (float or Tensor, default: 0.001, lr >= 0): learning rate
        betas (tuple of 2, float, default: (0.9, 0.999), each in [0, 1)): coefficients used for
            computing running averages of gradient and its square
        final_lr (float, default: 0.1, final_lr >= 0): the rate of SGD that the band narrows to
        gamma (float, default: 0.001, gamma in [0, 1)): how fast the band narrows
        eps (float, default: 1e-08, eps >= 0): term added to the denominator for numerical stability
        weight_decay (float, default: 0, weight_decay >= 0): weight_decay * param is added to the
            gradient
        amsbound (bool, default: False): use the maximum of all second moments so far
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

    State of a parameter, in float32 8 bytes per element, 4 more if amsbound:
        step: 0-d, the number of steps
        base_lr: the first lr; 0-d, a number, at first lr
        exp_avg: running average of the gradient; like the parameter, at first 0
        exp_avg_sq: running average of the squared gradient; like the parameter, at first 0
        max_exp_avg_sq: largest second moment so far; like the parameter, at first 0, if amsbound

    Half precision:
        - float16 and bfloat16 parameters are computed in float32, and results rounded once.

    Notes:
        - The band follows a schedule of lr: final_lr is multiplied by lr and divided by the lr that the
          optimizer was made with, as in the authors' code.
        - An optimizer that is made with lr 0 does not move; the authors' code divides by 0.
        - In the authors' code a group that is added later is never updated; here it has the first lr of
          its own.
        - eps is added to the root of the uncorrected second moment, as in the authors' code.

    References:
        - Luo, Xiong, Liu and Sun, Adaptive Gradient Methods with Dynamic Bound of Learning Rate, ICLR
          2019, Algorithm 2, arXiv:1902.09843
        - adabound 0.0.5 (the authors' code)

    Example::

        optimizer = AdaBound(model.parameters())
        loss(model(input), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    """

    schema: ClassVar[Schema] = Schema(
        contract=1,
        name="AdaBound",
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
                "final_lr",
                elements=("final_lr",),
                intervals=(Interval(0.0, float("inf"), True, True),),
                is_tuple=False,
                tensor=False,
                error="Invalid final_lr value: {value}",
            ),
            Hyperparameter(
                "gamma",
                elements=("gamma",),
                intervals=(Interval(0.0, 1.0, True, False),),
                is_tuple=False,
                tensor=False,
                error="Invalid gamma value: {value}",
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
        flags=("amsbound",),
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
                "base_lr",
                argument="base_lrs",
                kind="scalar",
                init=lambda group: group["lr"],
                when=None,
                on_param_device=False,
                float64=True,
                constant=True,
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
                when=lambda group: group["amsbound"],
                on_param_device=False,
            ),
        ),
        requirements=(
        ),
        specialisations=(
            Specialisation("maximize", holds=lambda group: group.get("maximize", False)),
            Specialisation("weight_decay_nonzero", holds=lambda group: group["weight_decay"] != 0),
            Specialisation("amsbound", holds=lambda group: group["amsbound"]),
        ),
        options=("maximize", "foreach", "capturable", "differentiable", "fused", "clip_grad_norm"),
        half_precision="float32",
        refusable=("beta1", "beta2", "weight_decay"),
        sparse="unsupported",
        sparse_error="Adam does not support sparse gradients, please consider SparseAdam instead",
        decays_gradient=lambda group: group["weight_decay"] != 0,
        state_at_construction=True,
        foreach_temporaries=2,
        traffic=lambda known: {
            "param": 2,
            "grad": 1,
            "exp_avg": 2,
            "exp_avg_sq": 2,
            "max_exp_avg_sq": 2 * known["amsbound"],
        },
    )

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        final_lr: float = 0.1,
        gamma: float = 0.001,
        eps: float = 1e-08,
        weight_decay: float = 0,
        amsbound: bool = False,
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
                "final_lr": final_lr,
                "gamma": gamma,
                "eps": eps,
                "weight_decay": weight_decay,
                "amsbound": amsbound,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "clip_grad_norm": clip_grad_norm,
            },
        )
