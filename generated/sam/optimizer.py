# Generated from specs/sam.yaml by thetac 0.1.0; do not edit.
"""SAM: its documentation, its constructor, and what the runtime has to know of it."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac.runtime.drivers.two_point import TwoPoint
from thetac.runtime.schema import Hyperparameter, Interval, Requirement, Schema, Specialisation, State


class SAM(TwoPoint):
    """SGD with the gradient of the point nearby where the loss is about the largest.

    Each step does this to every parameter::

        if maximize:
          grad = -grad                        # maximize
        if weight_decay != 0:
          grad = grad + weight_decay * param  # weight decay
        direction = grad
        if momentum != 0:
          if first(momentum_buffer):
            momentum_buffer = grad
          else:
            momentum_buffer = momentum * momentum_buffer + (1 - dampening) * grad
          if nesterov:
            direction = grad + momentum * momentum_buffer
          else:
            direction = momentum_buffer
        param = param - lr * direction

    `perturb`, which moves the parameters to where the gradient is taken, does this::

        if maximize:
          grad = -grad  # maximize
        ascent = grad
        if adaptive:
          ascent = abs(param) * grad
        length = sqrt(total(sum(ascent * ascent)))
        if adaptive:
          ascent = abs(param) * ascent
        param = param + rho / (length + 1e-12) * ascent

    Args:
        params: parameters, or groups of them, to optimize
        lr (float or Tensor, default: 0.001, lr >= 0): learning rate
        momentum (float, default: 0, momentum >= 0): momentum factor
        dampening (float, default: 0): dampening for momentum
        weight_decay (float or Tensor, default: 0, weight_decay >= 0): weight_decay * param is added to
            the gradient
        nesterov (bool, default: False): step along the gradient plus momentum times the new buffer
        rho (float, default: 0.05, rho >= 0 and finite): distance to the point where the gradient is
            taken
        adaptive (bool, default: False): measure the distance in multiples of the parameter's elements
            (ASAM, with eta 0)
        maximize (bool, default: False): maximize the objective instead of minimizing it
        foreach (bool or None, default: None): work on lists of tensors; by default where that is the
            fastest that fits
        differentiable (bool, default: False): let autograd run through the step
        fused (bool or None, default: None): do a whole step in one kernel: Triton on a GPU, C++ on a
            CPU; by default where that fits
        capturable (bool, default: False): keep step counts on the device, so that a step can be
            captured in a CUDA graph
        clip_grad_norm (float or None, default: None): scale gradients down to this global norm within
            the step; the gradients themselves stay as they are

    Raises:
        ValueError: params is empty; a hyperparameter is NaN or out of its range; "Nesterov momentum
            requires a momentum and zero dampening"
        TypeError: params holds something other than tensors, or a hyperparameter is not a number
        RuntimeError: fused is combined with foreach or differentiable

    State of a parameter, in float32 0 bytes per element, 4 more if momentum != 0:
        momentum_buffer: decaying sum of gradients; like the parameter, at first 0, if momentum != 0

    Half precision:
        - float16 and bfloat16 parameters are computed in float32, and results rounded once.

    Notes:
        - davda54/sam wraps any optimizer; the feature `sam` gives any rule the same step.
        - Parameters are restored to the bit, in their own memory; davda54/sam puts copies in their
          place.
        - A step evaluates the closure twice and returns the first loss; davda54/sam takes the first
          gradients as they are, and returns none.
        - A complex parameter is a pair of real numbers, which adaptive scales one by one.

    References:
        - Foret, Kleiner, Mobahi and Neyshabur, Sharpness-Aware Minimization for Efficiently Improving
          Generalization, ICLR 2021, arXiv:2010.01412
        - davda54/sam, sam.py (the source)
        - Sutskever, Martens, Dahl and Hinton, On the importance of initialization and momentum in deep
          learning, ICML 2013

    Example::

        optimizer = SAM(model.parameters())
        def closure():
            optimizer.zero_grad()
            value = loss(model(input), target)
            value.backward()
            return value
        optimizer.step(closure)
    """

    schema: ClassVar[Schema] = Schema(
        contract=1,
        name="SAM",
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
                intervals=(Interval(0.0, float("inf"), True, True),),
                is_tuple=False,
                tensor=False,
                error="Invalid momentum value: {value}",
            ),
            Hyperparameter(
                "dampening",
                elements=("dampening",),
                intervals=(None,),
                is_tuple=False,
                tensor=False,
                error="Invalid dampening value: {value}",
            ),
            Hyperparameter(
                "weight_decay",
                elements=("weight_decay",),
                intervals=(Interval(0.0, float("inf"), True, True),),
                is_tuple=False,
                tensor=True,
                error="Invalid weight_decay value: {value}",
            ),
            Hyperparameter(
                "rho",
                elements=("rho",),
                intervals=(Interval(0.0, float("inf"), True, False),),
                is_tuple=False,
                tensor=False,
                error="Invalid rho value: {value}",
            ),
        ),
        flags=("nesterov", "adaptive"),
        states=(
            State(
                "momentum_buffer",
                argument="momentum_buffers",
                kind="tensor",
                init=None,
                when=lambda group: group["momentum"] != 0,
                on_param_device=False,
                first="first_momentum_buffer",
            ),
        ),
        requirements=(
            Requirement(
                holds=lambda group: not group["nesterov"] or group["momentum"] > 0 and group["dampening"] == 0,
                message="Nesterov momentum requires a momentum and zero dampening",
            ),
        ),
        specialisations=(
            Specialisation("maximize", holds=lambda group: group.get("maximize", False)),
            Specialisation("weight_decay_nonzero", holds=lambda group: group["weight_decay"] != 0),
            Specialisation("momentum_nonzero", holds=lambda group: group["momentum"] != 0),
            Specialisation("nesterov", holds=lambda group: group["nesterov"]),
        ),
        options=("maximize", "foreach", "differentiable", "fused"),
        half_precision="float32",
        refusable=("lr", "momentum", "dampening", "weight_decay"),
        sparse="unsupported",
        sparse_error="SAM does not support sparse gradients",
        decays_gradient=lambda group: group["weight_decay"] != 0,
        state_at_construction=False,
        foreach_temporaries=2,
        traffic=lambda known: {
            "param": 2,
            "grad": 1,
            "momentum_buffer": 2 * known["momentum_nonzero"],
        },
        pieces=("perturb",),
    )

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 0.001,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float | Tensor = 0,
        nesterov: bool = False,
        rho: float = 0.05,
        adaptive: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
        capturable: bool = False,
        clip_grad_norm: float | None = None,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
                "rho": rho,
                "adaptive": adaptive,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "clip_grad_norm": clip_grad_norm,
            },
        )
