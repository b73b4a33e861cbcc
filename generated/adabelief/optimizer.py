# Generated from specs/adabelief.yaml by thetac 0.1.0; do not edit.
"""AdaBelief: its documentation, its constructor, and what the runtime has to know of it."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac.runtime.optimizer import Optimizer
from thetac.runtime.schema import Hyperparameter, Interval, Requirement, Schema, Specialisation, State


class AdaBelief(Optimizer):
    """Adam that divides by how far gradients stray from their running mean, rectified like RAdam.

    Each step (`step` is 1 in the first) does this to every parameter::

        if maximize:
          grad = -grad                                                 # maximize
        if weight_decay != 0:
          if weight_decouple and fixed_decay:
            if lr != 0:
              param = param * (1 - weight_decay)                       # weight decay
          elif weight_decouple:
            param = param * (1 - lr * weight_decay)                    # weight decay
          else:
            grad = grad + weight_decay * param                         # weight decay
        exp_avg = beta1 * exp_avg + (1 - beta1) * grad
        surprise = grad - exp_avg                                      # what the mean did not predict
        exp_avg_var = beta2 * exp_avg_var + (1 - beta2) * surprise * surprise
        exp_avg_var = exp_avg_var + eps
        variance = exp_avg_var
        if amsgrad:
          max_exp_avg_var = maximum(max_exp_avg_var, exp_avg_var)
          variance = max_exp_avg_var
        bias_correction1 = 1 - beta1 ** step
        bias_correction2 = 1 - beta2 ** step
        if rectify:
          rho_inf = 2 / (1 - beta2) - 1                                # longest simple moving average
          rho = rho_inf - 2 * step * beta2 ** step / bias_correction2  # its length by now
          if rho >= 5:
            rect = sqrt(bias_correction2 * (rho - 4) / (rho_inf - 4) * (rho - 2) / rho * rho_inf /
                (rho_inf - 2))
            param = param - lr * rect / bias_correction1 * exp_avg / (sqrt(exp_avg_var) + eps)
          elif degenerated_to_sgd:
            param = param - lr / bias_correction1 * exp_avg
        else:
          param = param - lr / bias_correction1 * exp_avg / (sqrt(variance) / sqrt(bias_correction2) +
              eps)

    Args:
        params: parameters, or groups of them, to optimize
        lr (float or Tensor, default: 0.001, lr >= 0): learning rate
        betas (tuple of 2, float, default: (0.9, 0.999), each in [0, 1)): coefficients used for
            computing running averages of gradient and of its squared distance from that average
        eps (float, default: 1e-16, eps >= 0): term added to the denominator for numerical stability,
            and to exp_avg_var in every step
        weight_decay (float, default: 0, weight_decay >= 0): each step takes away weight_decay of the
            parameter if weight_decouple and fixed_decay, else each step takes away lr * weight_decay of
            the parameter if weight_decouple, else weight_decay * param is added to the gradient
        amsgrad (bool, default: False): use the maximum of all variances so far
        weight_decouple (bool, default: True): decay the parameter instead of adding to the gradient
        fixed_decay (bool, default: False): decoupled decay that is not multiplied by lr
        rectify (bool, default: True): scale the step by the variance of its denominator, as RAdam does
        degenerated_to_sgd (bool, default: True): while that variance is undefined, step along the mean
            gradient instead of not at all
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

    State of a parameter, in float32 8 bytes per element, 4 more if amsgrad:
        step: 0-d, the number of steps
        exp_avg: running average of the gradient; like the parameter, at first 0
        exp_avg_var: running average of the squared distance of gradients from exp_avg; like the
            parameter, at first 0
        max_exp_avg_var: maximum of all exp_avg_var so far; like the parameter, at first 0, if amsgrad

    Half precision:
        - float16 and bfloat16 parameters are computed in float32, and results rounded once.

    Notes:
        - eps is added twice, as in the paper and the authors' code: into exp_avg_var, where it
          accumulates, and to the root.
        - Rectification is not in the paper; its threshold 5 and its eps beside the uncorrected root are
          the authors' code's.
        - Where the rectified step is taken, amsgrad has no effect on it, as in the authors' code.
        - In the authors' code the order is decay, moments, step; fixed_decay decays by weight_decay
          itself, here unless lr is 0.
        - print_change_log, which prints at construction, is left out.

    References:
        - Zhuang et al., AdaBelief Optimizer, Adapting Stepsizes by the Belief in Observed Gradients,
          NeurIPS 2020, Algorithm 2, arXiv:2010.07468
        - juntang-zhuang/Adabelief-Optimizer, adabelief_pytorch 0.2.1 (the authors' code)

    Example::

        optimizer = AdaBelief(model.parameters())
        loss(model(input), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    """

    schema: ClassVar[Schema] = Schema(
        contract=1,
        name="AdaBelief",
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
        ),
        flags=("amsgrad", "weight_decouple", "fixed_decay", "rectify", "degenerated_to_sgd"),
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
                "exp_avg_var",
                argument="exp_avg_vars",
                kind="tensor",
                init=None,
                when=None,
                on_param_device=False,
            ),
            State(
                "max_exp_avg_var",
                argument="max_exp_avg_vars",
                kind="tensor",
                init=None,
                when=lambda group: group["amsgrad"],
                on_param_device=False,
            ),
        ),
        requirements=(
        ),
        specialisations=(
            Specialisation("maximize", holds=lambda group: group.get("maximize", False)),
            Specialisation("weight_decay_nonzero", holds=lambda group: group["weight_decay"] != 0),
            Specialisation("weight_decouple", holds=lambda group: group["weight_decouple"]),
            Specialisation("fixed_decay", holds=lambda group: group["fixed_decay"]),
            Specialisation("amsgrad", holds=lambda group: group["amsgrad"]),
            Specialisation("rectify", holds=lambda group: group["rectify"]),
            Specialisation("degenerated_to_sgd", holds=lambda group: group["degenerated_to_sgd"]),
        ),
        options=("maximize", "foreach", "capturable", "differentiable", "fused", "clip_grad_norm"),
        half_precision="float32",
        refusable=("lr", "beta1", "beta2", "weight_decay"),
        sparse="unsupported",
        sparse_error="AdaBelief does not support sparse gradients, please consider SparseAdam instead",
        decays_gradient=lambda group: (
            group["weight_decay"] != 0
            and not (group["weight_decouple"] and group["fixed_decay"])
            and not group["weight_decouple"]
        ),
        state_at_construction=False,
        foreach_temporaries=4,
        traffic=lambda known: {
            "param": 2,
            "grad": 1,
            "exp_avg": 2,
            "exp_avg_var": 2,
            "max_exp_avg_var": 2 * known["amsgrad"],
        },
    )

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-16,
        weight_decay: float = 0,
        amsgrad: bool = False,
        weight_decouple: bool = True,
        fixed_decay: bool = False,
        rectify: bool = True,
        degenerated_to_sgd: bool = True,
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
                "weight_decouple": weight_decouple,
                "fixed_decay": fixed_decay,
                "rectify": rectify,
                "degenerated_to_sgd": degenerated_to_sgd,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "clip_grad_norm": clip_grad_norm,
            },
        )
