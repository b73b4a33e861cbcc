# Generated from specs/lars.yaml by thetac 0.1.0; do not edit.
"""LARS: its documentation, its constructor, and what the runtime has to know of it."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac.runtime.optimizer import Optimizer
from thetac.runtime.schema import Hyperparameter, Interval, Requirement, Schema, Specialisation, State


class LARS(Optimizer):
    """SGD with momentum whose rate is the ratio of the norms of each parameter and its gradient.

    Each step does this to every parameter::

        if maximize:
          grad = -grad  # maximize
        direction = grad
        if weight_decay != 0 or always_adapt:
          trust_ratio = trust_coeff * norm(param) / (norm(grad) + weight_decay * norm(param) + eps)
          trust_ratio = where(norm(param) > 0 and norm(grad) > 0, trust_ratio, 1)
          if trust_clip:
            trust_ratio = minimum(trust_ratio / lr, 1)
          direction = trust_ratio * (grad + weight_decay * param)
        if momentum != 0:
          if first(momentum_buffer):
            momentum_buffer = direction
          else:
            momentum_buffer = momentum * momentum_buffer + (1 - dampening) * direction
          if nesterov:
            direction = direction + momentum * momentum_buffer
          else:
            direction = momentum_buffer
        param = param - lr * direction

    Args:
        params: parameters, or groups of them, to optimize
        lr (float or Tensor, default: 1.0, lr >= 0): learning rate
        momentum (float, default: 0, momentum >= 0): momentum factor
        dampening (float, default: 0): dampening for momentum
        weight_decay (float, default: 0, weight_decay >= 0): weight_decay * param is added to the
            gradient before the ratio scales it
        nesterov (bool, default: False): step along the gradient plus momentum times the new buffer
        trust_coeff (float, default: 0.001): factor of the ratio of norms
        eps (float, default: 1e-08): term added to the denominator for numerical stability
        trust_clip (bool, default: False): lr times the ratio is at most lr (LARC)
        always_adapt (bool, default: False): scale the gradient also where weight_decay is 0
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
        ValueError: params is empty; a hyperparameter is NaN or out of its range; "Nesterov momentum
            requires a momentum and zero dampening"
        TypeError: params holds something other than tensors, or a hyperparameter is not a number
        RuntimeError: fused is combined with foreach or differentiable

    State of a parameter, in float32 0 bytes per element, 4 more if momentum != 0:
        momentum_buffer: decaying sum of scaled gradients; like the parameter, at first 0, if momentum
            != 0

    Half precision:
        - float16 and bfloat16 parameters are computed in float32, and results rounded once.

    Notes:
        - The momentum is of gradients that the ratio of norms has scaled, and lr multiplies the step,
          as in timm; the paper's momentum holds lr, too.
        - Where weight_decay is 0, the rule is SGD unless always_adapt is set, as in timm: this is how
          parameter groups of biases and norms are left out.
        - The first gradient enters the buffer undampened, as in torch's SGD.

    References:
        - You, Gitman and Ginsburg, Large Batch Training of Convolutional Networks, arXiv:1708.03888
        - huggingface/pytorch-image-models, timm/optim/lars.py (the source)
        - NVIDIA/apex, apex/parallel/LARC.py (trust_clip)

    Example::

        optimizer = LARS(model.parameters())
        loss(model(input), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    """

    schema: ClassVar[Schema] = Schema(
        contract=1,
        name="LARS",
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
                intervals=(Interval(0.0, float("inf"), True, True),),
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
                "trust_coeff",
                elements=("trust_coeff",),
                intervals=(None,),
                is_tuple=False,
                tensor=False,
                error="Invalid trust_coeff value: {value}",
            ),
            Hyperparameter(
                "eps",
                elements=("eps",),
                intervals=(None,),
                is_tuple=False,
                tensor=False,
                error="Invalid epsilon value: {value}",
            ),
        ),
        flags=("nesterov", "trust_clip", "always_adapt"),
        states=(
            State(
                "momentum_buffer",
                argument="momentum_buffers",
                kind="tensor",
                init=None,
                when=lambda group: group["momentum"] != 0,
                on_param_device=False,
                first="first_momentum_buffer",
            ),
        ),
        requirements=(
            Requirement(
                holds=lambda group: not group["nesterov"] or group["momentum"] > 0 and group["dampening"] == 0,
                message="Nesterov momentum requires a momentum and zero dampening",
            ),
        ),
        specialisations=(
            Specialisation("maximize", holds=lambda group: group.get("maximize", False)),
            Specialisation("weight_decay_nonzero", holds=lambda group: group["weight_decay"] != 0),
            Specialisation("always_adapt", holds=lambda group: group["always_adapt"]),
            Specialisation("trust_clip", holds=lambda group: group["trust_clip"]),
            Specialisation("momentum_nonzero", holds=lambda group: group["momentum"] != 0),
            Specialisation("nesterov", holds=lambda group: group["nesterov"]),
        ),
        options=("maximize", "foreach", "capturable", "differentiable", "fused", "clip_grad_norm"),
        half_precision="float32",
        refusable=("lr", "momentum", "dampening", "weight_decay"),
        sparse="unsupported",
        sparse_error="LARS does not support sparse gradients",
        decays_gradient=lambda group: False,
        state_at_construction=False,
        foreach_temporaries=2,
        traffic=lambda known: {
            "param": 2 + (known["always_adapt"] or known["weight_decay_nonzero"]),
            "grad": 1 + (known["always_adapt"] or known["weight_decay_nonzero"]),
            "momentum_buffer": 2 * known["momentum_nonzero"],
        },
        reduces=True,
    )

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1.0,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        trust_coeff: float = 0.001,
        eps: float = 1e-08,
        trust_clip: bool = False,
        always_adapt: bool = False,
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
                "trust_coeff": trust_coeff,
                "eps": eps,
                "trust_clip": trust_clip,
                "always_adapt": always_adapt,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "clip_grad_norm": clip_grad_norm,
            },
        )
