# Generated from specs/barzilai_borwein.yaml by thetac 0.1.0; do not edit.
"""BarzilaiBorwein: its documentation, its constructor, and what the runtime has to know of it."""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac.runtime.drivers.minimize import Minimize
from thetac.runtime.schema import (
    Choice, DerivedFlag, Hyperparameter, Interval, Requirement, Schema, Specialisation, State
)


class BarzilaiBorwein(Minimize):
    """Gradient descent whose step size approximates the inverse Hessian by one number.

    `direction`, which finds where a minimization goes next, does this::

        if n_iter == 1:
          d = -grad
        else:
          s = d * t
          y = grad - prev_flat_grad
          sy = dot(s, y)
          if long:
            size = dot(s, s) / sy
          else:
            size = sy / dot(y, y)
          scale = where(sy > 0, size, scale)
          d = -(scale * grad)

    Args:
        params: parameters, or groups of them, to optimize
        lr (float or Tensor, default: 1, lr >= 0): learning rate
        max_iter (int, default: 20): most directions of a step
        max_eval (int or None, default: None): evaluations after which a step ends; None: five for four
            directions; None stands for max_iter * 5 / 4
        tolerance_grad (float, default: 1e-07): a step ends where no element of the gradient is larger
        tolerance_change (float, default: 1e-09): a step ends where neither parameters nor loss change
            more
        line_search_fn (None or "strong_wolfe" or "nonmonotone", default: "nonmonotone"): how far to go
            along a direction is searched for; None: lr times the direction
        long (bool, default: True): the longer of the two step sizes of the paper
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
        ValueError: params is empty; a hyperparameter is NaN or out of its range; there is more than one
            group
        TypeError: params holds something other than tensors, or a hyperparameter has the wrong type
        RuntimeError: capturable, differentiable or clip_grad_norm is asked for; fused is, and is not
            there

    State of a parameter, in float32 8 bytes per element:
        scale: the last step size; 0-d, a number on the parameter's device, at first 1

    Half precision:
        - float16 and bfloat16 vectors are computed in their own dtype.

    Notes:
        - Losses must be allowed to rise now and then: the search is non-monotone by default.
        - Where the curvature along a step is not positive, the last step size stays.

    References:
        - Barzilai and Borwein, Two-Point Step Size Gradient Methods, IMA Journal of Numerical Analysis
          8, 1988
        - Raydan, The Barzilai and Borwein Gradient Method for the Large Scale Unconstrained
          Minimization Problem, SIAM Journal on Optimization 7, 1997

    Example::

        optimizer = BarzilaiBorwein(model.parameters())
        def closure():
            optimizer.zero_grad()
            value = loss(model(input), target)
            value.backward()
            return value
        optimizer.step(closure)
    """

    schema: ClassVar[Schema] = Schema(
        contract=1,
        name="BarzilaiBorwein",
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
                "max_iter",
                elements=("max_iter",),
                intervals=(None,),
                is_tuple=False,
                tensor=False,
                error="Invalid max_iter value: {value}",
                integer=True,
            ),
            Hyperparameter(
                "max_eval",
                elements=("max_eval",),
                intervals=(None,),
                is_tuple=False,
                tensor=False,
                error="Invalid max_eval value: {value}",
                integer=True,
                none=(0.0,),
            ),
            Hyperparameter(
                "tolerance_grad",
                elements=("tolerance_grad",),
                intervals=(None,),
                is_tuple=False,
                tensor=False,
                error="Invalid tolerance_grad value: {value}",
            ),
            Hyperparameter(
                "tolerance_change",
                elements=("tolerance_change",),
                intervals=(None,),
                is_tuple=False,
                tensor=False,
                error="Invalid tolerance_change value: {value}",
            ),
        ),
        flags=("long",),
        choices=(
            Choice(
                "line_search_fn",
                choices=(None, "strong_wolfe", "nonmonotone"),
                error='Invalid line_search_fn value: {0}; it must be None, "strong_wolfe" or "nonmonotone"',
                in_step=True,
            ),
        ),
        derived=(
            DerivedFlag("max_eval_is_none", holds=lambda group: (group["max_eval"] is None)),
        ),
        states=(
            State(
                "scale",
                argument="scale_t",
                kind="number",
                init=lambda group: 1,
                when=None,
                on_param_device=False,
                float64=True,
            ),
        ),
        requirements=(
        ),
        specialisations=(
        ),
        options=(),
        half_precision="native",
        refusable=(),
        sparse="unsupported",
        sparse_error="BarzilaiBorwein does not support sparse gradients",
        decays_gradient=lambda group: False,
        state_at_construction=False,
        foreach_temporaries=0,
        traffic=lambda known: {
            "param": 0,
            "grad": 0,
            "scale": 0,
        },
        pieces=("direction",),
    )

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-07,
        tolerance_change: float = 1e-09,
        line_search_fn: Literal["strong_wolfe", "nonmonotone"] | None = "nonmonotone",
        long: bool = True,
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
                "max_iter": max_iter,
                "max_eval": max_eval,
                "tolerance_grad": tolerance_grad,
                "tolerance_change": tolerance_change,
                "line_search_fn": line_search_fn,
                "long": long,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "clip_grad_norm": clip_grad_norm,
            },
        )
