# Generated from specs/sm3.yaml by thetac 0.1.0; do not edit.
"""SM3: its documentation, its constructor, and what the runtime has to know of it."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac.runtime.optimizer import Optimizer
from thetac.runtime.schema import Hyperparameter, Interval, Requirement, Schema, Specialisation, State


class SM3(Optimizer):
    """Adagrad that bounds its sums of squares by one number per row and column.

    Each step does this to every parameter::

        if maximize:
          grad = -grad  # maximize
        if rank(param) > 1:
          bound = minimum(row, column) + grad * grad
          row = max(bound, axis=-1)
          column = max(bound, axis=-2)
        else:
          accumulator = accumulator + grad * grad
          bound = accumulator
        scaled = (1 - momentum) * (grad * rsqrt(bound + 1e-30))
        direction = scaled
        if momentum > 0:
          momentum_buffer = momentum_buffer + (momentum_buffer * (momentum - 1) + scaled)
          direction = momentum_buffer
        param = param - lr * direction

    Args:
        params: parameters, or groups of them, to optimize
        lr (float or Tensor, default: 0.1, lr >= 0): learning rate
        momentum (float, default: 0.9, momentum in [0, 1]): momentum factor
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

    State of a parameter, in float32 0 bytes per element, 4/columns + 4/rows more if rank(param) > 1, 4
            more if rank(param) <= 1, 4 more if momentum > 0:
        row: the largest bound of each row; one number per row, at first 0, if rank(param) > 1
        column: the largest bound of each column; one number per column, at first 0, if rank(param) > 1
        accumulator: sum of squared gradients; like the parameter, at first 0, if rank(param) <= 1
        momentum_buffer: running average of scaled gradients; like the parameter, at first 0, if
            momentum > 0

    Half precision:
        - float16 and bfloat16 parameters are computed in float32, and results rounded once.

    Notes:
        - The authors keep one vector for each axis. Of a parameter with more than two axes, here each
          matrix of the last two keeps its rows and columns: more numbers, and a closer bound.
        - lr and momentum have no defaults in the authors' code; 0.1 and 0.9 are those of its test.
        - The momentum is an average of the scaled gradients, as in the authors' code.
        - The authors' rule for sparse gradients is left out.

    References:
        - Anil, Gupta, Koren and Singer, Memory-Efficient Adaptive Optimization, NeurIPS 2019, SM3-II,
          arXiv:1901.11150
        - google-research/google-research, sm3/sm3.py (the authors' code)

    Example::

        optimizer = SM3(model.parameters())
        loss(model(input), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    """

    schema: ClassVar[Schema] = Schema(
        contract=1,
        name="SM3",
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
                intervals=(Interval(0.0, 1.0, True, True),),
                is_tuple=False,
                tensor=False,
                error="Invalid momentum value: {value}",
            ),
        ),
        flags=(),
        states=(
            State(
                "row",
                argument="rows",
                kind="tensor",
                init=None,
                when=None,
                on_param_device=False,
                when_shape=lambda group, shape: shape["rank"] > 1,
                dims=("rows", "1"),
            ),
            State(
                "column",
                argument="columns",
                kind="tensor",
                init=None,
                when=None,
                on_param_device=False,
                when_shape=lambda group, shape: shape["rank"] > 1,
                dims=("1", "columns"),
            ),
            State(
                "accumulator",
                argument="accumulators",
                kind="tensor",
                init=None,
                when=None,
                on_param_device=False,
                when_shape=lambda group, shape: shape["rank"] <= 1,
            ),
            State(
                "momentum_buffer",
                argument="momentum_buffers",
                kind="tensor",
                init=None,
                when=lambda group: group["momentum"] > 0,
                on_param_device=False,
            ),
        ),
        requirements=(
        ),
        specialisations=(
            Specialisation("maximize", holds=lambda group: group.get("maximize", False)),
            Specialisation("param_rank_above_one", holds_for=lambda group, shape: shape["rank"] > 1),
            Specialisation("momentum_positive", holds=lambda group: group["momentum"] > 0),
        ),
        options=("maximize", "foreach", "capturable", "differentiable", "fused", "clip_grad_norm"),
        half_precision="float32",
        refusable=("lr",),
        sparse="unsupported",
        sparse_error="SM3 does not support sparse gradients",
        decays_gradient=lambda group: False,
        state_at_construction=False,
        foreach_temporaries=5,
        traffic=lambda known: {
            "param": 2,
            "grad": 1,
            "accumulator": 2 * (not known["param_rank_above_one"]),
            "momentum_buffer": 2 * known["momentum_positive"],
            "row": 2 * known["param_rank_above_one"],
            "column": 2 * known["param_rank_above_one"],
        },
        has_axes=True,
        shape_numbers=("rank",),
        shape_conditions=("rank",),
        reduces=True,
        complex_error="SM3 does not support complex parameters",
    )

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 0.1,
        momentum: float = 0.9,
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
                "momentum": momentum,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "clip_grad_norm": clip_grad_norm,
            },
        )
