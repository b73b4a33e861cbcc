# Generated from specs/tiger.yaml by thetac 0.1.0; do not edit.
"""Tiger: its documentation, its constructor, and what the runtime has to know of it."""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac.runtime.optimizer import Optimizer
from thetac.runtime.schema import (
    Choice, DerivedFlag, Hyperparameter, Interval, Requirement, Schema, Specialisation, State
)


class Tiger(Optimizer):
    """The sign of the mean gradient, with decay inside the step and a rate in proportion to the parameter.

    Each step (`step` is 1 in the first) does this to every parameter::

        if maximize:
          grad = -grad                               # maximize
        broken = max(where(grad == grad, 0, 1)) > 0  # a NaN is not itself
        kept = 1.0
        if (step - 1) % grad_accum_steps == 0:
          kept = beta
        rate = 0.0
        if step % grad_accum_steps == 0:
          rate = lr
        mean_grad = kept * m + (1 - beta) / grad_accum_steps * grad
        m = where(broken, m, mean_grad)
        center = 0.0
        if kind == "gain":
          center = 1.0
        change = sign(m)
        if kind == "embedding" and rank(param) > 1:
          change = (change + weight_decay * param) * (rate * rms(param, axis=-1))
        elif kind == "matrix" or kind == "embedding":
          change = (change + weight_decay * param) * (rate * rms(param))
        else:
          change = change * (rate * 0.5)
        param = where(broken, (param - center) * shrink_ratio + center, param - change)

    Args:
        params: parameters, or groups of them, to optimize
        lr (float or Tensor, default: 0.001, lr >= 0): learning rate
        beta (float, default: 0.965, beta in [0, 1)): decay of the mean gradient
        weight_decay (float, default: 0.01, weight_decay >= 0): weight of the parameter beside the sign,
            in matrices and embeddings
        grad_accum_steps (int, default: 1, grad_accum_steps >= 1 and finite): gradients that are
            averaged for one move
        shrink_ratio (float, default: 0.99): what the parameter is multiplied by where the gradient
            holds a NaN
        kind ("matrix" or "embedding" or "bias" or "gain", default: "matrix"): the rate is lr times the
            root mean square of a matrix, or of each row of an embedding, and lr / 2 without decay for
            the others
        maximize (bool, default: False): maximize the objective instead of minimizing it
        foreach (bool or None, default: None): work on lists of tensors; by default where that is the
            fastest that fits
        capturable (bool, default: False): keep step counts on the device, so that a step can be
            captured in a CUDA graph
        differentiable (bool, default: False): let autograd run through the step
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
        m: running average of the gradient; like the parameter, at first 0

    Half precision:
        - float16 and bfloat16 parameters are computed in float32, and results rounded once.

    Notes:
        - The authors' code tells by a variable's name what it is; here `kind` says so, one for a
          parameter group.
        - learning_rate is called lr, as torch's schedulers want it; lr_schedule is left to them.
        - With grad_accum_steps above 1 every step adds a gradient, and each step of that number moves
          the parameter, as in the authors' code.
        - A gradient with a NaN leaves the mean as it is and shrinks the parameter by shrink_ratio, a
          gain towards 1, as in the authors' code.

    References:
        - Su, Tiger: A Tight-fisted Optimizer, kexue.fm/archives/9512, 2023
        - bojone/tiger, tiger.py (TensorFlow; the authors' code)

    Example::

        optimizer = Tiger(model.parameters())
        loss(model(input), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    """

    schema: ClassVar[Schema] = Schema(
        contract=1,
        name="Tiger",
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
                "beta",
                elements=("beta",),
                intervals=(Interval(0.0, 1.0, True, False),),
                is_tuple=False,
                tensor=False,
                error="Invalid beta value: {value}",
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
                "grad_accum_steps",
                elements=("grad_accum_steps",),
                intervals=(Interval(1.0, float("inf"), True, False),),
                is_tuple=False,
                tensor=False,
                error="Invalid grad_accum_steps value: {value}",
                integer=True,
            ),
            Hyperparameter(
                "shrink_ratio",
                elements=("shrink_ratio",),
                intervals=(None,),
                is_tuple=False,
                tensor=False,
                error="Invalid shrink_ratio value: {value}",
            ),
        ),
        flags=(),
        choices=(
            Choice(
                "kind",
                choices=("matrix", "embedding", "bias", "gain"),
                error='Invalid kind value: {0}; it must be "matrix", "embedding", "bias" or "gain"',
            ),
        ),
        derived=(
            DerivedFlag("kind_is_matrix", holds=lambda group: (group["kind"] == "matrix")),
            DerivedFlag("kind_is_embedding", holds=lambda group: (group["kind"] == "embedding")),
            DerivedFlag("kind_is_gain", holds=lambda group: (group["kind"] == "gain")),
        ),
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
                "m",
                argument="ms",
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
            Specialisation("kind_is_embedding", holds=lambda group: (group["kind"] == "embedding")),
            Specialisation("param_rank_above_one", holds_for=lambda group, shape: shape["rank"] > 1),
            Specialisation("kind_is_matrix", holds=lambda group: (group["kind"] == "matrix")),
        ),
        options=("maximize", "foreach", "capturable", "differentiable", "fused", "clip_grad_norm"),
        half_precision="float32",
        refusable=("beta", "weight_decay", "grad_accum_steps"),
        sparse="unsupported",
        sparse_error="Tiger does not support sparse gradients",
        decays_gradient=lambda group: False,
        state_at_construction=False,
        foreach_temporaries=3,
        traffic=lambda known: {
            "param": 2
            + (
                (not known["kind_is_embedding"] or not known["param_rank_above_one"])
                and (known["kind_is_embedding"] or known["kind_is_matrix"])
                or known["kind_is_embedding"] and known["param_rank_above_one"]
            ),
            "grad": 2,
            "m": 2,
        },
        has_axes=True,
        shape_numbers=("rank", "size", "columns"),
        shape_conditions=("rank",),
        reduces=True,
        complex_error="Tiger does not support complex parameters",
    )

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 0.001,
        beta: float = 0.965,
        weight_decay: float = 0.01,
        grad_accum_steps: int = 1,
        shrink_ratio: float = 0.99,
        kind: Literal["matrix", "embedding", "bias", "gain"] = "matrix",
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        clip_grad_norm: float | None = None,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "beta": beta,
                "weight_decay": weight_decay,
                "grad_accum_steps": grad_accum_steps,
                "shrink_ratio": shrink_ratio,
                "kind": kind,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "clip_grad_norm": clip_grad_norm,
            },
        )
