# Generated from specs/adam_atan2.yaml by thetac 0.1.0; do not edit.
"""AdamAtan2: its documentation, its constructor, and what the runtime has to know of it."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac.runtime.optimizer import Optimizer
from thetac.runtime.schema import Hyperparameter, Interval, Requirement, Schema, Specialisation, State
from thetac.runtime.tensors import plain_number


class AdamAtan2(Optimizer):
    """Adam whose step is the angle of its two moments instead of their quotient, without an eps.

    Each step (`step` is 1 in the first) does this to every parameter::

        if maximize:
          grad = -grad  # maximize
        rate = lr
        if decoupled_wd:
          rate = where(start_lr != 0, lr / start_lr, 0)
        if regen_reg_rate > 0:
          param = lerp(param, param_init, rate * regen_reg_rate)
        exp_avg = lerp(exp_avg, grad, 1 - beta1)
        exp_avg_sq = lerp(exp_avg_sq, grad * grad, 1 - beta2)
        denom = sqrt(exp_avg_sq * (b * b / (1 - beta2 ** step)))
        direction = atan2(exp_avg * (1 / (1 - beta1 ** step)), denom)
        if weight_decay > 0 and not cautious_wd:
          param = param * (1 - rate * weight_decay)
        if weight_decay > 0 and cautious_wd:
          param = where(direction * param > 0, param * (1 - rate * weight_decay), param)
        param = param - lr * a * direction

    Args:
        params: parameters, or groups of them, to optimize
        lr (float or Tensor, default: 0.0001, lr >= 0): learning rate
        betas (tuple of 2, float, default: (0.9, 0.99), each in [0, 1)): coefficients of the running
            averages
        weight_decay (float, default: 0.0, weight_decay >= 0): each step takes away lr * weight_decay of
            the parameter
        regen_reg_rate (float, default: 0.0, regen_reg_rate >= 0): each step moves the parameter by lr *
            regen_reg_rate of the way to its first value
        decoupled_wd (bool, default: False): divide weight_decay and regen_reg_rate by the lr of the
            constructor, so that they do not depend on its size
        cautious_wd (bool, default: False): decay only the elements that the step moves towards 0
        a (float, default: 1.27, a >= 0): factor of the angle
        b (float, default: 1.0, b >= 0): factor of the root of the second moment: a larger one bends the
            angle later
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
        ValueError: params is empty; a hyperparameter is NaN or out of its range; "weight_decay and
            regen_reg_rate exclude each other"
        TypeError: params holds something other than tensors, or a hyperparameter is not a number
        RuntimeError: fused is combined with foreach or differentiable

    State of a parameter, in float32 8 bytes per element, 4 more if regen_reg_rate > 0:
        step: 0-d, the number of steps
        exp_avg: running average of the gradient; like the parameter, at first 0
        exp_avg_sq: running average of the squared gradient; like the parameter, at first 0
        param_init: the first value of the parameter; like the parameter, at first the parameter, if
            regen_reg_rate > 0

    Numbers in the parameter groups that no argument sets:
        start_lr: the lr that the constructor was given

    Half precision:
        - float16 and bfloat16 parameters are computed in float32, and results rounded once.

    Notes:
        - A group that is made with an lr of its own starts from that; in the source from the lr of the
          constructor.
        - The source's cautious_factor, which scales a step by a mean over the parameter, is left out;
          1, its default, changes nothing.
        - The source divides weight_decay and regen_reg_rate by lr once, in the constructor, if
          decoupled_wd; here each step does, so that parameter groups show what was given.
        - The source rounds the factor of cautious decay to float32, whatever the dtype of the
          parameter.
        - A beta of 1 is refused: the source divides by 1 - beta ** step, which is 0 then.
        - With differentiable=True gradients are those of the angle; at the origin they are NaN.

    References:
        - Everett et al., Scaling Exponents Across Parameterizations and Optimizers, ICML 2024,
          arXiv:2407.05872
        - lucidrains/adam-atan2-pytorch, adam_atan2.py of version 0.4.1
        - Kumar, Marklund and Van Roy, Maintaining Plasticity in Continual Learning via Regenerative
          Regularization, arXiv:2308.11958 (regen_reg_rate)
        - Chen et al., Cautious Weight Decay, arXiv:2510.12402 (cautious_wd)

    Example::

        optimizer = AdamAtan2(model.parameters())
        loss(model(input), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    """

    schema: ClassVar[Schema] = Schema(
        contract=1,
        name="AdamAtan2",
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
                "weight_decay",
                elements=("weight_decay",),
                intervals=(Interval(0.0, float("inf"), True, True),),
                is_tuple=False,
                tensor=False,
                error="Invalid weight_decay value: {value}",
            ),
            Hyperparameter(
                "regen_reg_rate",
                elements=("regen_reg_rate",),
                intervals=(Interval(0.0, float("inf"), True, True),),
                is_tuple=False,
                tensor=False,
                error="Invalid regen_reg_rate value: {value}",
            ),
            Hyperparameter(
                "a",
                elements=("a",),
                intervals=(Interval(0.0, float("inf"), True, True),),
                is_tuple=False,
                tensor=False,
                error="Invalid a value: {value}",
            ),
            Hyperparameter(
                "b",
                elements=("b",),
                intervals=(Interval(0.0, float("inf"), True, True),),
                is_tuple=False,
                tensor=False,
                error="Invalid b value: {value}",
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
        flags=("decoupled_wd", "cautious_wd"),
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
                "param_init",
                argument="param_inits",
                kind="tensor",
                init=None,
                when=lambda group: group["regen_reg_rate"] > 0,
                on_param_device=False,
                copies_param=True,
            ),
        ),
        requirements=(
            Requirement(
                holds=lambda group: not (group["weight_decay"] > 0 and group["regen_reg_rate"] > 0),
                message="weight_decay and regen_reg_rate exclude each other",
            ),
        ),
        specialisations=(
            Specialisation("maximize", holds=lambda group: group.get("maximize", False)),
            Specialisation("regen_reg_rate_positive", holds=lambda group: group["regen_reg_rate"] > 0),
            Specialisation("weight_decay_positive", holds=lambda group: group["weight_decay"] > 0),
            Specialisation("cautious_wd", holds=lambda group: group["cautious_wd"]),
        ),
        options=("maximize", "foreach", "capturable", "differentiable", "fused", "clip_grad_norm"),
        half_precision="float32",
        refusable=("lr", "beta1", "beta2", "regen_reg_rate", "a", "start_lr"),
        sparse="unsupported",
        sparse_error="AdamAtan2 does not support sparse gradients",
        decays_gradient=lambda group: False,
        state_at_construction=False,
        foreach_temporaries=4,
        traffic=lambda known: {
            "param": 2,
            "grad": 1,
            "exp_avg": 2,
            "exp_avg_sq": 2,
            "param_init": known["regen_reg_rate_positive"],
        },
    )

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 0.0001,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        regen_reg_rate: float = 0.0,
        decoupled_wd: bool = False,
        cautious_wd: bool = False,
        a: float = 1.27,
        b: float = 1.0,
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
                "regen_reg_rate": regen_reg_rate,
                "decoupled_wd": decoupled_wd,
                "cautious_wd": cautious_wd,
                "a": a,
                "b": b,
                "start_lr": plain_number(lr),
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "clip_grad_norm": clip_grad_norm,
            },
        )
