# Generated from specs/sgdw.yaml by thetac 0.1.0; do not edit.
"""SGDW: its documentation, its constructor, and what the runtime has to know of it."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac.runtime.optimizer import Optimizer
from thetac.runtime.schema import DerivedFlag, Hyperparameter, Interval, Requirement, Schema, Specialisation, State
from thetac.runtime.tensors import plain_number


class SGDW(Optimizer):
    """SGD with momentum whose weight decay is decoupled from the gradient.

    Each step does this to every parameter::

        if maximize:
          grad = -grad                                               # maximize
        if weight_decay != 0:
          if corrected_weight_decay:
            if lr != 0:
              param = param * (1 - lr ** 2 / max_lr * weight_decay)  # weight decay
          else:
            param = param * (1 - lr * weight_decay)                  # weight decay
        if momentum != 0:
          if first(momentum_buffer):
            momentum_buffer = grad                                   # first value
        direction = grad
        if momentum != 0:
          if not first(momentum_buffer):
            momentum_buffer = momentum * momentum_buffer + (1 - dampening) * grad
          if nesterov:
            direction = grad + momentum * momentum_buffer
          else:
            direction = momentum_buffer
        param = param - lr * direction

    Args:
        params: parameters, or groups of them, to optimize
        lr (float or Tensor, default: 0.001, lr >= 0): learning rate
        momentum (float, default: 0.0, momentum >= 0): momentum factor
        dampening (float, default: 0.0): dampening for momentum
        weight_decay (float, default: 0.0, weight_decay >= 0): each step takes away lr ** 2 / max_lr *
            weight_decay of the parameter if corrected_weight_decay, else each step takes away lr *
            weight_decay of the parameter
        max_lr (float or None, default: None, max_lr > 0): the largest lr of the schedule, for
            corrected_weight_decay; None stands for where(start_lr > 0, start_lr, lr)
        nesterov (bool, default: False): step along the gradient plus momentum times the new buffer
        corrected_weight_decay (bool, default: False): multiply the decay by lr / max_lr
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
        ValueError: params is empty; a hyperparameter is NaN or out of its range; "Nesterov momentum
            requires a momentum and zero dampening"
        TypeError: params holds something other than tensors, or a hyperparameter is not a number
        RuntimeError: fused is combined with foreach or differentiable

    State of a parameter, in float32 0 bytes per element, 4 more if momentum != 0:
        momentum_buffer: decaying sum of gradients; like the parameter, at first the first gradient, if
            momentum != 0

    Numbers in the parameter groups that no argument sets:
        start_lr: the lr that the constructor was given

    Half precision:
        - float16 and bfloat16 parameters are computed in float32, and results rounded once.

    Notes:
        - Decay is multiplied by lr, as in timm; the paper has a schedule multiplier in its place.
        - The first gradient enters the buffer undampened, as in torch's SGD.
        - max_lr is an argument here; timm has no other than the lr of the constructor, also in groups
          with an lr of their own. With lr=0 there, decay is not corrected; timm divides by 0.
        - timm's caution is a feature of every rule here.

    References:
        - Loshchilov and Hutter, Decoupled Weight Decay Regularization, ICLR 2019, Algorithm 1,
          arXiv:1711.05101
        - huggingface/pytorch-image-models, timm/optim/sgdw.py (the source)

    Example::

        optimizer = SGDW(model.parameters())
        loss(model(input), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    """

    schema: ClassVar[Schema] = Schema(
        contract=1,
        name="SGDW",
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
                "max_lr",
                elements=("max_lr",),
                intervals=(Interval(0.0, float("inf"), False, True),),
                is_tuple=False,
                tensor=False,
                error="Invalid max_lr value: {value}",
                none=(1.0,),
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
        ),
        flags=("nesterov", "corrected_weight_decay"),
        derived=(
            DerivedFlag("max_lr_is_none", holds=lambda group: (group["max_lr"] is None)),
        ),
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
            Specialisation("corrected_weight_decay", holds=lambda group: group["corrected_weight_decay"]),
            Specialisation("momentum_nonzero", holds=lambda group: group["momentum"] != 0),
            Specialisation("nesterov", holds=lambda group: group["nesterov"]),
        ),
        options=("maximize", "foreach", "capturable", "differentiable", "fused", "clip_grad_norm"),
        half_precision="float32",
        refusable=("lr", "momentum", "dampening"),
        sparse="unsupported",
        sparse_error="SGDW does not support sparse gradients",
        decays_gradient=lambda group: False,
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
        lr: float | Tensor = 0.001,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        max_lr: float | None = None,
        nesterov: bool = False,
        corrected_weight_decay: bool = False,
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
                "max_lr": max_lr,
                "nesterov": nesterov,
                "corrected_weight_decay": corrected_weight_decay,
                "start_lr": plain_number(lr),
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "clip_grad_norm": clip_grad_norm,
            },
        )
