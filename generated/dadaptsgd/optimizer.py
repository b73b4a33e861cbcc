# Generated from specs/dadapt_sgd.yaml by thetac 0.1.0; do not edit.
"""DAdaptSGD: its documentation, its constructor, and what the runtime has to know of it."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac.runtime.optimizer import Optimizer
from thetac.runtime.schema import Hyperparameter, Interval, Requirement, Schema, Shared, Specialisation, State


class DAdaptSGD(Optimizer):
    """Dual averaging with momentum whose rate is a lower bound of the distance to a solution.

    Each step does this to every parameter::

        if maximize:
          grad = -grad          # maximize
        g0_norm = where(g0_norm == 0, sqrt(total(sum(grad * grad))), g0_norm)
        rate = where(g0_norm == 0, 0, d * lr / g0_norm)
        direction = grad
        if weight_decay != 0:
          direction = grad + weight_decay * param
        numerator = numerator_weighted + total(rate * dot(direction, s))
        s = s + rate * direction
        size_of_s = sqrt(total(sum(s * s)))
        still = size_of_s == 0  # no gradient so far: nothing moves, and nothing is learnt
        bound = 2 * numerator / size_of_s
        numerator_weighted = where(still, numerator_weighted, numerator)
        d = where(still, d, maximum(d, minimum(bound, d * growth_rate)))
        z = x0 - s
        param = where(still, 1, momentum) * param + where(still, 0, 1 - momentum) * z

    Args:
        params: parameters, or groups of them, to optimize
        lr (float or Tensor, default: 1.0, lr >= 0 and finite): learning rate
        momentum (float, default: 0.0, momentum in [0, 1)): momentum factor
        weight_decay (float, default: 0, weight_decay >= 0 and finite): weight_decay * param is added to
            the gradient
        d0 (float, default: 1e-06, d0 > 0 and finite): the first bound of the distance
        growth_rate (float, default: inf, growth_rate > 0): the largest factor by which the bound grows
            in a step
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
        s: the sum of weighted gradients; like the parameter, at first 0
        x0: the parameter before the first step; like the parameter, at first the parameter

    Numbers in the parameter groups that steps write:
        d: a float of the optimizer, the same in all groups, d0 at first; the bound of the distance
        numerator_weighted: a float of the optimizer, the same in all groups, 0 at first; the sum that
            the bound is a fraction of
        g0_norm: a float of the optimizer, the same in all groups, 0 at first; the norm of the first
            gradient

    Half precision:
        - float16 and bfloat16 parameters are computed in float32, and results rounded once.

    Notes:
        - There is no `log_every`, and no `fsdp_in_use`, as sharded parameters are recognised.
        - The authors' code takes other values of lr than 0 in one group for an error, and momentum and
          weight decay of the first group for all. Here each group has its own, and with lr 0 the sums
          go on.
        - As in the authors' code, the norm of the first gradient is that without weight decay. Where it
          is 0, the code raises an error; here the first step waits for a gradient.
        - z, which the authors' code keeps, is x0 - s, and is computed.

    References:
        - Defazio and Mishchenko, Learning-Rate-Free Learning by D-Adaptation, 2023 (arXiv:2301.07733)
        - dadaptation 3.2, the authors' code

    Example::

        optimizer = DAdaptSGD(model.parameters())
        loss(model(input), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    """

    schema: ClassVar[Schema] = Schema(
        contract=1,
        name="DAdaptSGD",
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
                "momentum",
                elements=("momentum",),
                intervals=(Interval(0.0, 1.0, True, False),),
                is_tuple=False,
                tensor=False,
                error="Invalid momentum value: {value}",
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
        ),
        flags=(),
        states=(
            State(
                "s",
                argument="ses",
                kind="tensor",
                init=None,
                when=None,
                on_param_device=False,
            ),
            State(
                "x0",
                argument="x0s",
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
        ),
        options=("maximize", "foreach", "capturable", "differentiable", "fused", "clip_grad_norm"),
        half_precision="float32",
        refusable=("lr", "momentum", "weight_decay"),
        sparse="unsupported",
        sparse_error="DAdaptSGD does not support sparse gradients",
        decays_gradient=lambda group: False,
        state_at_construction=False,
        foreach_temporaries=3,
        traffic=lambda known: {
            "param": 2 + 2 * known["weight_decay_nonzero"],
            "grad": 2,
            "s": 4,
            "x0": 1,
        },
        reread=("s",),
        reduces=True,
        shared=(
            Shared("d", scope="optimizer", init=lambda group: group["d0"]),
            Shared("numerator_weighted", scope="optimizer", init=lambda group: 0),
            Shared("g0_norm", scope="optimizer", init=lambda group: 0),
        ),
        uniform=("d0", "growth_rate"),
        waits=True,
    )

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1.0,
        momentum: float = 0.0,
        weight_decay: float = 0,
        d0: float = 1e-06,
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
                "momentum": momentum,
                "weight_decay": weight_decay,
                "d0": d0,
                "growth_rate": growth_rate,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "clip_grad_norm": clip_grad_norm,
                "d": None,
                "numerator_weighted": None,
                "g0_norm": None,
            },
        )
