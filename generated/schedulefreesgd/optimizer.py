# Generated from specs/schedule_free_sgd.yaml by thetac 0.1.0; do not edit.
"""ScheduleFreeSGD: its documentation, its constructor, and what the runtime has to know of it."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac.runtime.drivers.modes import Modes
from thetac.runtime.schema import Hyperparameter, Interval, Requirement, Schema, Shared, Specialisation, State


class ScheduleFreeSGD(Modes):
    """Gradient descent between a base sequence and its average, in place of a schedule.

    Each step does this to every parameter::

        if maximize:
          grad = -grad                        # maximize
        if weight_decay != 0:
          grad = grad + weight_decay * param  # weight decay
        warmup = 1.0
        if k < warmup_steps:
          warmup = (k + 1) / warmup_steps
        scheduled_lr = lr * warmup
        lr_max = maximum(scheduled_lr, lr_max)
        weight = (k + 1) ** r * lr_max ** weight_lr_power
        weight_sum = weight_sum + weight
        share = 0.0
        if weight_sum != 0:
          share = weight / weight_sum
        k = k + 1
        param = lerp(param, z, share)
        param = param + scheduled_lr * (momentum * (1 - share) - 1) * grad
        z = z - scheduled_lr * grad

    `train`, which takes the parameters back to where training goes on, does this::

        param = lerp(param, z, 1 - momentum)

    `eval`, which takes the parameters to where the model is evaluated, does this::

        param = lerp(param, z, 1 - 1 / momentum)

    Args:
        params: parameters, or groups of them, to optimize
        lr (float or Tensor, default: 1.0, lr >= 0 and finite): learning rate
        momentum (float, default: 0.9, momentum in (0, 1)): how far towards the average gradients are
            taken
        weight_decay (float, default: 0, weight_decay >= 0 and finite): weight_decay * param is added to
            the gradient
        warmup_steps (float, default: 0, warmup_steps >= 0 and finite): steps in which the rate rises
            from 0 to lr
        r (float, default: 0.0): a step counts in the average with its number to this power
        weight_lr_power (float, default: 2.0): a step counts in the average with the largest rate so far
            to this power
        foreach (bool or None, default: None): work on lists of tensors; by default where that is the
            fastest that fits
        maximize (bool, default: False): maximize the objective instead of minimizing it
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
        z: the base sequence, which gradient descent moves; like the parameter, at first the parameter

    Numbers in the parameter groups that steps write:
        k: a float of the group, 0 at first; the number of steps
        weight_sum: a float of the group, 0.0 at first; the sum of the weights of all steps
        lr_max: a float of the group, -1.0 at first; the largest rate so far
        scheduled_lr: a float of the group, 0.0 at first; the rate of the last step

    Half precision:
        - float16 and bfloat16 parameters are computed in float32, and results rounded once.

    Notes:
        - `train()` comes before the first step and after `eval()`, which moves the parameters to the
          average.
        - A group counts the steps in which one of its parameters has a gradient. The authors' code
          counts all steps.
        - A step outside of training mode is an error for every group. The authors' code looks at the
          first group only, and a group that is added during training is not in training mode there.

    References:
        - Defazio et al., The Road Less Scheduled, NeurIPS 2024 (arXiv:2405.15682)
        - schedulefree 1.4.1, the authors' code

    Example::

        optimizer = ScheduleFreeSGD(model.parameters())
        optimizer.train()
        loss(model(input), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    """

    schema: ClassVar[Schema] = Schema(
        contract=1,
        name="ScheduleFreeSGD",
        package=__name__.rpartition(".")[0],
        hyperparameters=(
            Hyperparameter(
                "lr",
                elements=("lr",),
                intervals=(Interval(0.0, float("inf"), True, False),),
                is_tuple=False,
                tensor=True,
                error="Invalid learning rate: {value}",
            ),
            Hyperparameter(
                "momentum",
                elements=("momentum",),
                intervals=(Interval(0.0, 1.0, False, False),),
                is_tuple=False,
                tensor=False,
                error="Invalid momentum value: {value}",
            ),
            Hyperparameter(
                "weight_decay",
                elements=("weight_decay",),
                intervals=(Interval(0.0, float("inf"), True, False),),
                is_tuple=False,
                tensor=False,
                error="Invalid weight_decay value: {value}",
            ),
            Hyperparameter(
                "warmup_steps",
                elements=("warmup_steps",),
                intervals=(Interval(0.0, float("inf"), True, False),),
                is_tuple=False,
                tensor=False,
                error="Invalid warmup_steps value: {value}",
            ),
            Hyperparameter(
                "r",
                elements=("r",),
                intervals=(None,),
                is_tuple=False,
                tensor=False,
                error="Invalid r value: {value}",
            ),
            Hyperparameter(
                "weight_lr_power",
                elements=("weight_lr_power",),
                intervals=(None,),
                is_tuple=False,
                tensor=False,
                error="Invalid weight_lr_power value: {value}",
            ),
        ),
        flags=(),
        states=(
            State(
                "z",
                argument="zs",
                kind="tensor",
                init=None,
                when=None,
                on_param_device=False,
                copies_param=True,
            ),
        ),
        requirements=(
        ),
        specialisations=(
            Specialisation("maximize", holds=lambda group: group.get("maximize", False)),
            Specialisation("weight_decay_nonzero", holds=lambda group: group["weight_decay"] != 0),
        ),
        options=("foreach",),
        half_precision="float32",
        refusable=("weight_decay",),
        sparse="unsupported",
        sparse_error="ScheduleFreeSGD does not support sparse gradients",
        decays_gradient=lambda group: group["weight_decay"] != 0,
        state_at_construction=False,
        foreach_temporaries=1,
        traffic=lambda known: {
            "param": 2,
            "grad": 1,
            "z": 2,
        },
        shared=(
            Shared("k", scope="group", init=lambda group: 0),
            Shared("weight_sum", scope="group", init=lambda group: 0.0),
            Shared("lr_max", scope="group", init=lambda group: -1.0),
            Shared("scheduled_lr", scope="group", init=lambda group: 0.0),
        ),
        waits=True,
        pieces=("train", "eval"),
    )

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1.0,
        momentum: float = 0.9,
        weight_decay: float = 0,
        warmup_steps: float = 0,
        r: float = 0.0,
        weight_lr_power: float = 2.0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
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
                "weight_decay": weight_decay,
                "warmup_steps": warmup_steps,
                "r": r,
                "weight_lr_power": weight_lr_power,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "clip_grad_norm": clip_grad_norm,
                "k": None,
                "weight_sum": None,
                "lr_max": None,
                "scheduled_lr": None,
            },
        )
