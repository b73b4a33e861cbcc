# Generated from specs/pid.yaml by thetac 0.1.0; do not edit.
"""PID: its documentation, its constructor, and what the runtime has to know of it."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac.runtime.optimizer import Optimizer
from thetac.runtime.schema import Hyperparameter, Interval, Requirement, Schema, Specialisation, State


class PID(Optimizer):
    """Steps like a PID controller, along the gradient, its decaying sum and a running mean of its change.

    Each step does this to every parameter::

        if maximize:
          grad = -grad                        # maximize
        if weight_decay != 0:
          grad = grad + weight_decay * param  # weight decay
        if momentum != 0:
          if first(I_buffer):
            I_buffer = grad                   # first value
        direction = grad
        if momentum != 0:
          if not first(I_buffer):
            I_buffer = momentum * I_buffer + (1 - dampening) * grad
            D_buffer = momentum * D_buffer + (1 - momentum) * (grad - grad_buffer)
            grad_buffer = grad
          direction = grad + I * I_buffer + D * D_buffer
        param = param - lr * direction

    Args:
        params: parameters, or groups of them, to optimize
        lr (float or Tensor, default: 0.01, lr >= 0): learning rate
        momentum (float, default: 0, momentum >= 0): momentum factor
        dampening (float, default: 0): dampening for momentum
        weight_decay (float, default: 0, weight_decay >= 0): weight_decay * param is added to the
            gradient
        I (float, default: 5.0): weight of the decaying sum of gradients
        D (float, default: 10.0): weight of the running average of the gradient's change
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

    State of a parameter, in float32 0 bytes per element, 12 more if momentum != 0:
        I_buffer: decaying sum of gradients; like the parameter, at first the first gradient, if
            momentum != 0
        D_buffer: running average of the gradient's change; like the parameter, at first 0, if momentum
            != 0
        grad_buffer: gradient of the previous step, zero for the first two; like the parameter, at first
            0, if momentum != 0

    Half precision:
        - float16 and bfloat16 parameters are computed in float32, and results rounded once.

    Notes:
        - lr has no default in the authors' code; here it is 1e-2, as in their MNIST example.
        - The authors' code never stores the first gradient: the second change is taken from zero, here
          too.
        - With momentum 0 there is neither a sum nor a change, only the gradient, as in the authors'
          code.
        - The first gradient enters the sum undampened; the change is always dampened by 1 - momentum.
        - nesterov is left out: the authors' code checks it and does not use it.

    References:
        - An, Wang, Sun, Xu, Dai and Zhang, A PID Controller Approach for Stochastic Optimization of
          Deep Networks, CVPR 2018
        - tensorboy/PIDOptimizer, pid.py (the authors' code)

    Example::

        optimizer = PID(model.parameters())
        loss(model(input), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    """

    schema: ClassVar[Schema] = Schema(
        contract=1,
        name="PID",
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
                tensor=False,
                error="Invalid weight_decay value: {value}",
            ),
            Hyperparameter(
                "I",
                elements=("I",),
                intervals=(None,),
                is_tuple=False,
                tensor=False,
                error="Invalid I value: {value}",
            ),
            Hyperparameter(
                "D",
                elements=("D",),
                intervals=(None,),
                is_tuple=False,
                tensor=False,
                error="Invalid D value: {value}",
            ),
        ),
        flags=(),
        states=(
            State(
                "I_buffer",
                argument="I_buffers",
                kind="tensor",
                init=None,
                when=lambda group: group["momentum"] != 0,
                on_param_device=False,
                first="first_I_buffer",
            ),
            State(
                "D_buffer",
                argument="D_buffers",
                kind="tensor",
                init=None,
                when=lambda group: group["momentum"] != 0,
                on_param_device=False,
            ),
            State(
                "grad_buffer",
                argument="grad_buffers",
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
            Specialisation("momentum_nonzero", holds=lambda group: group["momentum"] != 0),
        ),
        options=("maximize", "foreach", "capturable", "differentiable", "fused", "clip_grad_norm"),
        half_precision="float32",
        refusable=("lr", "momentum", "dampening", "weight_decay", "I", "D"),
        sparse="unsupported",
        sparse_error="PID does not support sparse gradients",
        decays_gradient=lambda group: group["weight_decay"] != 0,
        state_at_construction=False,
        foreach_temporaries=3,
        traffic=lambda known: {
            "param": 2,
            "grad": 1,
            "I_buffer": 2 * known["momentum_nonzero"],
            "D_buffer": 2 * known["momentum_nonzero"],
            "grad_buffer": 2 * known["momentum_nonzero"],
        },
    )

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 0.01,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        I: float = 5.0,
        D: float = 10.0,
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
                "dampening": dampening,
                "weight_decay": weight_decay,
                "I": I,
                "D": D,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "clip_grad_norm": clip_grad_norm,
            },
        )
