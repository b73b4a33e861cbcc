# Generated from specs/prodigy.yaml by thetac 0.1.0; do not edit.
"""Prodigy: its documentation, its constructor, and what the runtime has to know of it."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac.runtime.optimizer import Optimizer
from thetac.runtime.schema import (
    DerivedFlag, Hyperparameter, Interval, Requirement, Schema, Shared, Specialisation, State
)


class Prodigy(Optimizer):
    """Adam whose rate is an estimate of the distance from the starting point to a solution.

    Each step does this to every parameter::

        if maximize:
          grad = -grad            # maximize
        t = k + 1
        direction = grad
        if weight_decay != 0 and not decouple:
          direction = grad + weight_decay * param
        rate = d * lr
        if use_bias_correction:
          rate = rate * sqrt(1 - beta2 ** t) / (1 - beta1 ** t)
        gain = d / d0 * rate
        if safeguard_warmup:
          gain = d / d0 * d
        numerator = beta3 * d_numerator + total(d / d0 * rate * dot(direction, p0 - param))
        if beta1 > 0:
          exp_avg = beta1 * exp_avg + d * (1 - beta1) * direction
        exp_avg_sq = beta2 * exp_avg_sq + d * d * (1 - beta2) * direction * direction
        s = beta3 * s + gain * direction
        denominator = total(sum(abs(s)))
        still = denominator == 0  # no gradient so far: nothing moves, and nothing is learnt
        d_numerator = where(still, d_numerator, numerator)
        estimate = where(still, d, d_coef * numerator / denominator)
        start = where(d == d0, maximum(d, estimate), d)
        d_max = maximum(d_max, estimate)
        d = where(still, d, minimum(d_max, start * growth_rate))
        k = where(still, k, t)
        if weight_decay != 0 and decouple:
          param = param - where(still, 0, weight_decay * rate) * param
        root = sqrt(exp_avg_sq) + d * eps
        if beta1 > 0:
          param = param - rate * exp_avg / root
        else:
          param = param - rate * d * direction / root

    Args:
        params: parameters, or groups of them, to optimize
        lr (float or Tensor, default: 1.0, lr >= 0 and finite): learning rate
        betas (tuple of 2, float, default: (0.9, 0.999), each in [0, 1)): coefficients of the running
            averages
        beta3 (float or None, default: None, beta3 in [0, 1]): decay of the sums from which the distance
            is estimated; None stands for sqrt(beta2)
        eps (float, default: 1e-08, eps > 0 and finite): term added to the denominator for numerical
            stability
        weight_decay (float, default: 0, weight_decay >= 0 and finite): weight decay is part of the rule
        decouple (bool, default: True): each step takes away lr times the distance times weight_decay of
            the parameter; else the decay is added to the gradient
        use_bias_correction (bool, default: False): correct the rate as Adam does
        safeguard_warmup (bool, default: False): leave lr out of the denominator of the estimate, for
            schedules that begin with small values
        d0 (float, default: 1e-06, d0 > 0 and finite): the first estimate of the distance
        d_coef (float, default: 1.0): factor of the estimate
        growth_rate (float, default: inf, growth_rate > 0): the largest factor by which the estimate
            grows in a step
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

    State of a parameter, in float32 12 bytes per element, 4 more if beta1 > 0:
        exp_avg: running average of the scaled gradient; like the parameter, at first 0, if beta1 > 0
        exp_avg_sq: running average of the scaled squared gradient; like the parameter, at first 0
        s: the decaying sum of gradients; like the parameter, at first 0
        p0: the parameter before the first step; like the parameter, at first the parameter

    Numbers in the parameter groups that steps write:
        d: a float of the optimizer, the same in all groups, d0 at first; the estimate of the distance
        d_max: a float of the optimizer, the same in all groups, d0 at first; the largest estimate so
            far
        d_numerator: a float of the optimizer, the same in all groups, 0 at first; the decaying sum that
            the estimate is a fraction of
        k: a float of the optimizer, the same in all groups, 0 at first; the number of steps

    Half precision:
        - float16 and bfloat16 parameters are computed in float32, and results rounded once.

    Notes:
        - There is no `slice_p`, by which the authors' code looks at every n-th element only, and no
          `fsdp_in_use`, as sharded parameters are recognised.
        - The authors' code takes other values of lr than 0 in one group for an error, and lets a group
          with lr 0 decay at the rate of the others. Here each group has its own lr, and with lr 0 the
          averages go on.
        - d is an average over all groups. The hyperparameters that it follows from must agree in all of
          them; the authors' code takes those of the first group, or of the last.

    References:
        - Mishchenko and Defazio, Prodigy: An Expeditiously Adaptive Parameter-Free Learner, 2023
          (arXiv:2306.06101)
        - prodigyopt 1.1.2, the authors' code

    Example::

        optimizer = Prodigy(model.parameters())
        loss(model(input), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    """

    schema: ClassVar[Schema] = Schema(
        contract=1,
        name="Prodigy",
        package=__name__.rpartition(".")[0],
        hyperparameters=(
            Hyperparameter(
                "lr",
                elements=("lr",),
                intervals=(Interval(0.0, float("inf"), True, False),),
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
                "beta3",
                elements=("beta3",),
                intervals=(Interval(0.0, 1.0, True, True),),
                is_tuple=False,
                tensor=False,
                error="Invalid beta3 value: {value}",
                none=(0.0,),
            ),
            Hyperparameter(
                "eps",
                elements=("eps",),
                intervals=(Interval(0.0, float("inf"), False, False),),
                is_tuple=False,
                tensor=False,
                error="Invalid epsilon value: {value}",
            ),
            Hyperparameter(
                "weight_decay",
                elements=("weight_decay",),
                intervals=(Interval(0.0, float("inf"), True, False),),
                is_tuple=False,
                tensor=False,
                error="Invalid weight_decay value: {value}",
            ),
            Hyperparameter(
                "d0",
                elements=("d0",),
                intervals=(Interval(0.0, float("inf"), False, False),),
                is_tuple=False,
                tensor=False,
                error="Invalid d0 value: {value}",
            ),
            Hyperparameter(
                "d_coef",
                elements=("d_coef",),
                intervals=(None,),
                is_tuple=False,
                tensor=False,
                error="Invalid d_coef value: {value}",
            ),
            Hyperparameter(
                "growth_rate",
                elements=("growth_rate",),
                intervals=(Interval(0.0, float("inf"), False, True),),
                is_tuple=False,
                tensor=False,
                error="Invalid growth_rate value: {value}",
            ),
        ),
        flags=("decouple", "use_bias_correction", "safeguard_warmup"),
        derived=(
            DerivedFlag("beta3_is_none", holds=lambda group: (group["beta3"] is None)),
        ),
        states=(
            State(
                "exp_avg",
                argument="exp_avgs",
                kind="tensor",
                init=None,
                when=lambda group: group["betas"][0] > 0,
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
                "s",
                argument="ses",
                kind="tensor",
                init=None,
                when=None,
                on_param_device=False,
            ),
            State(
                "p0",
                argument="p0s",
                kind="tensor",
                init=None,
                when=None,
                on_param_device=False,
                copies_param=True,
            ),
        ),
        requirements=(
        ),
        specialisations=(
            Specialisation("maximize", holds=lambda group: group.get("maximize", False)),
            Specialisation("weight_decay_nonzero", holds=lambda group: group["weight_decay"] != 0),
            Specialisation("decouple", holds=lambda group: group["decouple"]),
            Specialisation("beta1_positive", holds=lambda group: group["betas"][0] > 0),
        ),
        options=("maximize", "foreach", "capturable", "differentiable", "fused", "clip_grad_norm"),
        half_precision="float32",
        refusable=("weight_decay",),
        sparse="unsupported",
        sparse_error="Prodigy does not support sparse gradients",
        decays_gradient=lambda group: False,
        state_at_construction=False,
        foreach_temporaries=3,
        traffic=lambda known: {
            "param": 3,
            "grad": 2,
            "exp_avg": 2 * known["beta1_positive"],
            "exp_avg_sq": 2,
            "s": 2,
            "p0": 1,
        },
        reduces=True,
        shared=(
            Shared("d", scope="optimizer", init=lambda group: group["d0"]),
            Shared("d_max", scope="optimizer", init=lambda group: group["d0"]),
            Shared("d_numerator", scope="optimizer", init=lambda group: 0),
            Shared("k", scope="optimizer", init=lambda group: 0),
        ),
        uniform=("betas", "beta3", "d0", "d_coef", "growth_rate"),
        waits=True,
    )

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1.0,
        betas: tuple[float, float] = (0.9, 0.999),
        beta3: float | None = None,
        eps: float = 1e-08,
        weight_decay: float = 0,
        decouple: bool = True,
        use_bias_correction: bool = False,
        safeguard_warmup: bool = False,
        d0: float = 1e-06,
        d_coef: float = 1.0,
        growth_rate: float = float("inf"),
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
                "beta3": beta3,
                "eps": eps,
                "weight_decay": weight_decay,
                "decouple": decouple,
                "use_bias_correction": use_bias_correction,
                "safeguard_warmup": safeguard_warmup,
                "d0": d0,
                "d_coef": d_coef,
                "growth_rate": growth_rate,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "clip_grad_norm": clip_grad_norm,
                "d": None,
                "d_max": None,
                "d_numerator": None,
                "k": None,
            },
        )
