# Generated from specs/asgd.yaml by thetac 0.1.0; do not edit.
"""ASGD: its documentation, its constructor, and what the runtime has to know of it."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac.runtime.optimizer import Optimizer
from thetac.runtime.schema import Hyperparameter, Interval, Requirement, Schema, Specialisation, State


class ASGD(Optimizer):
    """Stochastic gradient descent that also keeps the average of its iterates.

    Each step (`step` is 1 in the first) does this to every parameter::

        if maximize:
          grad = -grad                        # maximize
        if weight_decay != 0:
          grad = grad + weight_decay * param  # weight decay
        param = param * (1 - lambd * eta)
        param = param - eta * grad
        if mu != 1:
          ax = ax + (param - ax) * mu         # running average
        else:
          ax = param
        eta = lr / (1 + lambd * lr * step) ** alpha
        mu = 1 / maximum(1, step - t0)

    Args:
        params: parameters, or groups of them, to optimize
        lr (float or Tensor, default: 0.01, lr >= 0): learning rate
        lambd (float, default: 0.0001): decay term
        alpha (float, default: 0.75): power for the update of the step size eta
        t0 (float, default: 1000000.0): number of steps after which averaging starts
        weight_decay (float, default: 0, weight_decay >= 0): weight_decay * param is added to the
            gradient
        foreach (bool or None, default: None): work on lists of tensors; by default where that is the
            fastest that fits
        maximize (bool, default: False): maximize the objective instead of minimizing it
        differentiable (bool, default: False): let autograd run through the step
        capturable (bool, default: False): keep step counts on the device, so that a step can be
            captured in a CUDA graph
        fused (bool or None, default: None): do a whole step in one kernel: Triton on a GPU, C++ on a
            CPU; by default where that fits
        clip_grad_norm (float or None, default: None): scale gradients down to this global norm within
            the step; the gradients themselves stay as they are

    Raises:
        ValueError: params is empty; a hyperparameter is NaN or out of its range
        TypeError: params holds something other than tensors, or a hyperparameter is not a number
        RuntimeError: fused is combined with foreach or differentiable

    State of a parameter, in float32 4 bytes per element:
        step: 0-d, the number of steps
        eta: step size of the next step; 0-d, a number, at first lr
        mu: weight of the next iterate in the average; 0-d, a number, at first 1
        ax: average of the iterates; like the parameter, at first 0

    Half precision:
        - float16 and bfloat16 parameters are computed in float32 by kernels, and results rounded once.
          The for-loop and foreach compute in the parameter's own dtype, as torch.optim does: in
          float16, squares of small gradients become 0 and large ones infinite.

    References:
        - Polyak and Juditsky, Acceleration of Stochastic Approximation by Averaging, SIAM J. Control
          and Optimization 30, 1992

    Example::

        optimizer = ASGD(model.parameters())
        loss(model(input), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    """

    schema: ClassVar[Schema] = Schema(
        contract=1,
        name="ASGD",
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
                "lambd",
                elements=("lambd",),
                intervals=(None,),
                is_tuple=False,
                tensor=False,
                error="Invalid lambd value: {value}",
            ),
            Hyperparameter(
                "alpha",
                elements=("alpha",),
                intervals=(None,),
                is_tuple=False,
                tensor=False,
                error="Invalid alpha value: {value}",
            ),
            Hyperparameter(
                "t0",
                elements=("t0",),
                intervals=(None,),
                is_tuple=False,
                tensor=False,
                error="Invalid t0 value: {value}",
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
                on_param_device=True,
            ),
            State(
                "eta",
                argument="etas",
                kind="scalar",
                init=lambda group: group["lr"],
                when=None,
                on_param_device=True,
            ),
            State(
                "mu",
                argument="mus",
                kind="scalar",
                init=lambda group: 1,
                when=None,
                on_param_device=True,
            ),
            State(
                "ax",
                argument="axs",
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
        refusable=("weight_decay",),
        sparse="unsupported",
        sparse_error="ASGD does not support sparse gradients",
        decays_gradient=lambda group: group["weight_decay"] != 0,
        state_at_construction=False,
        foreach_temporaries=2,
        traffic=lambda known: {
            "param": 2,
            "grad": 1,
            "ax": 2,
        },
    )

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 0.01,
        lambd: float = 0.0001,
        alpha: float = 0.75,
        t0: float = 1000000.0,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
        *,
        fused: bool | None = None,
        clip_grad_norm: float | None = None,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "lambd": lambd,
                "alpha": alpha,
                "t0": t0,
                "weight_decay": weight_decay,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "capturable": capturable,
                "fused": fused,
                "clip_grad_norm": clip_grad_norm,
            },
        )
