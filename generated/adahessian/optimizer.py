# Generated from specs/adahessian.yaml by thetac 0.1.0; do not edit.
"""AdaHessian: its documentation, its constructor, and what the runtime has to know of it."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac.runtime.drivers.curvature import Curvature
from thetac.runtime.schema import Hyperparameter, Interval, Requirement, Schema, Specialisation, State


class AdaHessian(Curvature):
    """Adam whose second moment is of the Hessian's diagonal, estimated with random probes.

    Each step (`step` is 1 in the first) does this to every parameter::

        if maximize:
          grad = -grad          # maximize
        exp_avg = beta1 * exp_avg + (1 - beta1) * grad
        correction = sqrt(1 - beta2 ** step)
        curvature = sqrt(exp_hessian_diag_sq)
        if hessian_power != 1:  # a power takes much more than all the rest
          correction = correction ** hessian_power
          curvature = curvature ** hessian_power
        rate = lr / (1 - beta1 ** step)
        param = param - (rate * exp_avg / (curvature / correction + eps) + lr * weight_decay * param)

    `estimate`, which updates states from another gradient than that of the step, does this::

        if maximize:
          grad = -grad  # maximize
        if rank(param) == 4:
          of_kernel = mean(mean(abs(grad), axis=-1), axis=-2)
          exp_hessian_diag_sq = beta2 * exp_hessian_diag_sq + (1 - beta2) * of_kernel * of_kernel
        else:
          exp_hessian_diag_sq = beta2 * exp_hessian_diag_sq + (1 - beta2) * grad * grad

    Args:
        params: parameters, or groups of them, to optimize
        lr (float or Tensor, default: 0.15, lr >= 0): learning rate
        betas (tuple of 2, float, default: (0.9, 0.999), each in [0, 1)): coefficients of the running
            averages
        eps (float, default: 0.0001, eps >= 0): term added to the denominator for numerical stability
        weight_decay (float, default: 0, weight_decay >= 0): lr * weight_decay * param is subtracted
            from the parameter
        hessian_power (float, default: 1, hessian_power in [0, 1]): power of the root of the second
            moment that divides the step
        update_each (int, default: 1, update_each >= 1 and finite): steps from one estimate of the
            Hessian to the next
        seed (int, default: 0, seed >= 0 and finite): what the random probes of the Hessian follow from
        maximize (bool, default: False): maximize the objective instead of minimizing it
        foreach (bool or None, default: None): work on lists of tensors; by default where that is the
            fastest that fits
        capturable (bool, default: False): keep step counts on the device, so that a step can be
            captured in a CUDA graph
        fused (bool or None, default: None): do a whole step in one kernel: Triton on a GPU, C++ on a
            CPU; by default where that fits
        differentiable (bool, default: False): let autograd run through the step
        clip_grad_norm (float or None, default: None): scale gradients down to this global norm within
            the step; the gradients themselves stay as they are

    Raises:
        ValueError: params is empty; a hyperparameter is NaN or out of its range
        TypeError: params holds something other than tensors, or a hyperparameter is not a number
        RuntimeError: fused is combined with foreach or differentiable

    State of a parameter, in float32 8 bytes per element:
        step: 0-d, the number of steps
        exp_avg: running mean of gradients; like the parameter, at first 0
        exp_hessian_diag_sq: running mean of squares of the Hessian's diagonal; like the parameter, at
            first 0

    Half precision:
        - float16 and bfloat16 parameters are computed in float32, and results rounded once.

    Notes:
        - The Hessian's diagonal is averaged over the kernel of a convolution in two dimensions, as in
          the source; the paper averages over blocks of other parameters, too.
        - With update_each above 1 the second moment stays as it is between estimates; its bias
          correction counts all steps.
        - Probes follow from seed and the number of the step, and are the same on all processes; the
          source draws them from torch's generator.
        - Decay multiplies lr * weight_decay with the parameter before the step, as in the source.

    References:
        - Yao, Gholami, Shen, Mustafa, Keutzer and Mahoney, ADAHESSIAN: An Adaptive Second Order
          Optimizer for Machine Learning, AAAI 2021, arXiv:2006.00719
        - amirgholami/adahessian, image_classification/optim_adahessian.py (the source)

    Example::

        optimizer = AdaHessian(model.parameters())
        loss(model(input), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    """

    schema: ClassVar[Schema] = Schema(
        contract=1,
        name="AdaHessian",
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
                "hessian_power",
                elements=("hessian_power",),
                intervals=(Interval(0.0, 1.0, True, True),),
                is_tuple=False,
                tensor=False,
                error="Invalid hessian_power value: {value}",
            ),
            Hyperparameter(
                "update_each",
                elements=("update_each",),
                intervals=(Interval(1.0, float("inf"), True, False),),
                is_tuple=False,
                tensor=False,
                error="Invalid update_each value: {value}",
                integer=True,
            ),
            Hyperparameter(
                "seed",
                elements=("seed",),
                intervals=(Interval(0.0, float("inf"), True, False),),
                is_tuple=False,
                tensor=False,
                error="Invalid seed value: {value}",
                integer=True,
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
                "exp_hessian_diag_sq",
                argument="exp_hessian_diag_sqs",
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
            Specialisation("hessian_power_not_one", holds=lambda group: group["hessian_power"] != 1),
        ),
        options=("maximize", "foreach", "capturable", "fused"),
        half_precision="float32",
        refusable=("lr", "beta1", "weight_decay", "hessian_power"),
        sparse="unsupported",
        sparse_error="AdaHessian does not support sparse gradients",
        decays_gradient=lambda group: False,
        state_at_construction=False,
        foreach_temporaries=4,
        traffic=lambda known: {
            "param": 2,
            "grad": 1,
            "exp_avg": 2,
            "exp_hessian_diag_sq": 1,
        },
        uniform=("seed", "update_each", "steps_taken"),
        counts_steps=True,
        complex_error="AdaHessian does not support complex parameters",
        pieces=("estimate",),
    )

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 0.15,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 0.0001,
        weight_decay: float = 0,
        hessian_power: float = 1,
        update_each: int = 1,
        seed: int = 0,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        fused: bool | None = None,
        differentiable: bool = False,
        clip_grad_norm: float | None = None,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "hessian_power": hessian_power,
                "update_each": update_each,
                "seed": seed,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "clip_grad_norm": clip_grad_norm,
            },
        )
