# Generated from specs/dadapt_adam.yaml by thetac 0.1.0; do not edit.
"""DAdaptAdam: its documentation, its constructor, and what the runtime has to know of it."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac.runtime.optimizer import Optimizer
from thetac.runtime.schema import Hyperparameter, Interval, Requirement, Schema, Shared, Specialisation, State


class DAdaptAdam(Optimizer):
    """Adam whose rate is a lower bound of the distance to a solution, found by D-Adaptation.

    Each step does this to every parameter::

        if maximize:
          grad = -grad          # maximize
        t = k + 1
        direction = grad
        if weight_decay != 0 and not decouple:
          direction = grad + weight_decay * param
        rate = d * lr
        if use_bias_correction:
          rate = rate * sqrt(1 - beta2 ** t) / (1 - beta1 ** t)
        root = sqrt(beta2)
        gain = total(layer_scale * rate * dot(direction, s / (sqrt(exp_avg_sq) + eps)))
        exp_avg = beta1 * exp_avg + layer_scale * rate * (1 - beta1) * direction
        exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * direction * direction
        s = root * s + rate * (1 - root) * direction
        size_of_s = total(layer_scale * sum(abs(s)))
        still = size_of_s == 0  # no gradient so far: nothing moves, and nothing is learnt
        numerator = root * numerator_weighted + (1 - root) * gain
        bound = numerator / ((1 - root) * size_of_s)
        numerator_weighted = where(still, numerator_weighted, numerator)
        d = where(still, d, maximum(d, minimum(bound, d * growth_rate)))
        k = where(still, k, t)
        if weight_decay != 0 and decouple:
          param = param - where(still, 0, weight_decay * rate) * param
        param = param - exp_avg / (sqrt(exp_avg_sq) + eps)

    Args:
        params: parameters, or groups of them, to optimize
        lr (float or Tensor, default: 1.0, lr >= 0 and finite): learning rate
        betas (tuple of 2, float, default: (0.9, 0.999), each in [0, 1)): coefficients of the running
            averages
        eps (float, default: 1e-08, eps > 0 and finite): term added to the denominator for numerical
            stability
        weight_decay (float, default: 0, weight_decay >= 0 and finite): weight decay is part of the rule
        decouple (bool, default: False): each step takes away lr times the distance times weight_decay
            of the parameter; else the decay is added to the gradient
        use_bias_correction (bool, default: False): correct the rate as Adam does
        d0 (float, default: 1e-06, d0 > 0 and finite): the first bound of the distance
        growth_rate (float, default: inf, growth_rate > 0): the largest factor by which the bound grows
            in a step
        layer_scale (float, default: 1.0): factor of the rate of a group
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

    State of a parameter, in float32 12 bytes per element:
        exp_avg: running average of the scaled gradient; like the parameter, at first 0
        exp_avg_sq: running average of the squared gradient; like the parameter, at first 0
        s: the average of weighted gradients; like the parameter, at first 0

    Numbers in the parameter groups that steps write:
        d: a float of the optimizer, the same in all groups, d0 at first; the bound of the distance
        numerator_weighted: a float of the optimizer, the same in all groups, 0 at first; the average
            that the bound is a fraction of
        k: a float of the optimizer, the same in all groups, 0 at first; the number of steps

    Half precision:
        - float16 and bfloat16 parameters are computed in float32, and results rounded once.

    Notes:
        - There is no `log_every`, and no `fsdp_in_use`, as sharded parameters are recognised.
        - The authors' code takes other values of lr than 0 in one group for an error. Here each group
          has its own lr, with lr 0 the averages go on, and `layer_scale` is an argument, too.
        - The hyperparameters from which d follows must agree in all groups; the authors' code takes
          those of the first group.

    References:
        - Defazio and Mishchenko, Learning-Rate-Free Learning by D-Adaptation, 2023 (arXiv:2301.07733)
        - dadaptation 3.2, the authors' code

    Example::

        optimizer = DAdaptAdam(model.parameters())
        loss(model(input), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    """

    schema: ClassVar[Schema] = Schema(
        contract=1,
        name="DAdaptAdam",
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
                "growth_rate",
                elements=("growth_rate",),
                intervals=(Interval(0.0, float("inf"), False, True),),
                is_tuple=False,
                tensor=False,
                error="Invalid growth_rate value: {value}",
            ),
            Hyperparameter(
                "layer_scale",
                elements=("layer_scale",),
                intervals=(None,),
                is_tuple=False,
                tensor=False,
                error="Invalid layer_scale value: {value}",
            ),
        ),
        flags=("decouple", "use_bias_correction"),
        states=(
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
                "s",
                argument="ses",
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
        ),
        options=("maximize", "foreach", "capturable", "differentiable", "fused", "clip_grad_norm"),
        half_precision="float32",
        refusable=("beta2", "weight_decay"),
        sparse="unsupported",
        sparse_error="DAdaptAdam does not support sparse gradients",
        decays_gradient=lambda group: False,
        state_at_construction=False,
        foreach_temporaries=3,
        traffic=lambda known: {
            "param": 2 + (not known["decouple"] and known["weight_decay_nonzero"]),
            "grad": 1,
            "exp_avg": 3,
            "exp_avg_sq": 3,
            "s": 2,
        },
        reread=("exp_avg", "exp_avg_sq"),
        reduces=True,
        shared=(
            Shared("d", scope="optimizer", init=lambda group: group["d0"]),
            Shared("numerator_weighted", scope="optimizer", init=lambda group: 0),
            Shared("k", scope="optimizer", init=lambda group: 0),
        ),
        uniform=("betas", "d0", "growth_rate"),
        waits=True,
    )

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1.0,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-08,
        weight_decay: float = 0,
        decouple: bool = False,
        use_bias_correction: bool = False,
        d0: float = 1e-06,
        growth_rate: float = float("inf"),
        layer_scale: float = 1.0,
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
                "use_bias_correction": use_bias_correction,
                "d0": d0,
                "growth_rate": growth_rate,
                "layer_scale": layer_scale,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "clip_grad_norm": clip_grad_norm,
                "d": None,
                "numerator_weighted": None,
                "k": None,
            },
        )
