# Generated from specs/fromage.yaml by thetac 0.1.0; do not edit.
"""Fromage: its documentation, its constructor, and what the runtime has to know of it."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac.runtime.optimizer import Optimizer
from thetac.runtime.schema import DerivedFlag, Hyperparameter, Interval, Requirement, Schema, Specialisation, State


class Fromage(Optimizer):
    """A step along the gradient whose size is a fixed fraction of each parameter's norm.

    Each step does this to every parameter::

        if maximize:
          grad = -grad  # maximize
        if p_bound < inf:
          if first(max_norm):
            max_norm = p_bound * norm(param)
        ratio = where(norm(param) > 0 and norm(grad) > 0, norm(param) / norm(grad), 1)
        param = (param - lr * (grad * ratio)) / sqrt(1 + lr ** 2)
        if p_bound < inf:
          param = where(norm(param) > max_norm, param * (max_norm / norm(param)), param)

    Args:
        params: parameters, or groups of them, to optimize
        lr (float or Tensor, default: 0.01, lr >= 0): learning rate
        p_bound (float or None, default: None, p_bound >= 0): the norm of a parameter is at most p_bound
            times its first norm; None stands for inf
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

    State of a parameter, in float32 0 bytes per element:
        max_norm: p_bound times the first norm of the parameter; 0-d, a number on the parameter's
            device, at first 0, if p_bound < inf

    Half precision:
        - float16 and bfloat16 parameters are computed in float32, and results rounded once.

    Notes:
        - Where the norm of the parameter or of the gradient is 0, the step is lr * grad, as in the
          authors' code.
        - p_bound belongs to a parameter group; in the authors' code it belongs to the optimizer.

    References:
        - Bernstein et al., On the Distance between Two Neural Networks and the Stability of Learning,
          NeurIPS 2020, Algorithm 1, arXiv:2002.03432
        - jxbz/fromage, fromage.py (the authors' code)

    Example::

        optimizer = Fromage(model.parameters())
        loss(model(input), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    """

    schema: ClassVar[Schema] = Schema(
        contract=1,
        name="Fromage",
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
                "p_bound",
                elements=("p_bound",),
                intervals=(Interval(0.0, float("inf"), True, True),),
                is_tuple=False,
                tensor=False,
                error="Invalid p_bound value: {value}",
                none=(0.0,),
            ),
        ),
        flags=(),
        derived=(
            DerivedFlag("p_bound_is_none", holds=lambda group: (group["p_bound"] is None)),
        ),
        states=(
            State(
                "max_norm",
                argument="max_norms",
                kind="number",
                init=None,
                when=lambda group: (float("inf") if (group["p_bound"] is None) else group["p_bound"]) < float("inf"),
                on_param_device=False,
                first="first_max_norm",
            ),
        ),
        requirements=(
        ),
        specialisations=(
            Specialisation("maximize", holds=lambda group: group.get("maximize", False)),
            Specialisation(
                "choice_of_p_bound_is_none_infinity_p_bound_below_infinity",
                holds=lambda group: (float("inf") if (group["p_bound"] is None) else group["p_bound"]) < float("inf"),
            ),
        ),
        options=("maximize", "foreach", "capturable", "differentiable", "fused", "clip_grad_norm"),
        half_precision="float32",
        refusable=("lr",),
        sparse="unsupported",
        sparse_error="Fromage does not support sparse gradients",
        decays_gradient=lambda group: False,
        state_at_construction=False,
        foreach_temporaries=1,
        traffic=lambda known: {
            "param": 3 + known["choice_of_p_bound_is_none_infinity_p_bound_below_infinity"],
            "grad": 2 + known["choice_of_p_bound_is_none_infinity_p_bound_below_infinity"],
            "max_norm": 2 * known["choice_of_p_bound_is_none_infinity_p_bound_below_infinity"],
        },
        reduces=True,
    )

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 0.01,
        p_bound: float | None = None,
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
                "p_bound": p_bound,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "clip_grad_norm": clip_grad_norm,
            },
        )
