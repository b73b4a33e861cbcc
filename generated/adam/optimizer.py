# Generated from adam.yaml by thetac; do not edit.
"""Adam: its documentation, its constructor, and what the runtime has to know of it."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac.runtime.optimizer import Optimizer
from thetac.runtime.schema import Hyperparameter, Interval, Requirement, Schema, Specialisation, State


class Adam(Optimizer):
    """Adaptive moment estimation, a step scaled by running means of the gradient and of its square.
    """

    schema: ClassVar[Schema] = Schema(
        name="Adam",
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
                elements=("beta1", "beta2",),
                intervals=(Interval(0.0, 1.0, True, False), Interval(0.0, 1.0, True, False),),
                is_tuple=True,
                tensor=True,
                error="Invalid beta parameter at index {index}: {value}",
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
        flags=("amsgrad", "decoupled_weight_decay"),
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
                "exp_avg",
                argument="exp_avgs",
                kind="tensor",
                init=None,
                when=None,
                on_param_device=False,
            ),
            State(
                "exp_avg_sq",
                argument="exp_avg_sqs",
                kind="tensor",
                init=None,
                when=None,
                on_param_device=False,
            ),
            State(
                "max_exp_avg_sq",
                argument="max_exp_avg_sqs",
                kind="tensor",
                init=None,
                when=lambda group: group["amsgrad"],
                on_param_device=False,
            ),
        ),
        requirements=(
            Requirement(
                holds=lambda group: isinstance(group["betas"][0], torch.Tensor) == isinstance(group["betas"][1], torch.Tensor),
                message="betas must be either both floats or both Tensors",
            ),
            Requirement(
                holds=lambda group: not (isinstance(group["lr"], torch.Tensor) and group.get("foreach", None)) or group.get("capturable", False),
                message="lr as a Tensor is not supported for capturable=False and foreach=True",
            ),
            Requirement(
                holds=lambda group: not (isinstance(group["betas"][0], torch.Tensor) and group.get("foreach", None)) or group.get("capturable", False),
                message="betas[0] as a Tensor is not supported for capturable=False and foreach=True",
            ),
        ),
        specialisations=(
            Specialisation("maximize", holds=lambda group: group.get("maximize", False)),
            Specialisation("weight_decay_nonzero", holds=lambda group: group["weight_decay"] != 0),
            Specialisation("decoupled_weight_decay", holds=lambda group: group["decoupled_weight_decay"]),
            Specialisation("amsgrad", holds=lambda group: group["amsgrad"]),
        ),
        options=("maximize", "foreach", "capturable", "differentiable", "fused"),
        sparse="unsupported",
        sparse_error="Adam does not support sparse gradients, please consider SparseAdam instead",
        decays_gradient=lambda group: group["weight_decay"] != 0 and not group["decoupled_weight_decay"],
        state_at_construction=False,
        foreach_temporaries=2,
    )

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 0.001,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
        eps: float = 1e-08,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "amsgrad": amsgrad,
                "decoupled_weight_decay": decoupled_weight_decay,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
            },
        )
