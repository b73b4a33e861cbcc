# Generated from specs/signum.yaml by thetac 0.1.0; do not edit.
"""Signum: its documentation, its constructor, and what the runtime has to know of it."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac.runtime.optimizer import Optimizer
from thetac.runtime.schema import Hyperparameter, Interval, Requirement, Schema, Specialisation, State


class Signum(Optimizer):
    """The sign of a running mean of the gradient; without momentum, signSGD.

    Each step does this to every parameter::

        if maximize:
          grad = -grad                               # maximize
        if weight_decay != 0:
          if decoupled_weight_decay:
            param = param * (1 - lr * weight_decay)  # weight decay
          else:
            grad = grad + weight_decay * param       # weight decay
        direction = grad
        if momentum != 0:
          momentum_buffer = momentum * momentum_buffer + (1 - momentum) * grad
          direction = momentum_buffer
        param = param - lr * sign(direction)

    Args:
        params: parameters, or groups of them, to optimize
        lr (float or Tensor, default: 0.01, lr >= 0): the size of every element's step
        momentum (float, default: 0.9, momentum in [0, 1)): decay of the running mean; 0 keeps none
        weight_decay (float, default: 0, weight_decay >= 0): each step takes away lr * weight_decay of
            the parameter if decoupled_weight_decay, else weight_decay * param is added to the gradient
        decoupled_weight_decay (bool, default: False): decay the parameter instead of adding to the
            gradient
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

    State of a parameter, in float32 0 bytes per element, 4 more if momentum != 0:
        momentum_buffer: running average of the gradient; like the parameter, at first 0, if momentum !=
            0

    Half precision:
        - float16 and bfloat16 parameters are computed in float32, and results rounded once.

    Notes:
        - The authors' code has two decays, wd (in the gradient) and wd_lh (decoupled); here
          decoupled_weight_decay chooses which one weight_decay is.
        - The running mean starts from zero and is not corrected: the sign does not depend on its scale.

    References:
        - Bernstein, Wang, Azizzadenesheli and Anandkumar, signSGD: Compressed Optimisation for
          Non-Convex Problems, ICML 2018, Algorithm 2, arXiv:1802.04434
        - apache/mxnet, optimizer Signum (the authors' code)

    Example::

        optimizer = Signum(model.parameters())
        loss(model(input), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    """

    schema: ClassVar[Schema] = Schema(
        contract=1,
        name="Signum",
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
        ),
        flags=("decoupled_weight_decay",),
        states=(
            State(
                "momentum_buffer",
                argument="momentum_buffers",
                kind="tensor",
                init=None,
                when=lambda group: group["momentum"] != 0,
                on_param_device=False,
            ),
        ),
        requirements=(
        ),
        specialisations=(
            Specialisation("maximize", holds=lambda group: group.get("maximize", False)),
            Specialisation("weight_decay_nonzero", holds=lambda group: group["weight_decay"] != 0),
            Specialisation("decoupled_weight_decay", holds=lambda group: group["decoupled_weight_decay"]),
            Specialisation("momentum_nonzero", holds=lambda group: group["momentum"] != 0),
        ),
        options=("maximize", "foreach", "capturable", "differentiable", "fused", "clip_grad_norm"),
        half_precision="float32",
        refusable=("lr", "momentum", "weight_decay"),
        sparse="unsupported",
        sparse_error="Signum does not support sparse gradients",
        decays_gradient=lambda group: group["weight_decay"] != 0 and not group["decoupled_weight_decay"],
        state_at_construction=False,
        foreach_temporaries=2,
        traffic=lambda known: {
            "param": 2,
            "grad": 1,
            "momentum_buffer": 2 * known["momentum_nonzero"],
        },
    )

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 0.01,
        momentum: float = 0.9,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
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
                "decoupled_weight_decay": decoupled_weight_decay,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "clip_grad_norm": clip_grad_norm,
            },
        )
