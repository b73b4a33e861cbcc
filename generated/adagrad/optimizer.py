# Generated from specs/adagrad.yaml by thetac 0.1.0; do not edit.
"""Adagrad: its documentation, its constructor, and what the runtime has to know of it."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac.runtime.optimizer import Optimizer
from thetac.runtime.schema import Hyperparameter, Interval, Requirement, Schema, Specialisation, State


class Adagrad(Optimizer):
    """A step divided by the root of the sum of all squared gradients so far.

    Each step (`step` is 1 in the first) does this to every parameter::

        if maximize:
          grad = -grad                        # maximize
        if weight_decay != 0:
          grad = grad + weight_decay * param  # weight decay
        sum = sum + grad * grad
        param = param - lr / (1 + (step - 1) * lr_decay) * grad / (sqrt(sum) + eps)

    Args:
        params: parameters, or groups of them, to optimize
        lr (float or Tensor, default: 0.01, lr >= 0): learning rate
        lr_decay (float, default: 0, lr_decay >= 0): learning rate decay: lr is divided by 1 + (step -
            1) * lr_decay
        weight_decay (float, default: 0, weight_decay >= 0): weight_decay * param is added to the
            gradient
        initial_accumulator_value (float, default: 0, initial_accumulator_value >= 0): initial value of
            the sum of squares of gradients
        eps (float, default: 1e-10, eps >= 0): term added to the denominator for numerical stability
        foreach (bool or None, default: None): work on lists of tensors; by default where that is the
            fastest that fits
        maximize (bool, default: False): maximize the objective instead of minimizing it
        differentiable (bool, default: False): let autograd run through the step
        fused (bool or None, default: None): do a whole step in one kernel: Triton on a GPU, C++ on a
            CPU; by default where that fits
        capturable (bool, default: False): keep step counts on the device, so that a step can be
            captured in a CUDA graph
        clip_grad_norm (float or None, default: None): scale gradients down to this global norm within
            the step; the gradients themselves stay as they are

    Raises:
        ValueError: params is empty; a hyperparameter is NaN or out of its range
        TypeError: params holds something other than tensors, or a hyperparameter is not a number
        RuntimeError: fused is combined with foreach or differentiable

    State of a parameter, in float32 4 bytes per element:
        step: 0-d, the number of steps
        sum: sum of squared gradients; like the parameter, at first initial_accumulator_value

    Half precision:
        - float16 and bfloat16 parameters are computed in float32 by kernels, and results rounded once.
          The for-loop and foreach compute in the parameter's own dtype, as torch.optim does: in
          float16, squares of small gradients become 0 and large ones infinite.

    References:
        - Duchi, Hazan and Singer, Adaptive Subgradient Methods for Online Learning and Stochastic
          Optimization, JMLR 12, 2011

    Example::

        optimizer = Adagrad(model.parameters())
        loss(model(input), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    """

    schema: ClassVar[Schema] = Schema(
        contract=1,
        name="Adagrad",
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
                "lr_decay",
                elements=("lr_decay",),
                intervals=(Interval(0.0, float("inf"), True, True),),
                is_tuple=False,
                tensor=False,
                error="Invalid lr_decay value: {value}",
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
                "initial_accumulator_value",
                elements=("initial_accumulator_value",),
                intervals=(Interval(0.0, float("inf"), True, True),),
                is_tuple=False,
                tensor=False,
                error="Invalid initial_accumulator_value value: {value}",
            ),
            Hyperparameter(
                "eps",
                elements=("eps",),
                intervals=(Interval(0.0, float("inf"), True, True),),
                is_tuple=False,
                tensor=False,
                error="Invalid epsilon value: {value}",
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
                "sum",
                argument="sums",
                kind="tensor",
                init=lambda group: group["initial_accumulator_value"],
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
        options=("maximize", "foreach", "differentiable", "fused"),
        half_precision="native",
        refusable=("lr", "lr_decay", "weight_decay"),
        sparse="rows",
        sparse_error="weight_decay option is not compatible with sparse gradients",
        decays_gradient=lambda group: group["weight_decay"] != 0,
        state_at_construction=True,
        foreach_temporaries=2,
        traffic=lambda known: {
            "param": 2,
            "grad": 1,
            "sum": 2,
        },
    )

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 0.01,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        capturable: bool = False,
        clip_grad_norm: float | None = None,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "lr_decay": lr_decay,
                "eps": eps,
                "weight_decay": weight_decay,
                "initial_accumulator_value": initial_accumulator_value,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "fused": fused,
                "capturable": capturable,
                "clip_grad_norm": clip_grad_norm,
            },
        )
