# Generated from specs/mars.yaml by thetac 0.1.0; do not edit.
"""MARS: its documentation, its constructor, and what the runtime has to know of it."""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac.runtime.optimizer import Optimizer
from thetac.runtime.schema import (
    Choice, DerivedFlag, Hyperparameter, Interval, Requirement, Schema, Specialisation, State
)
from thetac.runtime.tensors import plain_number


class MARS(Optimizer):
    """AdamW or Lion on gradients whose variance the gradient of the step before reduces.

    Each step (`step` is 1 in the first) does this to every parameter::

        if maximize:
          grad = -grad  # maximize
        decay = weight_decay
        rate = lr
        correction1 = 1 - beta1 ** step
        correction2 = sqrt(1 - beta2 ** step)
        if optimize_1d or rank(param) == 2:
          corrected = grad + gamma * beta1 / (1 - beta1) * (grad - last_grad)
          corrected = corrected / maximum(norm(corrected), 1)
          exp_avg = beta1 * exp_avg + (1 - beta1) * corrected
          if mars_type == "adamw":
            exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * corrected * corrected
          last_grad = grad
        if not (optimize_1d or rank(param) == 2):
          exp_avg = beta1_1d * exp_avg + (1 - beta1_1d) * grad
          exp_avg_sq = beta2_1d * exp_avg_sq + (1 - beta2_1d) * grad * grad
          correction1 = 1 - beta1_1d ** step
          correction2 = sqrt(1 - beta2_1d ** step)
          rate = lr * where(start_lr != 0, lr_1d / start_lr, 1)
          decay = weight_decay_1d
        if mars_type == "lion" and (optimize_1d or rank(param) == 2):
          direction = sign(exp_avg)
        else:
          second_moment = exp_avg_sq
          if amsgrad:
            max_exp_avg_sq = maximum(max_exp_avg_sq, exp_avg_sq)
            second_moment = max_exp_avg_sq
          direction = exp_avg / (sqrt(second_moment) * (correction1 / correction2) + correction1 * eps)
        param = param - rate * (decay * param + direction)

    Args:
        params: parameters, or groups of them, to optimize
        lr (float or Tensor, default: 0.003, lr >= 0): learning rate
        betas (tuple of 2, float, default: (0.95, 0.99), each in [0, 1)): coefficients of the running
            averages
        eps (float, default: 1e-08, eps >= 0): term added to the denominator for numerical stability
        weight_decay (float, default: 0.0): each step takes away lr * weight_decay of a matrix
        amsgrad (bool, default: False): use the maximum of all second moments so far
        gamma (float, default: 0.025): how much of the difference to the gradient before is added
        mars_type ("adamw" or "lion", default: "adamw"): the rule that the corrected gradients go to
        optimize_1d (bool, default: False): correct the gradients of all parameters, not only of
            matrices
        lr_1d (float, default: 0.003, lr_1d >= 0): the rate of parameters that are no matrices, where lr
            is that of the constructor
        betas_1d (tuple of 2, float, default: (0.9, 0.95), each in [0, 1)): betas of parameters that are
            no matrices
        weight_decay_1d (float, default: 0.1): weight_decay of parameters that are no matrices
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

    State of a parameter, in float32 8 bytes per element, 4 more if amsgrad, 4 more if optimize_1d or
            rank(param) == 2:
        step: 0-d, the number of steps
        exp_avg: running average of the corrected gradient; like the parameter, at first 0
        exp_avg_sq: running average of its square; like the parameter, at first 0
        max_exp_avg_sq: maximum of all exp_avg_sq so far; like the parameter, at first 0, if amsgrad
        last_grad: the gradient of the step before; like the parameter, at first 0, if optimize_1d or
            rank(param) == 2

    Numbers in the parameter groups that no argument sets:
        start_lr: the lr that the constructor was given

    Half precision:
        - float16 and bfloat16 parameters are computed in float32, and results rounded once.

    Notes:
        - A group that is made with an lr of its own starts from that; in the source from the lr of the
          constructor.
        - mars_type is adamw or lion, for the authors' mars-adamw and mars-lion; mars-shampoo, which
          orthogonalizes matrices, is left out.
        - This is the authors' is_approx=True: the gradient of the step before is that of its batch; it
          starts from 0.
        - The authors keep a reference to the gradient, which is wrong with
          zero_grad(set_to_none=False); here it is copied.
        - Parameters that are no matrices are trained by AdamW with the rate lr * lr_1d / (the lr of the
          constructor), as in the authors' code, unless optimize_1d is set.
        - weight_decay_1d and lr_1d belong to parameter groups; in the authors' code they belong to the
          optimizer, as do gamma, eps and mars_type.

    References:
        - Yuan et al., MARS: Unleashing the Power of Variance Reduction for Training Large Models, ICML
          2025, arXiv:2411.10438
        - AGI-Arena/MARS, MARS/optimizers/mars.py (the authors' code)

    Example::

        optimizer = MARS(model.parameters())
        loss(model(input), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    """

    schema: ClassVar[Schema] = Schema(
        contract=1,
        name="MARS",
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
                intervals=(None,),
                is_tuple=False,
                tensor=False,
                error="Invalid weight_decay value: {value}",
            ),
            Hyperparameter(
                "gamma",
                elements=("gamma",),
                intervals=(None,),
                is_tuple=False,
                tensor=False,
                error="Invalid gamma value: {value}",
            ),
            Hyperparameter(
                "lr_1d",
                elements=("lr_1d",),
                intervals=(Interval(0.0, float("inf"), True, True),),
                is_tuple=False,
                tensor=False,
                error="Invalid lr_1d value: {value}",
            ),
            Hyperparameter(
                "betas_1d",
                elements=("beta1_1d", "beta2_1d"),
                intervals=(Interval(0.0, 1.0, True, False), Interval(0.0, 1.0, True, False)),
                is_tuple=True,
                tensor=False,
                error="Invalid betas_1d value at index {index}: {value}",
            ),
            Hyperparameter(
                "weight_decay_1d",
                elements=("weight_decay_1d",),
                intervals=(None,),
                is_tuple=False,
                tensor=False,
                error="Invalid weight_decay_1d value: {value}",
            ),
            Hyperparameter(
                "start_lr",
                elements=("start_lr",),
                intervals=(None,),
                is_tuple=False,
                tensor=False,
                error="Invalid start_lr value: {value}",
                starts_as="lr",
            ),
        ),
        flags=("amsgrad", "optimize_1d"),
        choices=(
            Choice(
                "mars_type",
                choices=("adamw", "lion"),
                error='Invalid mars_type value: {0}; it must be "adamw" or "lion"',
            ),
        ),
        derived=(
            DerivedFlag("mars_type_is_adamw", holds=lambda group: (group["mars_type"] == "adamw")),
            DerivedFlag("mars_type_is_lion", holds=lambda group: (group["mars_type"] == "lion")),
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
                init=None,
                when=None,
                on_param_device=False,
            ),
            State(
                "max_exp_avg_sq",
                argument="max_exp_avg_sqs",
                kind="tensor",
                init=None,
                when=lambda group: group["amsgrad"],
                on_param_device=False,
            ),
            State(
                "last_grad",
                argument="last_grads",
                kind="tensor",
                init=None,
                when=None,
                on_param_device=False,
                when_shape=lambda group, shape: group["optimize_1d"] or shape["rank"] == 2,
            ),
        ),
        requirements=(
        ),
        specialisations=(
            Specialisation("maximize", holds=lambda group: group.get("maximize", False)),
            Specialisation("optimize_1d", holds=lambda group: group["optimize_1d"]),
            Specialisation("param_rank_equal_to_two", holds_for=lambda group, shape: shape["rank"] == 2),
            Specialisation("mars_type_is_adamw", holds=lambda group: (group["mars_type"] == "adamw")),
            Specialisation("mars_type_is_lion", holds=lambda group: (group["mars_type"] == "lion")),
            Specialisation("amsgrad", holds=lambda group: group["amsgrad"]),
        ),
        options=("maximize", "foreach", "capturable", "differentiable", "fused", "clip_grad_norm"),
        half_precision="float32",
        refusable=("lr", "beta1", "beta2", "gamma", "lr_1d", "beta1_1d", "beta2_1d", "start_lr"),
        sparse="unsupported",
        sparse_error="MARS does not support sparse gradients",
        decays_gradient=lambda group: False,
        state_at_construction=False,
        foreach_temporaries=6,
        traffic=lambda known: {
            "param": 2,
            "grad": 1 + (known["optimize_1d"] or known["param_rank_equal_to_two"]),
            "exp_avg": 2,
            "exp_avg_sq": (
                (not known["mars_type_is_adamw"] or not known["optimize_1d"] and not known["param_rank_equal_to_two"])
                and (
                    known["mars_type_is_adamw"] and (known["optimize_1d"] or known["param_rank_equal_to_two"])
                    or not known["optimize_1d"] and not known["param_rank_equal_to_two"]
                )
                and (known["optimize_1d"] or known["param_rank_equal_to_two"])
                or known["mars_type_is_adamw"] and (known["optimize_1d"] or known["param_rank_equal_to_two"])
                or not known["mars_type_is_lion"]
                or not known["optimize_1d"] and not known["param_rank_equal_to_two"]
            )
            + (
                known["mars_type_is_adamw"] and (known["optimize_1d"] or known["param_rank_equal_to_two"])
                or not known["optimize_1d"] and not known["param_rank_equal_to_two"]
            ),
            "max_exp_avg_sq": 2
            * (
                known["amsgrad"]
                and (
                    not known["mars_type_is_lion"] or not known["optimize_1d"] and not known["param_rank_equal_to_two"]
                )
            ),
            "last_grad": 3 * (known["optimize_1d"] or known["param_rank_equal_to_two"]),
        },
        shape_numbers=("rank",),
        shape_conditions=("rank",),
        reduces=True,
    )

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 0.003,
        betas: tuple[float, float] = (0.95, 0.99),
        eps: float = 1e-08,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        gamma: float = 0.025,
        mars_type: Literal["adamw", "lion"] = "adamw",
        optimize_1d: bool = False,
        lr_1d: float = 0.003,
        betas_1d: tuple[float, float] = (0.9, 0.95),
        weight_decay_1d: float = 0.1,
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
                "amsgrad": amsgrad,
                "gamma": gamma,
                "mars_type": mars_type,
                "optimize_1d": optimize_1d,
                "lr_1d": lr_1d,
                "betas_1d": betas_1d,
                "weight_decay_1d": weight_decay_1d,
                "start_lr": plain_number(lr),
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "clip_grad_norm": clip_grad_norm,
            },
        )
