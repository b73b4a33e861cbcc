# Generated from specs/sign_sgd.yaml by thetac 0.1.0; do not edit.
"""SignSGD: its documentation, its constructor, and what the runtime has to know of it."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac.runtime.optimizer import Optimizer
from thetac.runtime.schema import Hyperparameter, Interval, Requirement, Schema, Specialisation, State


class SignSGD(Optimizer):
    """A step of one size for every element, along the sign of its gradient.

    Each step does this to every parameter::

        if maximize:
          grad = -grad                             # maximize
        if weight_decay != 0:
          param = param * (1 - lr * weight_decay)  # weight decay
        param = param - lr * sign(grad)

    Args:
        params: parameters, or groups of them, to optimize
        lr (float or Tensor, default: 0.01, lr >= 0): the size of every element's step
        weight_decay (float, default: 0, weight_decay >= 0): each step takes away lr * weight_decay of
            the parameter
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

    Half precision:
        - float16 and bfloat16 parameters are computed in float32, and results rounded once.

    Notes:
        - Without state; Signum adds momentum.
        - weight_decay is the authors' wd, which is in the gradient's place beside its sign: lr * wd of
          the parameter is taken away.

    References:
        - Bernstein, Wang, Azizzadenesheli and Anandkumar, signSGD: Compressed Optimisation for
          Non-Convex Problems, ICML 2018, Algorithm 1, arXiv:1802.04434
        - apache/mxnet, src/operator/optimizer_op-inl.h, signsgd_update (the authors' code)

    Example::

        optimizer = SignSGD(model.parameters())
        loss(model(input), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    """

    schema: ClassVar[Schema] = Schema(
        contract=1,
        name="SignSGD",
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
        ),
        requirements=(
        ),
        specialisations=(
            Specialisation("maximize", holds=lambda group: group.get("maximize", False)),
            Specialisation("weight_decay_nonzero", holds=lambda group: group["weight_decay"] != 0),
        ),
        options=("maximize", "foreach", "capturable", "differentiable", "fused", "clip_grad_norm"),
        half_precision="float32",
        refusable=("lr",),
        sparse="unsupported",
        sparse_error="SignSGD does not support sparse gradients",
        decays_gradient=lambda group: False,
        state_at_construction=False,
        foreach_temporaries=2,
        traffic=lambda known: {
            "param": 2,
            "grad": 1,
        },
    )

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 0.01,
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
                "weight_decay": weight_decay,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "clip_grad_norm": clip_grad_norm,
            },
        )
