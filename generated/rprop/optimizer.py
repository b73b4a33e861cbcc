# Generated from specs/rprop.yaml by thetac 0.1.0; do not edit.
"""Rprop: its documentation, its constructor, and what the runtime has to know of it."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac.runtime.optimizer import Optimizer
from thetac.runtime.schema import Hyperparameter, Interval, Requirement, Schema, Specialisation, State


class Rprop(Optimizer):
    """Resilient backpropagation, a step size per element that grows while the gradient keeps its sign.

    Each step (`step` is 1 in the first) does this to every parameter::

        if maximize:
          grad = -grad                        # maximize
        agreement = grad * prev               # its sign is what counts
        factor = where(agreement > 0, etaplus, where(agreement < 0, etaminus, 1))
        step_size = clamp(step_size * factor, step_size_min, step_size_max)
        prev = where(agreement < 0, 0, grad)  # a changed sign takes no step
        param = param - sign(prev) * step_size

    Args:
        params: parameters, or groups of them, to optimize
        lr (float or Tensor, default: 0.01, lr >= 0): the first step size
        etas (tuple of 2, float, default: (0.5, 1.2), etaminus in (0, 1); etaplus > 1): multiplicative
            decrease and increase factors
        step_sizes (tuple of 2, float, default: (1e-06, 50)): minimal and maximal allowed step sizes
        capturable (bool, default: False): keep step counts on the device, so that a step can be
            captured in a CUDA graph
        foreach (bool or None, default: None): work on lists of tensors; by default where that is the
            fastest that fits
        maximize (bool, default: False): maximize the objective instead of minimizing it
        differentiable (bool, default: False): let autograd run through the step
        fused (bool or None, default: None): do a whole step in one kernel: Triton on a GPU, C++ on a
            CPU; by default where that fits
        clip_grad_norm (float or None, default: None): scale gradients down to this global norm within
            the step; the gradients themselves stay as they are

    Raises:
        ValueError: params is empty; a hyperparameter is NaN or out of its range
        TypeError: params holds something other than tensors, or a hyperparameter is not a number
        RuntimeError: fused is combined with foreach or differentiable

    State of a parameter, in float32 8 bytes per element:
        step: 0-d, the number of steps
        prev: gradient of the previous step, or 0 where its sign had changed; like the parameter, at
            first 0
        step_size: step size of each element; like the parameter, at first lr

    Half precision:
        - float16 and bfloat16 parameters are computed in float32 by kernels, and results rounded once.
          The for-loop and foreach compute in the parameter's own dtype, as torch.optim does: in
          float16, squares of small gradients become 0 and large ones infinite.

    References:
        - Riedmiller and Braun, A Direct Adaptive Method for Faster Backpropagation Learning, ICNN 1993

    Example::

        optimizer = Rprop(model.parameters())
        loss(model(input), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    """

    schema: ClassVar[Schema] = Schema(
        contract=1,
        name="Rprop",
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
                "etas",
                elements=("etaminus", "etaplus"),
                intervals=(Interval(0.0, 1.0, False, False), Interval(1.0, float("inf"), False, True)),
                is_tuple=True,
                tensor=False,
                error="Invalid eta values: {0}, {1}",
            ),
            Hyperparameter(
                "step_sizes",
                elements=("step_size_min", "step_size_max"),
                intervals=(None, None),
                is_tuple=True,
                tensor=False,
                error="Invalid step_sizes value at index {index}: {value}",
            ),
        ),
        flags=(),
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
                "prev",
                argument="prevs",
                kind="tensor",
                init=None,
                when=None,
                on_param_device=False,
            ),
            State(
                "step_size",
                argument="step_sizes",
                kind="tensor",
                init=lambda group: group["lr"],
                when=None,
                on_param_device=False,
            ),
        ),
        requirements=(
        ),
        specialisations=(
            Specialisation("maximize", holds=lambda group: group.get("maximize", False)),
        ),
        options=("maximize", "foreach", "capturable", "differentiable"),
        half_precision="native",
        refusable=("etaminus", "etaplus", "step_size_min", "step_size_max"),
        sparse="unsupported",
        sparse_error="Rprop does not support sparse gradients",
        decays_gradient=lambda group: False,
        state_at_construction=False,
        foreach_temporaries=4,
        traffic=lambda known: {
            "param": 2,
            "grad": 1,
            "prev": 2,
            "step_size": 2,
        },
    )

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 0.01,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-06, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        clip_grad_norm: float | None = None,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "etas": etas,
                "step_sizes": step_sizes,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "capturable": capturable,
                "fused": fused,
                "clip_grad_norm": clip_grad_norm,
            },
        )
