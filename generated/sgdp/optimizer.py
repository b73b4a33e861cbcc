# Generated from specs/sgdp.yaml by thetac 0.1.0; do not edit.
"""SGDP: its documentation, its constructor, and what the runtime has to know of it."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac.runtime.optimizer import Optimizer
from thetac.runtime.schema import Hyperparameter, Interval, Requirement, Schema, Specialisation, State


class SGDP(Optimizer):
    """SGD that leaves out the part of a step that only makes a scale-invariant parameter longer.

    Each step does this to every parameter::

        if maximize:
          grad = -grad  # maximize
        momentum_buffer = momentum * momentum_buffer + (1 - dampening) * grad
        perturb = momentum_buffer
        if nesterov:
          perturb = grad + momentum * momentum_buffer
        if rank(param) > 1:
          cosine = abs(sum(grad * param)) / (maximum(norm(grad), eps) * maximum(norm(param), eps))
          unit = param / (norm(param) + eps)
          tangent = perturb - unit * sum(unit * perturb)
          is_flat = cosine < delta / sqrt(size(param))
          projected = where(is_flat, tangent, perturb)
          ratio = where(is_flat, wd_ratio, 1)
          row_cosine = abs(sum(grad * param, axis=-1)) / (maximum(norm(grad, axis=-1), eps) *
              maximum(norm(param, axis=-1), eps))
          row_unit = param / (norm(param, axis=-1) + eps)
          row_tangent = perturb - row_unit * sum(row_unit * perturb, axis=-1)
          is_row_flat = max(row_cosine) < delta / sqrt(columns(param))
          projected = where(is_row_flat, row_tangent, projected)
          ratio = where(is_row_flat, wd_ratio, ratio)
          perturb = projected
          if not nesterov:
            momentum_buffer = projected
          if weight_decay > 0:
            param = param * (1 - lr * weight_decay * ratio / (1 - momentum))
        elif weight_decay > 0:
          param = param * (1 - lr * weight_decay / (1 - momentum))
        param = param - lr * perturb

    Args:
        params: parameters, or groups of them, to optimize
        lr (float or Tensor, default: 0.1, lr >= 0): learning rate
        momentum (float, default: 0, momentum in [0, 1)): momentum factor
        dampening (float, default: 0): dampening for momentum
        weight_decay (float, default: 0, weight_decay >= 0): each step takes away lr * weight_decay / (1
            - momentum) of the parameter, times wd_ratio if it is scale-invariant
        nesterov (bool, default: False): step along the gradient plus momentum times the new buffer
        eps (float, default: 1e-08, eps >= 0): term added to norms for numerical stability
        delta (float, default: 0.1, delta >= 0): a cosine below delta / sqrt(n) is nearly orthogonal
        wd_ratio (float, default: 0.1, wd_ratio >= 0): factor of the decay of scale-invariant parameters
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

    State of a parameter, in float32 4 bytes per element:
        momentum_buffer: decaying sum of gradients; like the parameter, at first 0

    Half precision:
        - float16 and bfloat16 parameters are computed in float32, and results rounded once.

    Notes:
        - A parameter is taken for scale-invariant where its gradient is nearly orthogonal to it: in
          each of its channels, or as a whole.
        - Channels run along the first axis, whatever the number of axes.
        - Without nesterov, what is left out of a step is left out of the momentum, too, as in the
          authors' code; in the paper it is not.
        - The first gradient enters the buffer dampened, unlike in torch's SGD.
        - lr has no default in the authors' code; 0.1 is that of their README.

    References:
        - Heo et al., AdamP: Slowing Down the Slowdown for Momentum Optimizers on Scale-invariant
          Weights, ICLR 2021, arXiv:2006.08217
        - clovaai/AdamP, adamp/sgdp.py of version 0.3.0 (the authors' code)

    Example::

        optimizer = SGDP(model.parameters())
        loss(model(input), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    """

    schema: ClassVar[Schema] = Schema(
        contract=1,
        name="SGDP",
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
                "momentum",
                elements=("momentum",),
                intervals=(Interval(0.0, 1.0, True, False),),
                is_tuple=False,
                tensor=False,
                error="Invalid momentum value: {value}",
            ),
            Hyperparameter(
                "dampening",
                elements=("dampening",),
                intervals=(None,),
                is_tuple=False,
                tensor=False,
                error="Invalid dampening value: {value}",
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
                "delta",
                elements=("delta",),
                intervals=(Interval(0.0, float("inf"), True, True),),
                is_tuple=False,
                tensor=False,
                error="Invalid delta value: {value}",
            ),
            Hyperparameter(
                "wd_ratio",
                elements=("wd_ratio",),
                intervals=(Interval(0.0, float("inf"), True, True),),
                is_tuple=False,
                tensor=False,
                error="Invalid wd_ratio value: {value}",
            ),
        ),
        flags=("nesterov",),
        states=(
            State(
                "momentum_buffer",
                argument="momentum_buffers",
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
            Specialisation("nesterov", holds=lambda group: group["nesterov"]),
            Specialisation("param_rank_above_one", holds_for=lambda group, shape: shape["rank"] > 1),
            Specialisation("weight_decay_positive", holds=lambda group: group["weight_decay"] > 0),
        ),
        options=("maximize", "foreach", "capturable", "differentiable", "fused", "clip_grad_norm"),
        half_precision="float32",
        refusable=("lr", "momentum", "dampening", "eps"),
        sparse="unsupported",
        sparse_error="SGDP does not support sparse gradients",
        decays_gradient=lambda group: False,
        state_at_construction=False,
        foreach_temporaries=7,
        traffic=lambda known: {
            "param": 2 + 2 * known["param_rank_above_one"],
            "grad": 1 + 2 * known["param_rank_above_one"],
            "momentum_buffer": 2 + known["param_rank_above_one"],
        },
        has_axes=True,
        view="matrix",
        shape_numbers=("rank", "size", "matrix_columns"),
        shape_conditions=("rank",),
        reduces=True,
        complex_error="SGDP does not support complex parameters",
    )

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 0.1,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        eps: float = 1e-08,
        delta: float = 0.1,
        wd_ratio: float = 0.1,
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
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
                "eps": eps,
                "delta": delta,
                "wd_ratio": wd_ratio,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "clip_grad_norm": clip_grad_norm,
            },
        )
