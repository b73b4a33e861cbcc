# Generated from qhadam.yaml by thetac; do not edit.
"""QHAdam: its documentation, its constructor, and what the runtime has to know of it."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac.runtime.optimizer import Optimizer
from thetac.runtime.schema import Hyperparameter, Interval, Requirement, Schema, Specialisation, State


class QHAdam(Optimizer):
    """Adam whose moments are averaged with the plain gradient and its plain square.
    """

    schema: ClassVar[Schema] = Schema(
        name="QHAdam",
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
                "nus",
                elements=("nu1", "nu2",),
                intervals=(None, None,),
                is_tuple=True,
                tensor=False,
                error="Invalid nus value at index {index}: {value}",
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
                "eps",
                elements=("eps",),
                intervals=(Interval(0.0, float("inf"), True, True),),
                is_tuple=False,
                tensor=False,
                error="Invalid epsilon value: {value}",
            ),
        ),
        flags=("decouple_weight_decay",),
        states=(
            State(
                "beta1_weight",
                argument="beta1_weights",
                kind="scalar",
                init=None,
                when=None,
                on_param_device=False,
            ),
            State(
                "beta2_weight",
                argument="beta2_weights",
                kind="scalar",
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
        ),
        requirements=(
        ),
        specialisations=(
            Specialisation("maximize", holds=lambda group: group.get("maximize", False)),
            Specialisation("weight_decay_nonzero", holds=lambda group: group["weight_decay"] != 0),
            Specialisation("decouple_weight_decay", holds=lambda group: group["decouple_weight_decay"]),
        ),
        options=("maximize", "foreach", "capturable", "differentiable", "fused"),
        sparse="unsupported",
        sparse_error="QHAdam does not support sparse gradients",
        decays_gradient=lambda group: group["weight_decay"] != 0 and not group["decouple_weight_decay"],
        state_at_construction=False,
        foreach_temporaries=4,
    )

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        nus: tuple[float, float] = (1.0, 1.0),
        weight_decay: float = 0,
        decouple_weight_decay: bool = False,
        eps: float = 1e-08,
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
                "nus": nus,
                "weight_decay": weight_decay,
                "eps": eps,
                "decouple_weight_decay": decouple_weight_decay,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
            },
        )
