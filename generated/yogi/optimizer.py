# Generated from specs/yogi.yaml by thetac 0.1.0; do not edit.
"""Yogi: its documentation, its constructor, and what the runtime has to know of it."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac.runtime.optimizer import Optimizer
from thetac.runtime.schema import Hyperparameter, Interval, Requirement, Schema, Specialisation, State


class Yogi(Optimizer):
    """Adam whose second moment moves by at most a fraction of the squared gradient, whatever its own size.

    Each step (`step` is 1 in the first) does this to every parameter::

        if maximize:
          grad = -grad                               # maximize
        exp_avg = beta1 * exp_avg + (1 - beta1) * grad
        square = grad * grad
        exp_avg_sq = exp_avg_sq - (1 - beta2) * sign(exp_avg_sq - square) * square
        rate = lr * sqrt(1 - beta2 ** step) / (1 - beta1 ** step) / (sqrt(exp_avg_sq) + eps)
        param = param - rate * exp_avg
        if weight_decay != 0:
          param = param / (1 + weight_decay * rate)  # proximal decay

    Args:
        params: parameters, or groups of them, to optimize
        lr (float or Tensor, default: 0.01, lr >= 0): learning rate
        betas (tuple of 2, float, default: (0.9, 0.999), each in [0, 1)): coefficients used for
            computing running averages of gradient and its square
        eps (float, default: 0.001, eps >= 0): term added to the denominator; larger values adapt less
            to noise
        weight_decay (float, default: 0, weight_decay >= 0): proximal decay: after the step, each
            element is divided by 1 + weight_decay times its step size
        initial_accumulator_value (float, default: 1e-06, initial_accumulator_value >= 0): initial value
            of the second moment
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

    State of a parameter, in float32 8 bytes per element:
        step: 0-d, the number of steps
        exp_avg: running average of the gradient; like the parameter, at first 0
        exp_avg_sq: second moment of the gradient; like the parameter, at first
            initial_accumulator_value

    Half precision:
        - float16 and bfloat16 parameters are computed in float32, and results rounded once.

    Notes:
        - Bias corrections are the authors' code's, with eps beside the uncorrected root; the paper's
          Algorithm 2 has none.
        - The second moment starts from initial_accumulator_value, the first from zero, as in the
          authors' code.
        - weight_decay is the authors' l2_regularization_strength: a proximal step after the update, per
          element.
        - The authors' l1_regularization_strength and the activation tanh in place of sign are left out.

    References:
        - Zaheer, Reddi, Sachan, Kale and Kumar, Adaptive Methods for Nonconvex Optimization, NeurIPS
          2018, Algorithm 2
        - tensorflow/addons, tensorflow_addons/optimizers/yogi.py (the authors' code)

    Example::

        optimizer = Yogi(model.parameters())
        loss(model(input), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    """

    schema: ClassVar[Schema] = Schema(
        contract=1,
        name="Yogi",
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
                "initial_accumulator_value",
                elements=("initial_accumulator_value",),
                intervals=(Interval(0.0, float("inf"), True, True),),
                is_tuple=False,
                tensor=False,
                error="Invalid initial_accumulator_value value: {value}",
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
                "exp_avg_sq",
                argument="exp_avg_sqs",
                kind="tensor",
                init=lambda group: group["initial_accumulator_value"],
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
        refusable=("beta1", "beta2"),
        sparse="unsupported",
        sparse_error="Yogi does not support sparse gradients",
        decays_gradient=lambda group: False,
        state_at_construction=False,
        foreach_temporaries=5,
        traffic=lambda known: {
            "param": 2,
            "grad": 1,
            "exp_avg": 2,
            "exp_avg_sq": 2,
        },
    )

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 0.01,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 0.001,
        weight_decay: float = 0,
        initial_accumulator_value: float = 1e-06,
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
                "eps": eps,
                "weight_decay": weight_decay,
                "initial_accumulator_value": initial_accumulator_value,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "clip_grad_norm": clip_grad_norm,
            },
        )
