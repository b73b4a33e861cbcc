# Generated from specs/amos.yaml by thetac 0.1.0; do not edit.
"""Amos: its documentation, its constructor, and what the runtime has to know of it."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac.runtime.optimizer import Optimizer
from thetac.runtime.schema import DerivedFlag, Hyperparameter, Interval, Requirement, Schema, Specialisation, State


class Amos(Optimizer):
    """Adaptive decay towards a scale that the model prescribes, with Adam-like steps that shrink.

    Each step (`step` is 1 in the first) does this to every parameter::

        if maximize:
          grad = -grad  # maximize
        clipped = grad
        if clip_value > 0:
          clipped = clamp(grad, -clip_value, clip_value)
        g2 = clipped * clipped
        v = v * beta + g2 * (1 - beta)
        rcpl_v_hat = (1 - beta ** step) / maximum(v, epsilon)
        decay_factor_c = 1 / sqrt(1 + c_coef * sqrt(lr) * b)
        gamma = decay_factor_c * lr ** 2 * rcpl_v_hat * g2
        init_lr = lr * eta
        decay_factor_d = 1 / (1 + d_coef * sqrt(init_lr) * b)
        change = decay_factor_d * ((-0.5 * gamma - extra_l2) * param - init_lr * sqrt(rcpl_v_hat) *
            clipped)
        b = b + gamma * (1 + b)
        if momentum > 0:
          ema = momentum * ema + (1 - momentum) * change
          change = ema
        param = param + change

    Args:
        params: parameters, or groups of them, to optimize
        lr (float or Tensor, default: 0.01, lr >= 0): global rate, about 1 / sqrt(N) for N batches of
            data
        eta (float, default: 1.0, eta >= 0): the size that the parameter's elements are expected to
            converge to
        beta (float, default: 0.999, beta in [0, 1)): decay of the mean squared gradient
        momentum (float or None, default: None, momentum in [0, 1)): decay of a running average of the
            steps; 0 keeps none; None stands for 0
        clip_value (float or None, default: None, clip_value >= 0): largest absolute value of a
            gradient's element; 0 does not clip; None stands for 0
        extra_l2 (float, default: 0.0, extra_l2 >= 0): additional decay of the parameter
        d_coef (float, default: 0.25, d_coef >= 0): how fast steps shrink
        c_coef (float, default: 0.25, c_coef >= 0): how fast the adaptive decay shrinks
        epsilon (float, default: 2.350988701644575e-38, epsilon >= 0): least mean square to divide by
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

    State of a parameter, in float32 8 bytes per element, 4 more if momentum > 0:
        step: 0-d, the number of steps
        v: running average of the squared gradient; like the parameter, at first 0
        b: sum of the decay so far, by which steps shrink; like the parameter, at first 0
        ema: running average of the steps; like the parameter, at first 0, if momentum > 0

    Half precision:
        - float16 and bfloat16 parameters are computed in float32, and results rounded once.

    Notes:
        - eta_fn, a function of a variable's name and shape, is the hyperparameter eta here, one for a
          parameter group.
        - shape_fn is the authors' default None: v and b have the shape of the parameter.
        - learning_rate is called lr, as torch's schedulers want it.
        - The momentum is a running average of the whole step, decay included, without bias correction,
          as in the authors' code.

    References:
        - Tian and Parikh, Amos: An Adam-style Optimizer with Adaptive Weight Decay towards
          Model-Oriented Scale, arXiv:2210.11693, Algorithm 1
        - google-research/jestimator, jestimator/amos.py (the authors' code)

    Example::

        optimizer = Amos(model.parameters())
        loss(model(input), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    """

    schema: ClassVar[Schema] = Schema(
        contract=1,
        name="Amos",
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
                "eta",
                elements=("eta",),
                intervals=(Interval(0.0, float("inf"), True, True),),
                is_tuple=False,
                tensor=False,
                error="Invalid eta value: {value}",
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
                "momentum",
                elements=("momentum",),
                intervals=(Interval(0.0, 1.0, True, False),),
                is_tuple=False,
                tensor=False,
                error="Invalid momentum value: {value}",
                none=(0.0,),
            ),
            Hyperparameter(
                "clip_value",
                elements=("clip_value",),
                intervals=(Interval(0.0, float("inf"), True, True),),
                is_tuple=False,
                tensor=False,
                error="Invalid clip_value value: {value}",
                none=(0.0,),
            ),
            Hyperparameter(
                "extra_l2",
                elements=("extra_l2",),
                intervals=(Interval(0.0, float("inf"), True, True),),
                is_tuple=False,
                tensor=False,
                error="Invalid extra_l2 value: {value}",
            ),
            Hyperparameter(
                "d_coef",
                elements=("d_coef",),
                intervals=(Interval(0.0, float("inf"), True, True),),
                is_tuple=False,
                tensor=False,
                error="Invalid d_coef value: {value}",
            ),
            Hyperparameter(
                "c_coef",
                elements=("c_coef",),
                intervals=(Interval(0.0, float("inf"), True, True),),
                is_tuple=False,
                tensor=False,
                error="Invalid c_coef value: {value}",
            ),
            Hyperparameter(
                "epsilon",
                elements=("epsilon",),
                intervals=(Interval(0.0, float("inf"), True, True),),
                is_tuple=False,
                tensor=False,
                error="Invalid epsilon value: {value}",
            ),
        ),
        flags=(),
        derived=(
            DerivedFlag("momentum_is_none", holds=lambda group: (group["momentum"] is None)),
            DerivedFlag("clip_value_is_none", holds=lambda group: (group["clip_value"] is None)),
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
                "v",
                argument="vs",
                kind="tensor",
                init=None,
                when=None,
                on_param_device=False,
            ),
            State(
                "b",
                argument="bs",
                kind="tensor",
                init=None,
                when=None,
                on_param_device=False,
            ),
            State(
                "ema",
                argument="emas",
                kind="tensor",
                init=None,
                when=lambda group: (0 if (group["momentum"] is None) else group["momentum"]) > 0,
                on_param_device=False,
            ),
        ),
        requirements=(
        ),
        specialisations=(
            Specialisation("maximize", holds=lambda group: group.get("maximize", False)),
            Specialisation(
                "choice_of_clip_value_is_none_zero_clip_value_positive",
                holds=lambda group: (0 if (group["clip_value"] is None) else group["clip_value"]) > 0,
            ),
            Specialisation(
                "choice_of_momentum_is_none_zero_momentum_positive",
                holds=lambda group: (0 if (group["momentum"] is None) else group["momentum"]) > 0,
            ),
        ),
        options=("maximize", "foreach", "capturable", "differentiable", "fused", "clip_grad_norm"),
        half_precision="float32",
        refusable=("lr", "eta", "momentum", "clip_value", "epsilon"),
        sparse="unsupported",
        sparse_error="Amos does not support sparse gradients",
        decays_gradient=lambda group: False,
        state_at_construction=False,
        foreach_temporaries=12,
        traffic=lambda known: {
            "param": 2,
            "grad": 1,
            "v": 2,
            "b": 2,
            "ema": 2 * known["choice_of_momentum_is_none_zero_momentum_positive"],
        },
    )

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 0.01,
        eta: float = 1.0,
        beta: float = 0.999,
        momentum: float | None = None,
        clip_value: float | None = None,
        extra_l2: float = 0.0,
        d_coef: float = 0.25,
        c_coef: float = 0.25,
        epsilon: float = 2.350988701644575e-38,
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
                "eta": eta,
                "beta": beta,
                "momentum": momentum,
                "clip_value": clip_value,
                "extra_l2": extra_l2,
                "d_coef": d_coef,
                "c_coef": c_coef,
                "epsilon": epsilon,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "clip_grad_norm": clip_grad_norm,
            },
        )
