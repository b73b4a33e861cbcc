# Generated from specs/padam.yaml by thetac 0.1.0; do not edit.
"""PAdam: its documentation, its constructor, and what the runtime has to know of it."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac.runtime.optimizer import Optimizer
from thetac.runtime.schema import Hyperparameter, Interval, Requirement, Schema, Specialisation, State


class PAdam(Optimizer):
    """Between Adam and SGD with momentum, by an exponent of the second moment between 1/2 and 0.

    Each step (`step` is 1 in the first) does this to every parameter::

        if maximize:
          grad = -grad                        # maximize
        if weight_decay != 0:
          grad = grad + weight_decay * param  # weight decay
        exp_avg = beta1 * exp_avg + (1 - beta1) * grad
        exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
        second_moment = exp_avg_sq
        if amsgrad:
          max_exp_avg_sq = maximum(max_exp_avg_sq, exp_avg_sq)
          second_moment = max_exp_avg_sq
        denom = sqrt(second_moment) + eps
        step_size = lr * sqrt(1 - beta2 ** step) / (1 - beta1 ** step)
        param = param - step_size * exp_avg / denom ** (partial * 2)

    Args:
        params: parameters, or groups of them, to optimize
        lr (float or Tensor, default: 0.1, lr >= 0): learning rate
        betas (tuple of 2, float, default: (0.9, 0.999), each in [0, 1)): coefficients of the running
            averages
        eps (float, default: 1e-08, eps >= 0): term added to the denominator for numerical stability
        weight_decay (float, default: 0, weight_decay >= 0): weight_decay * param is added to the
            gradient
        amsgrad (bool, default: True): use the maximum of all second moments so far
        partial (float, default: 0.25, partial in [0, 0.5]): exponent of the second moment: with 0.5
            this is Adam, with 0 SGD with momentum
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

    State of a parameter, in float32 8 bytes per element, 4 more if amsgrad:
        step: 0-d, the number of steps
        exp_avg: running average of the gradient; like the parameter, at first 0
        exp_avg_sq: running average of the squared gradient; like the parameter, at first 0
        max_exp_avg_sq: maximum of all exp_avg_sq so far; like the parameter, at first 0, if amsgrad

    Half precision:
        - float16 and bfloat16 parameters are computed in float32, and results rounded once.

    Notes:
        - eps is added to the root before bias correction and before the exponent, and the step is
          corrected as Adam's, whatever the exponent, as in the authors' code.
        - amsgrad takes the maximum of the second moments before bias correction.

    References:
        - Chen et al., Closing the Generalization Gap of Adaptive Gradient Methods in Training Deep
          Neural Networks, IJCAI 2020, arXiv:1806.06763
        - uclaml/Padam, Padam.py

    Example::

        optimizer = PAdam(model.parameters())
        loss(model(input), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    """

    schema: ClassVar[Schema] = Schema(
        contract=1,
        name="PAdam",
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
                "partial",
                elements=("partial",),
                intervals=(Interval(0.0, 0.5, True, True),),
                is_tuple=False,
                tensor=False,
                error="Invalid partial value: {value}",
            ),
        ),
        flags=("amsgrad",),
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
        ),
        specialisations=(
            Specialisation("maximize", holds=lambda group: group.get("maximize", False)),
            Specialisation("weight_decay_nonzero", holds=lambda group: group["weight_decay"] != 0),
            Specialisation("amsgrad", holds=lambda group: group["amsgrad"]),
        ),
        options=("maximize", "foreach", "capturable", "differentiable", "fused", "clip_grad_norm"),
        half_precision="float32",
        refusable=("lr", "beta1", "beta2", "weight_decay", "partial"),
        sparse="unsupported",
        sparse_error="PAdam does not support sparse gradients",
        decays_gradient=lambda group: group["weight_decay"] != 0,
        state_at_construction=False,
        foreach_temporaries=3,
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
        lr: float | Tensor = 0.1,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-08,
        weight_decay: float = 0,
        amsgrad: bool = True,
        partial: float = 0.25,
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
                "partial": partial,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "clip_grad_norm": clip_grad_norm,
            },
        )
