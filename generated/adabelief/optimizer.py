# Generated from adabelief.yaml by thetac; do not edit.
"""AdaBelief: its documentation, its constructor, and what the runtime has to know of it."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac.runtime.optimizer import Optimizer
from thetac.runtime.schema import Hyperparameter, Interval, Requirement, Schema, Specialisation, State


class AdaBelief(Optimizer):
    """Adam that divides by how far gradients stray from their running mean, rectified like RAdam.
    """

    schema: ClassVar[Schema] = Schema(
        name="AdaBelief",
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
                tensor=False,
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
        flags=("amsgrad", "weight_decouple", "fixed_decay", "rectify", "degenerated_to_sgd"),
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
                "exp_avg_var",
                argument="exp_avg_vars",
                kind="tensor",
                init=None,
                when=None,
                on_param_device=False,
            ),
            State(
                "max_exp_avg_var",
                argument="max_exp_avg_vars",
                kind="tensor",
                init=None,
                when=lambda group: group["amsgrad"],
                on_param_device=False,
            ),
        ),
        requirements=(
        ),
        specialisations=(
            Specialisation("maximize", holds=lambda group: group.get("maximize", False)),
            Specialisation("weight_decay_nonzero", holds=lambda group: group["weight_decay"] != 0),
            Specialisation("weight_decouple", holds=lambda group: group["weight_decouple"]),
            Specialisation("fixed_decay", holds=lambda group: group["fixed_decay"]),
            Specialisation("amsgrad", holds=lambda group: group["amsgrad"]),
            Specialisation("rectify", holds=lambda group: group["rectify"]),
            Specialisation("degenerated_to_sgd", holds=lambda group: group["degenerated_to_sgd"]),
        ),
        options=("maximize", "foreach", "capturable", "differentiable", "fused"),
        sparse="unsupported",
        sparse_error="AdaBelief does not support sparse gradients, please consider SparseAdam instead",
        decays_gradient=lambda group: group["weight_decay"] != 0 and (not (group["weight_decouple"] and group["fixed_decay"]) and not group["weight_decouple"]),
        state_at_construction=False,
        foreach_temporaries=4,
    )

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-16,
        weight_decay: float = 0,
        amsgrad: bool = False,
        weight_decouple: bool = True,
        fixed_decay: bool = False,
        rectify: bool = True,
        degenerated_to_sgd: bool = True,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "amsgrad": amsgrad,
                "weight_decouple": weight_decouple,
                "fixed_decay": fixed_decay,
                "rectify": rectify,
                "degenerated_to_sgd": degenerated_to_sgd,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
            },
        )
