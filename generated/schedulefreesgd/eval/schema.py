# Generated from specs/schedule_free_sgd.yaml by thetac 0.1.0; do not edit.
"""What the runtime has to know of a piece of ScheduleFreeSGD, `eval`."""

from __future__ import annotations

from thetac.runtime.schema import Hyperparameter, Interval, Requirement, Schema, Specialisation, State

SCHEMA = Schema(
    contract=1,
    name="ScheduleFreeSGD",
    package=__name__.rpartition(".")[0],
    hyperparameters=(
        Hyperparameter(
            "lr",
            elements=("lr",),
            intervals=(Interval(0.0, float("inf"), True, False),),
            is_tuple=False,
            tensor=True,
            error="Invalid learning rate: {value}",
        ),
        Hyperparameter(
            "momentum",
            elements=("momentum",),
            intervals=(Interval(0.0, 1.0, False, False),),
            is_tuple=False,
            tensor=False,
            error="Invalid momentum value: {value}",
        ),
        Hyperparameter(
            "weight_decay",
            elements=("weight_decay",),
            intervals=(Interval(0.0, float("inf"), True, False),),
            is_tuple=False,
            tensor=False,
            error="Invalid weight_decay value: {value}",
        ),
        Hyperparameter(
            "warmup_steps",
            elements=("warmup_steps",),
            intervals=(Interval(0.0, float("inf"), True, False),),
            is_tuple=False,
            tensor=False,
            error="Invalid warmup_steps value: {value}",
        ),
        Hyperparameter(
            "r",
            elements=("r",),
            intervals=(None,),
            is_tuple=False,
            tensor=False,
            error="Invalid r value: {value}",
        ),
        Hyperparameter(
            "weight_lr_power",
            elements=("weight_lr_power",),
            intervals=(None,),
            is_tuple=False,
            tensor=False,
            error="Invalid weight_lr_power value: {value}",
        ),
    ),
    flags=(),
    states=(
        State(
            "z",
            argument="zs",
            kind="tensor",
            init=None,
            when=None,
            on_param_device=False,
            copies_param=True,
        ),
    ),
    requirements=(
    ),
    specialisations=(
    ),
    options=("foreach",),
    half_precision="float32",
    refusable=("momentum",),
    sparse="unsupported",
    sparse_error="ScheduleFreeSGD does not support sparse gradients",
    decays_gradient=lambda group: False,
    state_at_construction=False,
    foreach_temporaries=0,
    traffic=lambda known: {
        "param": 2,
        "grad": 0,
        "z": 1,
    },
)
