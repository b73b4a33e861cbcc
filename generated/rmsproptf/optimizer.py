# Generated from specs/rmsprop_tf.yaml by thetac 0.1.0; do not edit.
"""RMSpropTF: its documentation, its constructor, and what the runtime has to know of it."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac.runtime.optimizer import Optimizer
from thetac.runtime.schema import DerivedFlag, Hyperparameter, Interval, Requirement, Schema, Specialisation, State
from thetac.runtime.tensors import plain_number


class RMSpropTF(Optimizer):
    """RMSprop as TensorFlow has it, with eps under the root and lr in the momentum buffer.

    Each step does this to every parameter::

        if maximize:
          grad = -grad                                               # maximize
        if weight_decay != 0:
          if decoupled_decay and corrected_weight_decay:
            if lr != 0:
              param = param * (1 - lr ** 2 / max_lr * weight_decay)  # weight decay
          elif decoupled_decay:
            param = param * (1 - lr * weight_decay)                  # weight decay
          else:
            grad = grad + weight_decay * param                       # weight decay
        square_avg = alpha * square_avg + (1 - alpha) * grad * grad
        variance = square_avg
        if centered:
          grad_avg = alpha * grad_avg + (1 - alpha) * grad
          variance = square_avg - grad_avg * grad_avg
        avg = sqrt(variance + eps)
        if momentum > 0:
          if lr_in_momentum:
            momentum_buffer = momentum * momentum_buffer + lr * grad / avg
            param = param - momentum_buffer
          else:
            momentum_buffer = momentum * momentum_buffer + grad / avg
            param = param - lr * momentum_buffer
        else:
          param = param - lr * grad / avg

    Args:
        params: parameters, or groups of them, to optimize
        lr (float or Tensor, default: 0.01, lr >= 0): learning rate
        alpha (float, default: 0.9, alpha >= 0): smoothing constant of the running averages
        eps (float, default: 1e-10, eps >= 0): term added to the denominator for numerical stability
        weight_decay (float, default: 0, weight_decay >= 0): each step takes away lr ** 2 / max_lr *
            weight_decay of the parameter if decoupled_decay and corrected_weight_decay, else each step
            takes away lr * weight_decay of the parameter if decoupled_decay, else weight_decay * param
            is added to the gradient
        momentum (float, default: 0.0, momentum >= 0): momentum factor
        max_lr (float or None, default: None, max_lr > 0): the largest lr of the schedule, for
            corrected_weight_decay; None stands for where(start_lr > 0, start_lr, lr)
        centered (bool, default: False): divide by an estimate of the standard deviation instead of the
            root mean square
        decoupled_decay (bool, default: False): decay the parameter instead of adding to the gradient
        corrected_weight_decay (bool, default: False): with decoupled_decay, multiply the decay by lr /
            max_lr
        lr_in_momentum (bool, default: True): sum steps, not gradients, in the momentum buffer: a change
            of lr then leaves earlier ones as they are
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

    State of a parameter, in float32 4 bytes per element, 4 more if momentum > 0, 4 more if centered:
        square_avg: running average of squared gradients; like the parameter, at first 1
        momentum_buffer: decaying sum of steps, or of steps divided by lr; like the parameter, at first
            0, if momentum > 0
        grad_avg: running average of the gradient; like the parameter, at first 0, if centered

    Numbers in the parameter groups that no argument sets:
        start_lr: the lr that the constructor was given

    Half precision:
        - float16 and bfloat16 parameters are computed in float32, and results rounded once.

    Notes:
        - The mean square starts from 1, as in TensorFlow and timm.
        - Means are written as in torch's RMSprop: timm's square_avg + (1 - alpha) * (grad ** 2 -
          square_avg) is the same, but becomes NaN where float16 overflows.
        - max_lr is an argument here; timm has no other than the lr of the constructor, also in groups
          with an lr of their own. With lr=0 there, decay is not corrected; timm divides by 0.
        - timm's caution is a feature of every rule here.
        - The variance of centered is a difference: rounding may make it negative, and its root NaN, as
          in timm.

    References:
        - Hinton, Neural Networks for Machine Learning, lecture 6e, 2012
        - huggingface/pytorch-image-models, timm/optim/rmsprop_tf.py (the source)

    Example::

        optimizer = RMSpropTF(model.parameters())
        loss(model(input), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    """

    schema: ClassVar[Schema] = Schema(
        contract=1,
        name="RMSpropTF",
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
                "alpha",
                elements=("alpha",),
                intervals=(Interval(0.0, float("inf"), True, True),),
                is_tuple=False,
                tensor=False,
                error="Invalid alpha value: {value}",
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
                "weight_decay",
                elements=("weight_decay",),
                intervals=(Interval(0.0, float("inf"), True, True),),
                is_tuple=False,
                tensor=False,
                error="Invalid weight_decay value: {value}",
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
        flags=("centered", "decoupled_decay", "corrected_weight_decay", "lr_in_momentum"),
        derived=(
            DerivedFlag("max_lr_is_none", holds=lambda group: (group["max_lr"] is None)),
        ),
        states=(
            State(
                "square_avg",
                argument="square_avgs",
                kind="tensor",
                init=lambda group: 1,
                when=None,
                on_param_device=False,
            ),
            State(
                "momentum_buffer",
                argument="momentum_buffers",
                kind="tensor",
                init=None,
                when=lambda group: group["momentum"] > 0,
                on_param_device=False,
            ),
            State(
                "grad_avg",
                argument="grad_avgs",
                kind="tensor",
                init=None,
                when=lambda group: group["centered"],
                on_param_device=False,
            ),
        ),
        requirements=(
        ),
        specialisations=(
            Specialisation("maximize", holds=lambda group: group.get("maximize", False)),
            Specialisation("weight_decay_nonzero", holds=lambda group: group["weight_decay"] != 0),
            Specialisation("decoupled_decay", holds=lambda group: group["decoupled_decay"]),
            Specialisation("corrected_weight_decay", holds=lambda group: group["corrected_weight_decay"]),
            Specialisation("centered", holds=lambda group: group["centered"]),
            Specialisation("momentum_positive", holds=lambda group: group["momentum"] > 0),
            Specialisation("lr_in_momentum", holds=lambda group: group["lr_in_momentum"]),
        ),
        options=("maximize", "foreach", "capturable", "differentiable", "fused", "clip_grad_norm"),
        half_precision="float32",
        refusable=("lr", "alpha", "weight_decay"),
        sparse="unsupported",
        sparse_error="RMSpropTF does not support sparse gradients",
        decays_gradient=lambda group: (
            group["weight_decay"] != 0
            and not (group["decoupled_decay"] and group["corrected_weight_decay"])
            and not group["decoupled_decay"]
        ),
        state_at_construction=False,
        foreach_temporaries=3,
        traffic=lambda known: {
            "param": 2,
            "grad": 1,
            "square_avg": 2,
            "momentum_buffer": 2 * known["momentum_positive"],
            "grad_avg": 2 * known["centered"],
        },
    )

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 0.01,
        alpha: float = 0.9,
        eps: float = 1e-10,
        weight_decay: float = 0,
        momentum: float = 0.0,
        max_lr: float | None = None,
        centered: bool = False,
        decoupled_decay: bool = False,
        corrected_weight_decay: bool = False,
        lr_in_momentum: bool = True,
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
                "alpha": alpha,
                "eps": eps,
                "weight_decay": weight_decay,
                "momentum": momentum,
                "max_lr": max_lr,
                "centered": centered,
                "decoupled_decay": decoupled_decay,
                "corrected_weight_decay": corrected_weight_decay,
                "lr_in_momentum": lr_in_momentum,
                "start_lr": plain_number(lr),
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "clip_grad_norm": clip_grad_norm,
            },
        )
