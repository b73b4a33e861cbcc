# Generated from specs/stable_adamw.yaml by thetac 0.1.0; do not edit.
"""StableAdamW: its documentation, its constructor, and what the runtime has to know of it."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac.runtime.optimizer import Optimizer
from thetac.runtime.schema import DerivedFlag, Hyperparameter, Interval, Requirement, Schema, Specialisation, State
from thetac.runtime.tensors import plain_number


class StableAdamW(Optimizer):
    """AdamW whose rate falls, for each parameter, where gradients are larger than expected.

    Each step (`step` is 1 in the first) does this to every parameter::

        if maximize:
          grad = -grad  # maximize
        beta1_hat = beta1 * (1 - beta1 ** (step - 1)) / (1 - beta1 ** step)
        beta2_hat = beta2 * (1 - beta2 ** (step - 1)) / (1 - beta2 ** step)
        exp_avg = lerp(exp_avg, grad, 1 - beta1_hat)
        exp_avg_sq = beta2_hat * exp_avg_sq + (1 - beta2_hat) * grad * grad
        spread = sqrt(mean(grad * grad / maximum(exp_avg_sq, eps * eps)))
        rate = lr / maximum(spread, 1)
        if weight_decay != 0:
          if decouple_lr:
            highest = where(max_lr > 0, max_lr, start_lr)
            param = param * (1 - rate / where(highest > 0, highest, inf) * weight_decay)
          else:
            param = param * (1 - rate * weight_decay)
        param = param - rate * exp_avg / (sqrt(exp_avg_sq) + eps)

    Args:
        params: parameters, or groups of them, to optimize
        lr (float or Tensor, default: 0.001, lr >= 0): learning rate
        betas (tuple of 2, float, default: (0.9, 0.99), each in [0, 1)): coefficients of the running
            averages
        weight_decay (float, default: 0.01, weight_decay >= 0): each step takes away lr * weight_decay
            of the parameter, or lr / max_lr * weight_decay if decouple_lr
        eps (float, default: 1e-06, eps >= 0): term added to the denominator for numerical stability
        decouple_lr (bool, default: False): decay does not depend on the size of lr, only on its
            schedule
        max_lr (float or None, default: None, max_lr >= 0): the largest lr of the schedule, for
            decouple_lr; None or 0 is the lr of the constructor; None stands for 0
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
        exp_avg_sq: running average of the squared gradient; like the parameter, at first 0

    Numbers in the parameter groups that no argument sets:
        start_lr: the lr that the constructor was given

    Half precision:
        - float16 and bfloat16 parameters are computed in float32, and results rounded once.

    Notes:
        - A group that is made with an lr of its own starts from that; in the source from the lr of the
          constructor.
        - The betas are corrected instead of the moments: beta * (1 - beta ** (step - 1)) / (1 - beta **
          step) takes the place of beta.
        - Decay is multiplied by the lowered rate, as in the source.
        - optimi counts the steps of a group; here each parameter counts its own, so that one whose
          first gradient comes late starts as all others did.
        - lr has no default in optimi; kahan_sum and gradient_release are left out, and so are complex
          parameters.

    References:
        - Wortsman et al., Stable and Low-Precision Training for Large-Scale Vision-Language Models,
          NeurIPS 2023, Algorithm 2, arXiv:2304.13013
        - warner-benjamin/optimi, stableadamw.py of torch-optimi 0.3.3 (the source)

    Example::

        optimizer = StableAdamW(model.parameters())
        loss(model(input), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    """

    schema: ClassVar[Schema] = Schema(
        contract=1,
        name="StableAdamW",
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
                "eps",
                elements=("eps",),
                intervals=(Interval(0.0, float("inf"), True, True),),
                is_tuple=False,
                tensor=False,
                error="Invalid epsilon value: {value}",
            ),
            Hyperparameter(
                "max_lr",
                elements=("max_lr",),
                intervals=(Interval(0.0, float("inf"), True, True),),
                is_tuple=False,
                tensor=False,
                error="Invalid max_lr value: {value}",
                none=(0.0,),
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
        flags=("decouple_lr",),
        derived=(
            DerivedFlag("max_lr_is_none", holds=lambda group: (group["max_lr"] is None)),
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
        ),
        requirements=(
        ),
        specialisations=(
            Specialisation("maximize", holds=lambda group: group.get("maximize", False)),
            Specialisation("weight_decay_nonzero", holds=lambda group: group["weight_decay"] != 0),
            Specialisation("decouple_lr", holds=lambda group: group["decouple_lr"]),
        ),
        options=("maximize", "foreach", "capturable", "differentiable", "fused", "clip_grad_norm"),
        half_precision="float32",
        refusable=("beta1", "beta2", "eps"),
        sparse="unsupported",
        sparse_error="StableAdamW does not support sparse gradients",
        decays_gradient=lambda group: False,
        state_at_construction=False,
        foreach_temporaries=1,
        traffic=lambda known: {
            "param": 2,
            "grad": 1,
            "exp_avg": 3,
            "exp_avg_sq": 3,
        },
        reread=("exp_avg", "exp_avg_sq"),
        shape_numbers=("size",),
        reduces=True,
        complex_error="StableAdamW does not support complex parameters",
    )

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 0.001,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.01,
        eps: float = 1e-06,
        decouple_lr: bool = False,
        max_lr: float | None = None,
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
                "eps": eps,
                "decouple_lr": decouple_lr,
                "max_lr": max_lr,
                "start_lr": plain_number(lr),
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "clip_grad_norm": clip_grad_norm,
            },
        )
