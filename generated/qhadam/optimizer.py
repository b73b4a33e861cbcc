# Generated from specs/qhadam.yaml by thetac 0.1.0; do not edit.
"""QHAdam: its documentation, its constructor, and what the runtime has to know of it."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac.runtime.optimizer import Optimizer
from thetac.runtime.schema import Hyperparameter, Interval, Requirement, Schema, Specialisation, State


class QHAdam(Optimizer):
    """Adam whose moments are averaged with the plain gradient and its plain square.

    Each step does this to every parameter::

        if maximize:
          grad = -grad                               # maximize
        if weight_decay != 0:
          if decouple_weight_decay:
            param = param * (1 - lr * weight_decay)  # weight decay
          else:
            grad = grad + weight_decay * param       # weight decay
        beta1_weight = 1 + beta1 * beta1_weight
        beta2_weight = 1 + beta2 * beta2_weight
        square = grad * grad
        exp_avg = (1 - 1 / beta1_weight) * exp_avg + 1 / beta1_weight * grad
        exp_avg_sq = (1 - 1 / beta2_weight) * exp_avg_sq + 1 / beta2_weight * square
        avg_grad = nu1 * exp_avg + (1 - nu1) * grad
        avg_grad_rms = sqrt(nu2 * exp_avg_sq + (1 - nu2) * square) + eps
        param = param - lr * avg_grad / avg_grad_rms

    Args:
        params: parameters, or groups of them, to optimize
        lr (float or Tensor, default: 0.001, lr >= 0): learning rate
        betas (tuple of 2, float, default: (0.9, 0.999), each in [0, 1)): coefficients used for
            computing running averages of gradient and its square
        nus (tuple of 2, float, default: (1.0, 1.0)): weight of each moment against the plain gradient
            and its square
        weight_decay (float, default: 0, weight_decay >= 0): each step takes away lr * weight_decay of
            the parameter if decouple_weight_decay, else weight_decay * param is added to the gradient
        decouple_weight_decay (bool, default: False): decay the parameter instead of adding to the
            gradient
        eps (float, default: 1e-08, eps >= 0): term added to the denominator for numerical stability
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
        beta1_weight: sum of the weights in exp_avg; 0-d, a number, at first 0
        beta2_weight: sum of the weights in exp_avg_sq; 0-d, a number, at first 0
        exp_avg: running average of the gradient; like the parameter, at first 0
        exp_avg_sq: running average of the squared gradient; like the parameter, at first 0

    Half precision:
        - float16 and bfloat16 parameters are computed in float32, and results rounded once.

    Notes:
        - Bias is corrected by the weights of the running means, as in the authors' code: the same as
          dividing by 1 - beta ** step, also when betas change.
        - The weights are kept as tensors of the default dtype; the authors' code keeps Python floats.
        - eps is added to the root.
        - nus have no range, as in the authors' code.

    References:
        - Ma and Yarats, Quasi-hyperbolic Momentum and Adam for Deep Learning, ICLR 2019, section 5,
          arXiv:1810.06801
        - facebookresearch/qhoptim, qhoptim/pyt/qhadam.py (the authors' code)

    Example::

        optimizer = QHAdam(model.parameters())
        loss(model(input), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    """

    schema: ClassVar[Schema] = Schema(
        contract=1,
        name="QHAdam",
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
                "nus",
                elements=("nu1", "nu2"),
                intervals=(None, None),
                is_tuple=True,
                tensor=False,
                error="Invalid nus value at index {index}: {value}",
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
        ),
        flags=("decouple_weight_decay",),
        states=(
            State(
                "beta1_weight",
                argument="beta1_weights",
                kind="scalar",
                init=None,
                when=None,
                on_param_device=False,
            ),
            State(
                "beta2_weight",
                argument="beta2_weights",
                kind="scalar",
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
            Specialisation("decouple_weight_decay", holds=lambda group: group["decouple_weight_decay"]),
        ),
        options=("maximize", "foreach", "capturable", "differentiable", "fused", "clip_grad_norm"),
        half_precision="float32",
        refusable=("lr", "beta1", "beta2", "nu1", "nu2", "weight_decay"),
        sparse="unsupported",
        sparse_error="QHAdam does not support sparse gradients",
        decays_gradient=lambda group: group["weight_decay"] != 0 and not group["decouple_weight_decay"],
        state_at_construction=False,
        foreach_temporaries=4,
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
        lr: float | Tensor = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        nus: tuple[float, float] = (1.0, 1.0),
        weight_decay: float = 0,
        decouple_weight_decay: bool = False,
        eps: float = 1e-08,
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
                "nus": nus,
                "weight_decay": weight_decay,
                "decouple_weight_decay": decouple_weight_decay,
                "eps": eps,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "clip_grad_norm": clip_grad_norm,
            },
        )
