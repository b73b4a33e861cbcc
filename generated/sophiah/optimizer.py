# Generated from specs/sophia_h.yaml by thetac 0.1.0; do not edit.
"""SophiaH: its documentation, its constructor, and what the runtime has to know of it."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac.runtime.drivers.curvature import Curvature
from thetac.runtime.schema import Hyperparameter, Interval, Requirement, Schema, Specialisation, State


class SophiaH(Curvature):
    """Signs of the mean gradient, smaller where an estimate of the Hessian's diagonal is large.

    Each step (`step` is 1 in the first) does this to every parameter::

        if maximize:
          grad = -grad                             # maximize
        if weight_decay != 0:
          param = param * (1 - lr * weight_decay)  # weight decay
        exp_avg = beta1 * exp_avg + (1 - beta1) * grad
        ratio = minimum(abs(exp_avg) / (gamma * maximum(hessian, 0) + 1e-12), 1)
        param = param - lr / (1 - beta1 ** step) * sign(exp_avg) * ratio

    `estimate`, which updates states from another gradient than that of the step, does this::

        if maximize:
          grad = -grad  # maximize
        hessian = beta2 * hessian + (1 - beta2) * grad

    Args:
        params: parameters, or groups of them, to optimize
        lr (float or Tensor, default: 0.001, lr >= 0): learning rate
        betas (tuple of 2, float, default: (0.9, 0.99), each in [0, 1)): coefficients of the running
            averages
        gamma (float, default: 10, gamma >= 0): the larger it is, the fewer elements move by all of lr
        weight_decay (float, default: 0.01, weight_decay >= 0): each step takes away lr * weight_decay
            of the parameter
        update_each (int, default: 10, update_each >= 1 and finite): steps from one estimate of the
            Hessian to the next
        seed (int, default: 0, seed >= 0 and finite): what the random probes of the Hessian follow from
        maximize (bool, default: False): maximize the objective instead of minimizing it
        foreach (bool or None, default: None): work on lists of tensors; by default where that is the
            fastest that fits
        capturable (bool, default: False): keep step counts on the device, so that a step can be
            captured in a CUDA graph
        fused (bool or None, default: None): do a whole step in one kernel: Triton on a GPU, C++ on a
            CPU; by default where that fits
        differentiable (bool, default: False): let autograd run through the step
        clip_grad_norm (float or None, default: None): scale gradients down to this global norm within
            the step; the gradients themselves stay as they are

    Raises:
        ValueError: params is empty; a hyperparameter is NaN or out of its range
        TypeError: params holds something other than tensors, or a hyperparameter is not a number
        RuntimeError: fused is combined with foreach or differentiable

    State of a parameter, in float32 8 bytes per element:
        step: 0-d, the number of steps
        exp_avg: running mean of gradients; like the parameter, at first 0
        hessian: running mean of estimates of the Hessian's diagonal; like the parameter, at first 0

    Half precision:
        - float16 and bfloat16 parameters are computed in float32, and results rounded once.

    Notes:
        - The source has the user estimate the diagonal; here a step does it, every update_each steps as
          in the paper.
        - Probes are 1 or -1 at random, and the same on all processes; the paper's are normal.
        - gamma and lr are the source's: its lr is the paper's times rho.

    References:
        - Liu, Li, Hall, Liang and Ma, Sophia: A Scalable Stochastic Second-order Optimizer for Language
          Model Pre-training, ICLR 2024, Algorithms 1 and 3, arXiv:2305.14342
        - Liuhong99/Sophia at 01af183, sophia.py, SophiaH (the source)

    Example::

        optimizer = SophiaH(model.parameters())
        loss(model(input), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    """

    schema: ClassVar[Schema] = Schema(
        contract=1,
        name="SophiaH",
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
                "gamma",
                elements=("gamma",),
                intervals=(Interval(0.0, float("inf"), True, True),),
                is_tuple=False,
                tensor=False,
                error="Invalid gamma value: {value}",
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
                "step",
                argument="steps",
                kind="counter",
                init=None,
                when=None,
                on_param_device=False,
            ),
            State(
                "exp_avg",
                argument="exp_avgs",
                kind="tensor",
                init=None,
                when=None,
                on_param_device=False,
            ),
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
            Specialisation("weight_decay_nonzero", holds=lambda group: group["weight_decay"] != 0),
        ),
        options=("maximize", "foreach", "capturable", "fused"),
        half_precision="float32",
        refusable=("lr", "beta1"),
        sparse="unsupported",
        sparse_error="SophiaH does not support sparse gradients",
        decays_gradient=lambda group: False,
        state_at_construction=False,
        foreach_temporaries=4,
        traffic=lambda known: {
            "param": 2,
            "grad": 1,
            "exp_avg": 2,
            "hessian": 1,
        },
        uniform=("seed", "update_each", "steps_taken"),
        counts_steps=True,
        complex_error="SophiaH does not support complex parameters",
        pieces=("estimate",),
    )

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 0.001,
        betas: tuple[float, float] = (0.9, 0.99),
        gamma: float = 10,
        weight_decay: float = 0.01,
        update_each: int = 10,
        seed: int = 0,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        fused: bool | None = None,
        differentiable: bool = False,
        clip_grad_norm: float | None = None,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "gamma": gamma,
                "weight_decay": weight_decay,
                "update_each": update_each,
                "seed": seed,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "clip_grad_norm": clip_grad_norm,
            },
        )
