# Generated from specs/sophia_g.yaml by thetac 0.1.0; do not edit.
"""What the runtime has to know of a piece of SophiaG, `estimate`."""

from __future__ import annotations

from thetac.runtime.schema import Hyperparameter, Interval, Requirement, Schema, Specialisation, State

SCHEMA = Schema(
    contract=1,
    name="SophiaG",
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
            elements=("beta1", "beta2"),
            intervals=(Interval(0.0, 1.0, True, False), Interval(0.0, 1.0, True, False)),
            is_tuple=True,
            tensor=False,
            error="Invalid beta parameter at index {index}: {value}",
        ),
        Hyperparameter(
            "rho",
            elements=("rho",),
            intervals=(Interval(0.0, float("inf"), True, True),),
            is_tuple=False,
            tensor=False,
            error="Invalid rho value: {value}",
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
            "bs",
            elements=("bs",),
            intervals=(Interval(0.0, float("inf"), False, False),),
            is_tuple=False,
            tensor=False,
            error="Invalid bs value: {value}",
        ),
    ),
    flags=(),
    states=(
        State(
            "hessian",
            argument="hessians",
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
    ),
    options=("maximize", "foreach", "capturable", "fused"),
    half_precision="float32",
    refusable=("beta2",),
    sparse="unsupported",
    sparse_error="SophiaG does not support sparse gradients",
    decays_gradient=lambda group: False,
    state_at_construction=False,
    foreach_temporaries=1,
    traffic=lambda known: {
        "param": 0,
        "grad": 1,
        "hessian": 2,
    },
)
