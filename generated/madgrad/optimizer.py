# Generated from specs/madgrad.yaml by thetac 0.1.0; do not edit.
"""MADGRAD: its documentation, its constructor, and what the runtime has to know of it."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac.runtime.optimizer import Optimizer
from thetac.runtime.schema import Hyperparameter, Interval, Requirement, Schema, Specialisation, State


class MADGRAD(Optimizer):
    """Dual averaging of gradients, scaled by the cube root of their weighted sum of squares.

    Each step (`step` is 1 in the first) does this to every parameter::

        if maximize:
          grad = -grad                          # maximize
        if weight_decay != 0:
          if not decouple_decay:
            grad = grad + weight_decay * param  # weight decay
        rate = where(lr != 0, lr + eps, lr)
        weight = rate * sqrt(step)
        before = param
        if momentum != 0:
          start = x0
        else:
          last_root = cbrt(grad_sum_sq) + eps
          if eps == 0:
            last_root = where(last_root == 0, inf, last_root)
          start = param + s / last_root
        grad_sum_sq = grad_sum_sq + weight * grad * grad
        root = cbrt(grad_sum_sq) + eps
        if eps == 0:
          root = where(root == 0, inf, root)
        s = s + weight * grad
        z = start - s / root                    # dual averaging
        param = lerp(param, z, 1 - momentum)
        if decouple_decay and weight_decay != 0:
          param = param - rate * weight_decay * before

    Args:
        params: parameters, or groups of them, to optimize
        lr (float or Tensor, default: 0.01, lr >= 0): learning rate
        momentum (float, default: 0.9, momentum in [0, 1)): momentum factor
        weight_decay (float, default: 0, weight_decay >= 0): weight_decay * param is added to the
            gradient; with decouple_decay, each step takes away (lr + eps) * weight_decay of the
            parameter
        eps (float, default: 1e-06, eps >= 0): term added to the denominator for numerical stability
        decouple_decay (bool, default: False): decay the parameter instead of adding to the gradient
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

    State of a parameter, in float32 8 bytes per element, 4 more if momentum != 0:
        step: 0-d, the number of steps
        grad_sum_sq: weighted sum of squared gradients; like the parameter, at first 0
        s: weighted sum of gradients; like the parameter, at first 0
        x0: the first value of the parameter; like the parameter, at first the parameter, if momentum !=
            0

    Half precision:
        - float16 and bfloat16 parameters are computed in float32, and results rounded once.

    Notes:
        - eps is added to a learning rate that is not 0, and to the cube root, as in the authors' code.
        - The authors' code counts the steps of the optimizer; here each parameter counts its own, so
          that one whose first gradient comes late starts as all others did.
        - Without momentum and with eps=0, the authors' code makes NaN of an element that has had no
          gradient; here it stays.
        - With decouple_decay, the decay is that of the parameter before the step.
        - A sparse gradient is refused.

    References:
        - Defazio and Jelassi, Adaptivity without Compromise: A Momentumized, Adaptive, Dual Averaged
          Gradient Method for Stochastic Optimization, JMLR 2022, arXiv:2101.11075
        - facebookresearch/madgrad, madgrad.py of version 1.3

    Example::

        optimizer = MADGRAD(model.parameters())
        loss(model(input), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    """

    schema: ClassVar[Schema] = Schema(
        contract=1,
        name="MADGRAD",
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
                intervals=(Interval(0.0, float("inf"), True, True),),
                is_tuple=False,
                tensor=False,
                error="Invalid weight_decay value: {value}",
            ),
            Hyperparameter(
                "eps",
                elements=("eps",),
                intervals=(Interval(0.0, float("inf"), True, True),),
                is_tuple=False,
                tensor=False,
                error="Invalid epsilon value: {value}",
            ),
        ),
        flags=("decouple_decay",),
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
                "grad_sum_sq",
                argument="grad_sum_sqs",
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
                "x0",
                argument="x0s",
                kind="tensor",
                init=None,
                when=lambda group: group["momentum"] != 0,
                on_param_device=False,
                copies_param=True,
            ),
        ),
        requirements=(
        ),
        specialisations=(
            Specialisation("maximize", holds=lambda group: group.get("maximize", False)),
            Specialisation("weight_decay_nonzero", holds=lambda group: group["weight_decay"] != 0),
            Specialisation("decouple_decay", holds=lambda group: group["decouple_decay"]),
            Specialisation("momentum_nonzero", holds=lambda group: group["momentum"] != 0),
            Specialisation("eps_zero", holds=lambda group: group["eps"] == 0),
        ),
        options=("maximize", "foreach", "capturable", "differentiable", "fused", "clip_grad_norm"),
        half_precision="float32",
        refusable=("lr", "momentum", "weight_decay", "eps"),
        sparse="unsupported",
        sparse_error="MADGRAD does not support sparse gradients",
        decays_gradient=lambda group: group["weight_decay"] != 0 and not group["decouple_decay"],
        state_at_construction=False,
        foreach_temporaries=6,
        traffic=lambda known: {
            "param": 2,
            "grad": 1,
            "grad_sum_sq": 2,
            "s": 2,
            "x0": known["momentum_nonzero"],
        },
    )

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 0.01,
        momentum: float = 0.9,
        weight_decay: float = 0,
        eps: float = 1e-06,
        decouple_decay: bool = False,
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
                "eps": eps,
                "decouple_decay": decouple_decay,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "clip_grad_norm": clip_grad_norm,
            },
        )
