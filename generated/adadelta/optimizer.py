# Generated from specs/adadelta.yaml by thetac 0.1.0; do not edit.
"""Adadelta: its documentation, its constructor, and what the runtime has to know of it."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac.runtime.optimizer import Optimizer
from thetac.runtime.schema import Hyperparameter, Interval, Requirement, Schema, Specialisation, State


class Adadelta(Optimizer):
    """A step scaled by the ratio of running means of squared updates and squared gradients.

    Each step (`step` is 1 in the first) does this to every parameter::

        if maximize:
          grad = -grad                                           # maximize
        if weight_decay != 0:
          grad = grad + weight_decay * param                     # weight decay
        square_avg = rho * square_avg + (1 - rho) * grad * grad  # mean squared gradient
        delta = sqrt(acc_delta + eps) / sqrt(square_avg + eps) * grad
        acc_delta = rho * acc_delta + (1 - rho) * delta * delta  # mean squared update
        param = param - lr * delta

    Args:
        params: parameters, or groups of them, to optimize
        lr (float or Tensor, default: 1.0, lr >= 0): coefficient that scales delta before it is applied
            to the parameters
        rho (float, default: 0.9, rho in [0, 1]): coefficient used for computing running averages of
            squared gradients and of squared updates
        eps (float, default: 1e-06, eps >= 0): term added to both running averages under their roots for
            numerical stability
        weight_decay (float, default: 0, weight_decay >= 0): weight_decay * param is added to the
            gradient
        foreach (bool or None, default: None): work on lists of tensors; by default where that is the
            fastest that fits
        capturable (bool, default: False): keep step counts on the device, so that a step can be
            captured in a CUDA graph
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

    State of a parameter, in float32 8 bytes per element:
        step: 0-d, the number of steps
        square_avg: running average of squared gradients; like the parameter, at first 0
        acc_delta: running average of squared updates; like the parameter, at first 0

    Half precision:
        - float16 and bfloat16 parameters are computed in float32 by kernels, and results rounded once.
          The for-loop and foreach compute in the parameter's own dtype, as torch.optim does: in
          float16, squares of small gradients become 0 and large ones infinite.

    Notes:
        - The step is multiplied by lr, as in torch; the paper has none.

    References:
        - Zeiler, ADADELTA: An Adaptive Learning Rate Method, 2012, arXiv:1212.5701

    Example::

        optimizer = Adadelta(model.parameters())
        loss(model(input), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    """

    schema: ClassVar[Schema] = Schema(
        contract=1,
        name="Adadelta",
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
                "rho",
                elements=("rho",),
                intervals=(Interval(0.0, 1.0, True, True),),
                is_tuple=False,
                tensor=False,
                error="Invalid rho value: {value}",
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
        ),
        flags=(),
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
                "acc_delta",
                argument="acc_deltas",
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
        ),
        options=("maximize", "foreach", "capturable", "differentiable"),
        half_precision="native",
        refusable=("lr", "rho", "weight_decay"),
        sparse="unsupported",
        sparse_error="Adadelta does not support sparse gradients",
        decays_gradient=lambda group: group["weight_decay"] != 0,
        state_at_construction=False,
        foreach_temporaries=3,
        traffic=lambda known: {
            "param": 2,
            "grad": 1,
            "square_avg": 2,
            "acc_delta": 2,
        },
    )

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1.0,
        rho: float = 0.9,
        eps: float = 1e-06,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        clip_grad_norm: float | None = None,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "rho": rho,
                "eps": eps,
                "weight_decay": weight_decay,
                "maximize": maximize,
                "capturable": capturable,
                "foreach": foreach,
                "differentiable": differentiable,
                "fused": fused,
                "clip_grad_norm": clip_grad_norm,
            },
        )
