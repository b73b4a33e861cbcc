# Generated from specs/aggmo.yaml by thetac 0.1.0; do not edit.
"""AggMo: its documentation, its constructor, and what the runtime has to know of it."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac.runtime.optimizer import Optimizer
from thetac.runtime.schema import Hyperparameter, Interval, Requirement, Schema, Specialisation, State


class AggMo(Optimizer):
    """Aggregated momentum, the mean of three velocities that are damped differently.

    Each step does this to every parameter::

        if maximize:
          grad = -grad                        # maximize
        if weight_decay != 0:
          grad = grad + weight_decay * param  # weight decay
        velocity1 = beta1 * velocity1 + grad
        param = param - lr / 3 * velocity1
        velocity2 = beta2 * velocity2 + grad
        param = param - lr / 3 * velocity2
        velocity3 = beta3 * velocity3 + grad
        param = param - lr / 3 * velocity3

    Args:
        params: parameters, or groups of them, to optimize
        lr (float or Tensor, default: 0.01, lr >= 0): learning rate
        betas (tuple of 3, float, default: (0.0, 0.9, 0.99)): damping of each velocity
        weight_decay (float, default: 0, weight_decay >= 0): weight_decay * param is added to the
            gradient
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

    State of a parameter, in float32 12 bytes per element:
        velocity1: decaying sum of gradients; like the parameter, at first 0
        velocity2: decaying sum of gradients; like the parameter, at first 0
        velocity3: decaying sum of gradients; like the parameter, at first 0

    Half precision:
        - float16 and bfloat16 parameters are computed in float32, and results rounded once.

    Notes:
        - The authors' betas may be a list of any length; here there are three, as in their default.
        - lr has no default in the authors' code; here it is that of their configuration.
        - Equal betas share one velocity in the authors' code, which then moves several times in a step;
          here each has its own.

    References:
        - Lucas, Sun, Zemel and Grosse, Aggregated Momentum: Stability Through Passive Damping, ICLR
          2019, arXiv:1804.00325
        - AtheMathmo/AggMo, src/aggmo.py (the authors' code)

    Example::

        optimizer = AggMo(model.parameters())
        loss(model(input), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    """

    schema: ClassVar[Schema] = Schema(
        contract=1,
        name="AggMo",
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
                elements=("beta1", "beta2", "beta3"),
                intervals=(None, None, None),
                is_tuple=True,
                tensor=False,
                error="Invalid beta parameter at index {index}: {value}",
            ),
            Hyperparameter(
                "weight_decay",
                elements=("weight_decay",),
                intervals=(Interval(0.0, float("inf"), True, True),),
                is_tuple=False,
                tensor=False,
                error="Invalid weight_decay value: {value}",
            ),
        ),
        flags=(),
        states=(
            State(
                "velocity1",
                argument="velocity1s",
                kind="tensor",
                init=None,
                when=None,
                on_param_device=False,
            ),
            State(
                "velocity2",
                argument="velocity2s",
                kind="tensor",
                init=None,
                when=None,
                on_param_device=False,
            ),
            State(
                "velocity3",
                argument="velocity3s",
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
        ),
        options=("maximize", "foreach", "capturable", "differentiable", "fused", "clip_grad_norm"),
        half_precision="float32",
        refusable=("lr", "weight_decay"),
        sparse="unsupported",
        sparse_error="AggMo does not support sparse gradients",
        decays_gradient=lambda group: group["weight_decay"] != 0,
        state_at_construction=False,
        foreach_temporaries=1,
        traffic=lambda known: {
            "param": 2,
            "grad": 1,
            "velocity1": 2,
            "velocity2": 2,
            "velocity3": 2,
        },
    )

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 0.01,
        betas: tuple[float, float, float] = (0.0, 0.9, 0.99),
        weight_decay: float = 0,
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
                "betas": betas,
                "weight_decay": weight_decay,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "clip_grad_norm": clip_grad_norm,
            },
        )
