# Generated from specs/adahessian.yaml by thetac 0.1.0; do not edit.
"""What the runtime has to know of a piece of AdaHessian, `estimate`."""

from __future__ import annotations

from thetac.runtime.schema import Hyperparameter, Interval, Requirement, Schema, Specialisation, State

SCHEMA = Schema(
    contract=1,
    name="AdaHessian",
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
        Hyperparameter(
            "hessian_power",
            elements=("hessian_power",),
            intervals=(Interval(0.0, 1.0, True, True),),
            is_tuple=False,
            tensor=False,
            error="Invalid hessian_power value: {value}",
        ),
        Hyperparameter(
            "update_each",
            elements=("update_each",),
            intervals=(Interval(1.0, float("inf"), True, False),),
            is_tuple=False,
            tensor=False,
            error="Invalid update_each value: {value}",
            integer=True,
        ),
        Hyperparameter(
            "seed",
            elements=("seed",),
            intervals=(Interval(0.0, float("inf"), True, False),),
            is_tuple=False,
            tensor=False,
            error="Invalid seed value: {value}",
            integer=True,
        ),
    ),
    flags=(),
    states=(
        State(
            "exp_hessian_diag_sq",
            argument="exp_hessian_diag_sqs",
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
        Specialisation("param_rank_equal_to_four", holds_for=lambda group, shape: shape["rank"] == 4),
    ),
    options=("maximize", "foreach", "capturable", "fused"),
    half_precision="float32",
    refusable=("beta2",),
    sparse="unsupported",
    sparse_error="AdaHessian does not support sparse gradients",
    decays_gradient=lambda group: False,
    state_at_construction=False,
    foreach_temporaries=1,
    traffic=lambda known: {
        "param": 0,
        "grad": known["param_rank_equal_to_four"] + (not known["param_rank_equal_to_four"]),
        "exp_hessian_diag_sq": 2,
    },
    has_axes=True,
    shape_numbers=("rank", "rows", "columns"),
    shape_conditions=("rank",),
    reduces=True,
    complex_error="AdaHessian does not support complex parameters",
)
