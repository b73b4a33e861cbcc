# Generated from specs/apollo_ma.yaml by thetac 0.1.0; do not edit.
"""ApolloMa: its documentation, its constructor, and what the runtime has to know of it."""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac.runtime.optimizer import Optimizer
from thetac.runtime.schema import (
    Choice, DerivedFlag, Hyperparameter, Interval, Requirement, Schema, Specialisation, State
)
from thetac.runtime.tensors import plain_number


class ApolloMa(Optimizer):
    """A diagonal quasi-Newton method whose curvature follows from successive gradients.

    Each step (`step` is 1 in the first) does this to every parameter::

        if maximize:
          grad = -grad                          # maximize
        if weight_decay != 0:
          if (weight_decay_type == "L2" or rebound == "constant" and weight_decay_type != "decoupled"
              and weight_decay_type != "stable"):
            grad = grad + weight_decay * param  # weight decay
        initial_rate = where(init_lr < 0, start_lr / 1000, init_lr)
        rate = where(step - 1 < warmup and lr != 0, (start_lr - initial_rate) * (step - 1) / warmup +
            initial_rate, lr)
        alpha = (1 - beta) / (1 - beta ** step)
        delta_grad = grad - exp_avg_grad
        exp_avg_grad = exp_avg_grad + alpha * delta_grad
        fourth_norm = sqrt(sqrt(sum((direction * direction) ** 2)))
        if rebound == "belief":
          last_denom = fourth_norm + eps
        else:
          last_denom = fourth_norm + eps / 0.01
        unit = direction / last_denom
        unit_squared = unit * unit
        delta = -alpha * sum(delta_grad / last_denom * unit) - sum(approx_hessian * unit_squared)
        approx_hessian = approx_hessian + delta * unit_squared
        if rebound == "belief":
          denom = maximum(abs(approx_hessian), max(abs(delta_grad))) + eps / alpha
        else:
          denom = maximum(abs(approx_hessian), 0.01)
        direction = exp_avg_grad / denom
        if weight_decay != 0 and weight_decay_type == "stable":
          direction = direction + weight_decay / mean(denom) * param
        elif (weight_decay != 0 and (weight_decay_type == "decoupled" or weight_decay_type != "L2" and
            rebound == "belief")):
          direction = direction + weight_decay * param
        param = param - rate * direction

    Args:
        params: parameters, or groups of them, to optimize
        lr (float or Tensor, default: 0.01, lr > 0): learning rate
        beta (float, default: 0.9, beta in [0, 1)): coefficient of the running average of the gradient
        eps (float, default: 0.0001, eps >= 0): term added to the denominator for numerical stability
        rebound ("constant" or "belief", default: "constant"): what bounds the curvature from below:
            0.01, or the largest change of the gradient
        warmup (float, default: 500, warmup >= 0): steps until the rate is lr
        init_lr (float or None, default: None, init_lr >= 0): the rate of the first step; None is a
            thousandth of the lr of the constructor; None stands for -1
        weight_decay (float, default: 0, weight_decay >= 0): weight_decay * param is added to the
            gradient or to the direction
        weight_decay_type (None or "L2" or "decoupled" or "stable", default: None): add the decay to the
            gradient (L2), to the direction (decoupled), or there divided by the mean curvature (stable)
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
        step: 0-d, the number of steps
        exp_avg_grad: running average of the gradient; like the parameter, at first 0
        approx_hessian: diagonal of the approximated Hessian; like the parameter, at first 0
        direction: the direction of the step before; like the parameter, at first 0

    Numbers in the parameter groups that no argument sets:
        start_lr: the lr that the constructor was given

    Half precision:
        - float16 and bfloat16 parameters are computed in float32, and results rounded once.

    Notes:
        - A group that is made with an lr of its own starts from that; in the source from the lr of the
          constructor.
        - The authors' class is called Apollo; another optimizer, for low ranks, has that name, too.
        - lr has no default in the authors' code; 0.01 is that of their README.
        - In the warmup the rate depends on the lr of the constructor, not on schedules, as in the
          authors' code; but a step with lr 0 moves nothing, since torch.distributed.checkpoint makes
          state by one.
        - With weight_decay_type=None the decay is L2 if rebound is constant, otherwise decoupled;
          decoupled decay is added to the stored direction, as in the authors' code.

    References:
        - Ma, Apollo: An Adaptive Parameter-wise Diagonal Quasi-Newton Method for Nonconvex Stochastic
          Optimization, arXiv:2009.13586
        - XuezheMax/apollo, optim/apollo.py (the authors' code)

    Example::

        optimizer = ApolloMa(model.parameters())
        loss(model(input), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    """

    schema: ClassVar[Schema] = Schema(
        contract=1,
        name="ApolloMa",
        package=__name__.rpartition(".")[0],
        hyperparameters=(
            Hyperparameter(
                "lr",
                elements=("lr",),
                intervals=(Interval(0.0, float("inf"), False, True),),
                is_tuple=False,
                tensor=True,
                error="Invalid learning rate value: {0}",
            ),
            Hyperparameter(
                "beta",
                elements=("beta",),
                intervals=(Interval(0.0, 1.0, True, False),),
                is_tuple=False,
                tensor=False,
                error="Invalid beta value: {value}",
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
                "warmup",
                elements=("warmup",),
                intervals=(Interval(0.0, float("inf"), True, True),),
                is_tuple=False,
                tensor=False,
                error="Invalid warmup value: {value}",
            ),
            Hyperparameter(
                "init_lr",
                elements=("init_lr",),
                intervals=(Interval(0.0, float("inf"), True, True),),
                is_tuple=False,
                tensor=False,
                error="Invalid init_lr value: {value}",
                none=(0.0,),
            ),
            Hyperparameter(
                "start_lr",
                elements=("start_lr",),
                intervals=(None,),
                is_tuple=False,
                tensor=False,
                error="Invalid start_lr value: {value}",
                starts_as="lr",
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
        flags=(),
        choices=(
            Choice(
                "rebound",
                choices=("constant", "belief"),
                error='Invalid rebound value: {0}; it must be "constant" or "belief"',
            ),
            Choice(
                "weight_decay_type",
                choices=(None, "L2", "decoupled", "stable"),
                error='Invalid weight_decay_type value: {0}; it must be None, "L2", "decoupled" or "stable"',
            ),
        ),
        derived=(
            DerivedFlag("rebound_is_constant", holds=lambda group: (group["rebound"] == "constant")),
            DerivedFlag("rebound_is_belief", holds=lambda group: (group["rebound"] == "belief")),
            DerivedFlag("weight_decay_type_is_L2", holds=lambda group: (group["weight_decay_type"] == "L2")),
            DerivedFlag(
                "weight_decay_type_is_decoupled", holds=lambda group: (group["weight_decay_type"] == "decoupled")
            ),
            DerivedFlag("weight_decay_type_is_stable", holds=lambda group: (group["weight_decay_type"] == "stable")),
            DerivedFlag("init_lr_is_none", holds=lambda group: (group["init_lr"] is None)),
        ),
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
                "exp_avg_grad",
                argument="exp_avg_grads",
                kind="tensor",
                init=None,
                when=None,
                on_param_device=False,
            ),
            State(
                "approx_hessian",
                argument="approx_hessians",
                kind="tensor",
                init=None,
                when=None,
                on_param_device=False,
            ),
            State(
                "direction",
                argument="directions",
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
            Specialisation("weight_decay_type_is_L2", holds=lambda group: (group["weight_decay_type"] == "L2")),
            Specialisation("rebound_is_constant", holds=lambda group: (group["rebound"] == "constant")),
            Specialisation(
                "weight_decay_type_is_decoupled", holds=lambda group: (group["weight_decay_type"] == "decoupled")
            ),
            Specialisation("weight_decay_type_is_stable", holds=lambda group: (group["weight_decay_type"] == "stable")),
            Specialisation("rebound_is_belief", holds=lambda group: (group["rebound"] == "belief")),
        ),
        options=("maximize", "foreach", "capturable", "differentiable", "fused", "clip_grad_norm"),
        half_precision="float32",
        refusable=("beta", "weight_decay"),
        sparse="unsupported",
        sparse_error="Atom does not support sparse gradients.",
        decays_gradient=lambda group: (
            group["weight_decay"] != 0
            and (
                (group["weight_decay_type"] == "L2")
                or (group["rebound"] == "constant")
                and not (group["weight_decay_type"] == "decoupled")
                and not (group["weight_decay_type"] == "stable")
            )
        ),
        state_at_construction=False,
        foreach_temporaries=6,
        traffic=lambda known: {
            "param": 2
            + (
                known["rebound_is_belief"]
                and (
                    known["rebound_is_constant"]
                    and not known["weight_decay_type_is_decoupled"]
                    and not known["weight_decay_type_is_stable"]
                    or known["weight_decay_type_is_L2"]
                )
                and known["weight_decay_nonzero"]
            )
            + (
                (
                    known["rebound_is_constant"]
                    and not known["weight_decay_type_is_decoupled"]
                    and not known["weight_decay_type_is_stable"]
                    or known["weight_decay_type_is_L2"]
                )
                and known["weight_decay_nonzero"]
            ),
            "grad": 1 + known["rebound_is_belief"],
            "exp_avg_grad": 3 + known["rebound_is_belief"],
            "approx_hessian": 4,
            "direction": 4,
        },
        reread=("exp_avg_grad", "approx_hessian"),
        separate_kernels=True,
        shape_numbers=("size",),
        reduces=True,
        complex_error="ApolloMa does not support complex parameters",
    )

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 0.01,
        beta: float = 0.9,
        eps: float = 0.0001,
        rebound: Literal["constant", "belief"] = "constant",
        warmup: float = 500,
        init_lr: float | None = None,
        weight_decay: float = 0,
        weight_decay_type: Literal["L2", "decoupled", "stable"] | None = None,
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
                "beta": beta,
                "eps": eps,
                "rebound": rebound,
                "warmup": warmup,
                "init_lr": init_lr,
                "start_lr": plain_number(lr),
                "weight_decay": weight_decay,
                "weight_decay_type": weight_decay_type,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "clip_grad_norm": clip_grad_norm,
            },
        )
