# Generated from specs/qhm.yaml by thetac 0.1.0; do not edit.
"""QHM: its documentation, its constructor, and what the runtime has to know of it."""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac.runtime.optimizer import Optimizer
from thetac.runtime.schema import (
    Choice, DerivedFlag, Hyperparameter, Interval, Requirement, Schema, Specialisation, State
)


class QHM(Optimizer):
    """Momentum averaged with the plain gradient.

    Each step does this to every parameter::

        if maximize:
          grad = -grad                               # maximize
        if weight_decay != 0:
          if weight_decay_type == "direct":
            param = param * (1 - lr * weight_decay)  # weight decay
          else:
            grad = grad + weight_decay * param       # weight decay
        momentum_buffer = momentum * momentum_buffer + (1 - momentum) * grad
        param = param - lr * nu * momentum_buffer
        param = param - lr * (1 - nu) * grad

    Args:
        params: parameters, or groups of them, to optimize
        lr (float or Tensor, default: 1.0, lr >= 0): learning rate
        momentum (float, default: 0.999, momentum >= 0): momentum factor
        nu (float, default: 0.7): weight of the momentum against the plain gradient
        weight_decay (float, default: 0.0, weight_decay >= 0): each step takes away lr * weight_decay of
            the parameter if weight_decay_type == "direct", else weight_decay * param is added to the
            gradient
        weight_decay_type ("grad" or "direct", default: "grad"): add weight_decay times the parameter to
            the gradient, or decay the parameter directly
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
        momentum_buffer: running average of the gradient; like the parameter, at first 0

    Half precision:
        - float16 and bfloat16 parameters are computed in float32, and results rounded once.

    Notes:
        - lr, momentum and nu have no defaults in the authors' code; here they are 1, 0.999 and 0.7, as
          the paper recommends.
        - The momentum is dampened by 1 - momentum: for the lr of SGD with momentum, multiply it by 1 /
          (1 - momentum).

    References:
        - Ma and Yarats, Quasi-hyperbolic Momentum and Adam for Deep Learning, ICLR 2019, section 3,
          arXiv:1810.06801
        - facebookresearch/qhoptim, qhoptim/pyt/qhm.py (the authors' code)

    Example::

        optimizer = QHM(model.parameters())
        loss(model(input), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    """

    schema: ClassVar[Schema] = Schema(
        contract=1,
        name="QHM",
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
                "nu",
                elements=("nu",),
                intervals=(None,),
                is_tuple=False,
                tensor=False,
                error="Invalid nu value: {value}",
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
        choices=(
            Choice(
                "weight_decay_type",
                choices=("grad", "direct"),
                error="Invalid weight_decay_type value: {0}",
            ),
        ),
        derived=(
            DerivedFlag("weight_decay_type_is_direct", holds=lambda group: (group["weight_decay_type"] == "direct")),
        ),
        states=(
            State(
                "momentum_buffer",
                argument="momentum_buffers",
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
            Specialisation("weight_decay_type_is_direct", holds=lambda group: (group["weight_decay_type"] == "direct")),
        ),
        options=("maximize", "foreach", "capturable", "differentiable", "fused", "clip_grad_norm"),
        half_precision="float32",
        refusable=("lr", "momentum", "nu", "weight_decay"),
        sparse="unsupported",
        sparse_error="QHM does not support sparse gradients",
        decays_gradient=lambda group: group["weight_decay"] != 0 and not (group["weight_decay_type"] == "direct"),
        state_at_construction=False,
        foreach_temporaries=1,
        traffic=lambda known: {
            "param": 2,
            "grad": 1,
            "momentum_buffer": 2,
        },
    )

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1.0,
        momentum: float = 0.999,
        nu: float = 0.7,
        weight_decay: float = 0.0,
        weight_decay_type: Literal["grad", "direct"] = "grad",
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
                "nu": nu,
                "weight_decay": weight_decay,
                "weight_decay_type": weight_decay_type,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "clip_grad_norm": clip_grad_norm,
            },
        )
