# Generated from specs/schedule_free_radam.yaml by thetac 0.1.0; do not edit.
"""What the runtime has to know of a piece of ScheduleFreeRAdam, `train`."""

from __future__ import annotations

from thetac.runtime.schema import Hyperparameter, Interval, Requirement, Schema, Specialisation, State

SCHEMA = Schema(
    contract=1,
    name="ScheduleFreeRAdam",
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
            "betas",
            elements=("beta1", "beta2"),
            intervals=(Interval(0.0, 1.0, True, False), Interval(0.0, 1.0, True, False)),
            is_tuple=True,
            tensor=False,
            error="Invalid beta parameter at index {index}: {value}",
        ),
        Hyperparameter(
            "eps",
            elements=("eps",),
            intervals=(Interval(0.0, float("inf"), True, False),),
            is_tuple=False,
            tensor=False,
            error="Invalid epsilon value: {value}",
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
    flags=("silent_sgd_phase",),
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
    refusable=("beta1",),
    sparse="unsupported",
    sparse_error="ScheduleFreeRAdam does not support sparse gradients",
    decays_gradient=lambda group: False,
    state_at_construction=False,
    foreach_temporaries=0,
    traffic=lambda known: {
        "param": 2,
        "grad": 0,
        "z": 1,
    },
)
