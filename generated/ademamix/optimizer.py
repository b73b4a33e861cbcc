# Generated from specs/ademamix.yaml by thetac 0.1.0; do not edit.
"""AdEMAMix: its documentation, its constructor, and what the runtime has to know of it."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac.runtime.optimizer import Optimizer
from thetac.runtime.schema import Hyperparameter, Interval, Requirement, Schema, Specialisation, State


class AdEMAMix(Optimizer):
    """Adam with a second, much slower running mean of the gradient mixed into its step.

    Each step (`step` is 1 in the first) does this to every parameter::

        if maximize:
          grad = -grad                             # maximize
        if weight_decay != 0:
          param = param * (1 - lr * weight_decay)  # weight decay
        slow_weight = alpha
        if step < alpha_warmup:
          slow_weight = step / alpha_warmup * alpha
        slow_decay = beta3
        if step < beta3_warmup:
          half_life_begin = log(0.5) / log(beta1 + 1e-08) - 1
          half_life_end = log(0.5) / log(beta3 + 1e-08) - 1
          half_life = (1 - step / beta3_warmup) * half_life_begin + step / beta3_warmup * half_life_end
          slow_decay = 0.5 ** (1 / (half_life + 1))
        fast = grad
        if beta1 != 0:
          exp_avg_fast = beta1 * exp_avg_fast + (1 - beta1) * grad
          fast = exp_avg_fast
        exp_avg_slow = slow_decay * exp_avg_slow + (1 - slow_decay) * grad
        exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
        denom = sqrt(exp_avg_sq) / sqrt(1 - beta2 ** step) + eps
        mix = fast / (1 - beta1 ** step) + slow_weight * exp_avg_slow
        param = param - lr * mix / denom

    Args:
        params: parameters, or groups of them, to optimize
        lr (float or Tensor, default: 0.001, lr >= 0): learning rate
        betas (tuple of 3, float, default: (0.9, 0.999, 0.9999), each in [0, 1)): decay of the fast
            mean, of the mean square, and of the slow mean
        alpha (float, default: 2, alpha >= 0): weight of the slow mean
        beta3_warmup (float, default: 0, beta3_warmup >= 0): steps until beta3 is reached
        alpha_warmup (float, default: 0, alpha_warmup >= 0): steps until alpha is reached
        eps (float, default: 1e-08, eps >= 0): term added to the denominator for numerical stability
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

    State of a parameter, in float32 8 bytes per element, 4 more if beta1 != 0:
        step: 0-d, the number of steps
        exp_avg_fast: fast running average of the gradient; like the parameter, at first 0, if beta1 !=
            0
        exp_avg_slow: slow running average of the gradient; like the parameter, at first 0
        exp_avg_sq: running average of the squared gradient; like the parameter, at first 0

    Half precision:
        - float16 and bfloat16 parameters are computed in float32, and results rounded once.

    Notes:
        - A warm-up of 0 steps stands for the authors' None: no warm-up. The paper names the lengths
          T_alpha and T_beta3.
        - beta3 warms up from beta1, linearly in its half-life; the half-life of beta is taken at beta +
          1e-8, as in the authors' code.
        - The slow mean is not corrected for its bias, as in the paper.
        - The authors' code adds weight_decay * param to the step; decaying the parameter first is the
          same up to rounding.

    References:
        - Pagliardini, Ablin and Grangier, The AdEMAMix Optimizer: Better, Faster, Older, ICLR 2025,
          Algorithm 1, arXiv:2409.03137
        - apple/ml-ademamix, pytorch/ademamix.py (the authors' code)

    Example::

        optimizer = AdEMAMix(model.parameters())
        loss(model(input), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    """

    schema: ClassVar[Schema] = Schema(
        contract=1,
        name="AdEMAMix",
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
                elements=("beta1", "beta2", "beta3"),
                intervals=(
                    Interval(0.0, 1.0, True, False), Interval(0.0, 1.0, True, False), Interval(0.0, 1.0, True, False)
                ),
                is_tuple=True,
                tensor=False,
                error="Invalid beta parameter at index {index}: {value}",
            ),
            Hyperparameter(
                "alpha",
                elements=("alpha",),
                intervals=(Interval(0.0, float("inf"), True, True),),
                is_tuple=False,
                tensor=False,
                error="Invalid alpha value: {value}",
            ),
            Hyperparameter(
                "beta3_warmup",
                elements=("beta3_warmup",),
                intervals=(Interval(0.0, float("inf"), True, True),),
                is_tuple=False,
                tensor=False,
                error="Invalid beta3_warmup value: {value}",
            ),
            Hyperparameter(
                "alpha_warmup",
                elements=("alpha_warmup",),
                intervals=(Interval(0.0, float("inf"), True, True),),
                is_tuple=False,
                tensor=False,
                error="Invalid alpha_warmup value: {value}",
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
                "exp_avg_fast",
                argument="exp_avg_fasts",
                kind="tensor",
                init=None,
                when=lambda group: group["betas"][0] != 0,
                on_param_device=False,
            ),
            State(
                "exp_avg_slow",
                argument="exp_avg_slows",
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
            Specialisation("beta1_nonzero", holds=lambda group: group["betas"][0] != 0),
        ),
        options=("maximize", "foreach", "capturable", "differentiable", "fused", "clip_grad_norm"),
        half_precision="float32",
        refusable=("lr", "beta1", "beta2"),
        sparse="unsupported",
        sparse_error="AdEMAMix does not support sparse gradients.",
        decays_gradient=lambda group: False,
        state_at_construction=False,
        foreach_temporaries=3,
        traffic=lambda known: {
            "param": 2,
            "grad": 1,
            "exp_avg_fast": 2 * known["beta1_nonzero"],
            "exp_avg_slow": 2,
            "exp_avg_sq": 2,
        },
    )

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 0.001,
        betas: tuple[float, float, float] = (0.9, 0.999, 0.9999),
        alpha: float = 2,
        beta3_warmup: float = 0,
        alpha_warmup: float = 0,
        eps: float = 1e-08,
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
                "betas": betas,
                "alpha": alpha,
                "beta3_warmup": beta3_warmup,
                "alpha_warmup": alpha_warmup,
                "eps": eps,
                "weight_decay": weight_decay,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "clip_grad_norm": clip_grad_norm,
            },
        )
