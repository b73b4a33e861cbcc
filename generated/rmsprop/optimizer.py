# Generated from specs/rmsprop.yaml by thetac 0.1.0; do not edit.
"""RMSprop: its documentation, its constructor, and what the runtime has to know of it."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac.runtime.optimizer import Optimizer
from thetac.runtime.schema import Hyperparameter, Interval, Requirement, Schema, Specialisation, State


class RMSprop(Optimizer):
    """A step divided by the root of a running mean of squared gradients.

    Each step (`step` is 1 in the first) does this to every parameter::

        if maximize:
          grad = -grad                                               # maximize
        if weight_decay != 0:
          grad = grad + weight_decay * param                         # weight decay
        square_avg = alpha * square_avg + (1 - alpha) * grad * grad  # mean squared gradient
        variance = square_avg
        if centered:
          grad_avg = lerp(grad_avg, grad, 1 - alpha)                 # mean gradient
          variance = square_avg - grad_avg * grad_avg
        avg = sqrt(variance) + eps
        if momentum > 0:
          momentum_buffer = momentum * momentum_buffer + grad / avg
          param = param - lr * momentum_buffer
        else:
          param = param - lr * grad / avg

    Args:
        params: parameters, or groups of them, to optimize
        lr (float or Tensor, default: 0.01, lr >= 0): learning rate
        alpha (float, default: 0.99, alpha >= 0): smoothing constant of the running averages
        eps (float, default: 1e-08, eps >= 0): term added to the denominator for numerical stability
        weight_decay (float, default: 0, weight_decay >= 0): weight_decay * param is added to the
            gradient
        momentum (float, default: 0, momentum >= 0): momentum factor
        centered (bool, default: False): divide by an estimate of the standard deviation instead of the
            root mean square
        capturable (bool, default: False): keep step counts on the device, so that a step can be
            captured in a CUDA graph
        foreach (bool or None, default: None): work on lists of tensors; by default where that is the
            fastest that fits
        maximize (bool, default: False): maximize the objective instead of minimizing it
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
        step: 0-d, the number of steps
        square_avg: running average of squared gradients; like the parameter, at first 0
        momentum_buffer: decaying sum of the steps, each divided by lr; like the parameter, at first 0,
            if momentum > 0
        grad_avg: running average of the gradient; like the parameter, at first 0, if centered

    Half precision:
        - float16 and bfloat16 parameters are computed in float32 by kernels, and results rounded once.
          The for-loop and foreach compute in the parameter's own dtype, as torch.optim does: in
          float16, squares of small gradients become 0 and large ones infinite.

    Notes:
        - eps is added outside the root, as in torch; TensorFlow adds it inside.
        - The variance of centered is a difference: rounding may make it negative, and its root NaN, as
          in torch.

    References:
        - Hinton, Neural Networks for Machine Learning, lecture 6e, 2012
        - Graves, Generating Sequences With Recurrent Neural Networks, 2013 (centered), arXiv:1308.0850

    Example::

        optimizer = RMSprop(model.parameters())
        loss(model(input), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    """

    schema: ClassVar[Schema] = Schema(
        contract=1,
        name="RMSprop",
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
        ),
        flags=("centered",),
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
                "square_avg",
                argument="square_avgs",
                kind="tensor",
                init=None,
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
            Specialisation("centered", holds=lambda group: group["centered"]),
            Specialisation("momentum_positive", holds=lambda group: group["momentum"] > 0),
        ),
        options=("maximize", "foreach", "capturable", "differentiable"),
        half_precision="native",
        refusable=("lr", "alpha", "weight_decay"),
        sparse="unsupported",
        sparse_error="RMSprop does not support sparse gradients",
        decays_gradient=lambda group: group["weight_decay"] != 0,
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
        alpha: float = 0.99,
        eps: float = 1e-08,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        *,
        fused: bool | None = None,
        clip_grad_norm: float | None = None,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "alpha": alpha,
                "eps": eps,
                "centered": centered,
                "weight_decay": weight_decay,
                "capturable": capturable,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "fused": fused,
                "clip_grad_norm": clip_grad_norm,
            },
        )
