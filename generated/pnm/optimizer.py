# Generated from specs/pnm.yaml by thetac 0.1.0; do not edit.
"""PNM: its documentation, its constructor, and what the runtime has to know of it."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac.runtime.optimizer import Optimizer
from thetac.runtime.schema import Hyperparameter, Interval, Requirement, Schema, Specialisation, State


class PNM(Optimizer):
    """Two momenta fed in turn and combined with opposite signs, so that gradient noise is amplified.

    Each step (`step` is 1 in the first) does this to every parameter::

        if maximize:
          grad = -grad                               # maximize
        if weight_decay != 0:
          if decoupled:
            param = param * (1 - lr * weight_decay)  # weight decay
          else:
            grad = grad + weight_decay * param       # weight decay
        if step % 2 == 1:
          pos_momentum = beta1 ** 2 * pos_momentum + (1 - beta1 ** 2) * grad
          direction = (1 + beta2) * pos_momentum - beta2 * neg_momentum
        else:
          neg_momentum = beta1 ** 2 * neg_momentum + (1 - beta1 ** 2) * grad
          direction = (1 + beta2) * neg_momentum - beta2 * pos_momentum
        noise_norm = sqrt((1 + beta2) ** 2 + beta2 ** 2)
        param = param - lr / noise_norm * direction

    Args:
        params: parameters, or groups of them, to optimize
        lr (float or Tensor, default: 1.0, lr >= 0): learning rate
        betas (tuple of 2, float, default: (0.9, 1.0), beta1 in [0, 1); finite): decay of both momenta,
            and the weight of the negative one
        weight_decay (float, default: 0, weight_decay >= 0): each step takes away lr * weight_decay of
            the parameter if decoupled, else weight_decay * param is added to the gradient
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

    State of a parameter, in float32 8 bytes per element:
        step: 0-d, the number of steps
        pos_momentum: running average of the gradients of odd steps; like the parameter, at first 0
        neg_momentum: running average of the gradients of even steps; like the parameter, at first 0

    Half precision:
        - float16 and bfloat16 parameters are computed in float32, and results rounded once.

    Notes:
        - lr has no default in the authors' code; here it is 1, as in their demonstration.
        - A momentum is fed in every second step, with the weight beta1 ** 2 for both steps, as in the
          authors' code; it is not corrected for its bias.

    References:
        - Xie, Yuan, Zhu and Sugiyama, Positive-Negative Momentum: Manipulating Stochastic Gradient
          Noise to Improve Generalization, ICML 2021, Algorithm 1, arXiv:2103.17182
        - zeke-xie/Positive-Negative-Momentum, pnm_optim/pnm.py (the authors' code)

    Example::

        optimizer = PNM(model.parameters())
        loss(model(input), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    """

    schema: ClassVar[Schema] = Schema(
        contract=1,
        name="PNM",
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
                intervals=(Interval(0.0, 1.0, True, False), Interval(float("-inf"), float("inf"), False, False)),
                is_tuple=True,
                tensor=False,
                error="Invalid beta parameter at index {index}: {value}",
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
        flags=("decoupled",),
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
                "pos_momentum",
                argument="pos_momentums",
                kind="tensor",
                init=None,
                when=None,
                on_param_device=False,
            ),
            State(
                "neg_momentum",
                argument="neg_momentums",
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
            Specialisation("decoupled", holds=lambda group: group["decoupled"]),
        ),
        options=("maximize", "foreach", "capturable", "differentiable", "fused", "clip_grad_norm"),
        half_precision="float32",
        refusable=("lr", "beta1", "beta2", "weight_decay"),
        sparse="unsupported",
        sparse_error="PNM does not support sparse gradients",
        decays_gradient=lambda group: group["weight_decay"] != 0 and not group["decoupled"],
        state_at_construction=False,
        foreach_temporaries=2,
        traffic=lambda known: {
            "param": 2,
            "grad": 1,
            "pos_momentum": 2,
            "neg_momentum": 2,
        },
    )

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1.0,
        betas: tuple[float, float] = (0.9, 1.0),
        weight_decay: float = 0,
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
                "weight_decay": weight_decay,
                "decoupled": decoupled,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "clip_grad_norm": clip_grad_norm,
            },
        )
