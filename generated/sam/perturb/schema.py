# Generated from specs/sam.yaml by thetac 0.1.0; do not edit.
"""What the runtime has to know of a piece of SAM, `perturb`."""

from __future__ import annotations

from thetac.runtime.schema import Hyperparameter, Interval, Requirement, Schema, Specialisation, State

SCHEMA = Schema(
    contract=1,
    name="SAM",
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
            "momentum",
            elements=("momentum",),
            intervals=(Interval(0.0, float("inf"), True, True),),
            is_tuple=False,
            tensor=False,
            error="Invalid momentum value: {value}",
        ),
        Hyperparameter(
            "dampening",
            elements=("dampening",),
            intervals=(None,),
            is_tuple=False,
            tensor=False,
            error="Invalid dampening value: {value}",
        ),
        Hyperparameter(
            "weight_decay",
            elements=("weight_decay",),
            intervals=(Interval(0.0, float("inf"), True, True),),
            is_tuple=False,
            tensor=True,
            error="Invalid weight_decay value: {value}",
        ),
        Hyperparameter(
            "rho",
            elements=("rho",),
            intervals=(Interval(0.0, float("inf"), True, False),),
            is_tuple=False,
            tensor=False,
            error="Invalid rho value: {value}",
        ),
    ),
    flags=("nesterov", "adaptive"),
    states=(
    ),
    requirements=(
    ),
    specialisations=(
        Specialisation("maximize", holds=lambda group: group.get("maximize", False)),
        Specialisation("adaptive", holds=lambda group: group["adaptive"]),
    ),
    options=("maximize", "foreach", "differentiable", "fused"),
    half_precision="float32",
    refusable=("rho",),
    sparse="unsupported",
    sparse_error="SAM does not support sparse gradients",
    decays_gradient=lambda group: False,
    state_at_construction=False,
    foreach_temporaries=3,
    traffic=lambda known: {
        "param": 2 + known["adaptive"],
        "grad": 2,
    },
    reduces=True,
    waits=True,
)
