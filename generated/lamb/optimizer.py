# Generated from specs/lamb.yaml by thetac 0.1.0; do not edit.
"""LAMB: its documentation, its constructor, and what the runtime has to know of it."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac.runtime.optimizer import Optimizer
from thetac.runtime.schema import DerivedFlag, Hyperparameter, Interval, Requirement, Schema, Specialisation, State
from thetac.runtime.tensors import plain_number


class LAMB(Optimizer):
    """Adam whose step has the norm of each parameter, for training with large batches.

    Each step (`step` is 1 in the first) does this to every parameter::

        if maximize:
          grad = -grad                                               # maximize
        if weight_decay != 0:
          if decoupled_decay and corrected_weight_decay:
            if lr != 0:
              param = param * (1 - lr ** 2 / max_lr * weight_decay)  # weight decay
          elif decoupled_decay:
            param = param * (1 - lr * weight_decay)                  # weight decay
        if grad_averaging:
          exp_avg = lerp(exp_avg, grad, 1 - beta1)
        else:
          exp_avg = beta1 * exp_avg + grad
        exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
        if bias_correction:
          bias_correction1 = 1 - beta1 ** step
          scale = bias_correction1 / sqrt(1 - beta2 ** step)
          denom = sqrt(exp_avg_sq) * scale + bias_correction1 * eps
          direction = exp_avg / denom
        else:
          direction = exp_avg / (sqrt(exp_avg_sq) + eps)
        if weight_decay != 0 and not decoupled_decay:
          direction = direction + weight_decay * param
        if weight_decay != 0 or always_adapt:
          trust_ratio = where(norm(param) > 0 and norm(direction) > 0, norm(param) / norm(direction), 1)
          if trust_clip:
            trust_ratio = minimum(trust_ratio, 1)
          direction = trust_ratio * direction
        param = param - lr * direction

    Args:
        params: parameters, or groups of them, to optimize
        lr (float or Tensor, default: 0.001, lr >= 0): learning rate
        bias_correction (bool, default: True): divide both moments by what their weights add up to
        betas (tuple of 2, float, default: (0.9, 0.999), each in [0, 1)): coefficients of the running
            averages
        eps (float, default: 1e-06, eps >= 0): term added to the denominator for numerical stability
        weight_decay (float, default: 0.01, weight_decay >= 0): weight_decay * param is added to the
            direction; with decoupled_decay, each step takes away lr * weight_decay of the parameter
        grad_averaging (bool, default: True): the first moment is an average of gradients instead of a
            decaying sum
        trust_clip (bool, default: False): the ratio of norms is at most 1 (LAMBC)
        always_adapt (bool, default: False): scale the step also where weight_decay is 0
        decoupled_decay (bool, default: False): decay the parameter, not the direction
        corrected_weight_decay (bool, default: False): with decoupled_decay, multiply the decay by lr /
            max_lr
        max_lr (float or None, default: None, max_lr > 0): the largest lr of the schedule, for
            corrected_weight_decay; None stands for where(start_lr > 0, start_lr, lr)
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
        - The authors' code is this with bias_correction=False, always_adapt=True and weight_decay=0;
          the paper's Algorithm 2 corrects the bias. Arguments and defaults are timm's.
        - The authors exclude parameters from decay and adaptation by their names; here a parameter
          group with weight_decay=0 and always_adapt=False is.
        - timm divides gradients by their global norm where it is above max_grad_norm=1.0; here
          clip_grad_norm=1.0 does, which is off by default and adds 1e-6 to the norm, as torch does.
        - timm's caution is the feature cautious.
        - max_lr is an argument here; timm has no other than the lr of the constructor, also in groups
          with an lr of their own. With lr=0 there, decay is not corrected; timm divides by 0.
        - timm counts the steps of a group; here each parameter counts its own, so that one whose first
          gradient comes late starts as all others did.

    References:
        - You et al., Large Batch Optimization for Deep Learning: Training BERT in 76 minutes, ICLR
          2020, Algorithm 2, arXiv:1904.00962
        - google-research/albert, lamb_optimizer.py (the authors' code)
        - huggingface/pytorch-image-models, timm/optim/lamb.py (the arguments)

    Example::

        optimizer = LAMB(model.parameters())
        loss(model(input), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    """

    schema: ClassVar[Schema] = Schema(
        contract=1,
        name="LAMB",
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
                "max_lr",
                elements=("max_lr",),
                intervals=(Interval(0.0, float("inf"), False, True),),
                is_tuple=False,
                tensor=False,
                error="Invalid max_lr value: {value}",
                none=(1.0,),
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
        flags=(
            "bias_correction",
            "grad_averaging",
            "trust_clip",
            "always_adapt",
            "decoupled_decay",
            "corrected_weight_decay",
        ),
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
            Specialisation("decoupled_decay", holds=lambda group: group["decoupled_decay"]),
            Specialisation("corrected_weight_decay", holds=lambda group: group["corrected_weight_decay"]),
            Specialisation("grad_averaging", holds=lambda group: group["grad_averaging"]),
            Specialisation("bias_correction", holds=lambda group: group["bias_correction"]),
            Specialisation("always_adapt", holds=lambda group: group["always_adapt"]),
            Specialisation("trust_clip", holds=lambda group: group["trust_clip"]),
        ),
        options=("maximize", "foreach", "capturable", "differentiable", "fused", "clip_grad_norm"),
        half_precision="float32",
        refusable=("lr", "beta1", "beta2", "weight_decay"),
        sparse="unsupported",
        sparse_error="LAMB does not support sparse gradients",
        decays_gradient=lambda group: False,
        state_at_construction=False,
        foreach_temporaries=4,
        traffic=lambda known: {
            "param": 2 + (known["always_adapt"] or known["weight_decay_nonzero"]),
            "grad": 1,
            "exp_avg": 3,
            "exp_avg_sq": 3,
        },
        reread=("exp_avg", "exp_avg_sq"),
        separate_kernels=True,
        reduces=True,
    )

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 0.001,
        bias_correction: bool = True,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-06,
        weight_decay: float = 0.01,
        grad_averaging: bool = True,
        trust_clip: bool = False,
        always_adapt: bool = False,
        decoupled_decay: bool = False,
        corrected_weight_decay: bool = False,
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
                "bias_correction": bias_correction,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "grad_averaging": grad_averaging,
                "trust_clip": trust_clip,
                "always_adapt": always_adapt,
                "decoupled_decay": decoupled_decay,
                "corrected_weight_decay": corrected_weight_decay,
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
