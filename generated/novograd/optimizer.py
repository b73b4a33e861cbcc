# Generated from specs/novograd.yaml by thetac 0.1.0; do not edit.
"""NovoGrad: its documentation, its constructor, and what the runtime has to know of it."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac.runtime.optimizer import Optimizer
from thetac.runtime.schema import Hyperparameter, Interval, Requirement, Schema, Specialisation, State


class NovoGrad(Optimizer):
    """SGD with momentum of gradients that are divided by a running average of their norm.

    Each step does this to every parameter::

        if maximize:
          grad = -grad  # maximize
        squared_norm = dot(grad, grad)
        grads_ema = where(grads_ema == 0, squared_norm, beta2 * grads_ema + (1 - beta2) * squared_norm)
        direction = grad / sqrt(grads_ema + eps)
        if weight_decay > 0:
          direction = direction + weight_decay * param
        if grad_averaging:
          direction = (1 - beta1) * direction
        momentum_buffer = beta1 * momentum_buffer + direction
        param = param - lr * momentum_buffer

    Args:
        params: parameters, or groups of them, to optimize
        lr (float or Tensor, default: 1.0, lr >= 0): learning rate
        betas (tuple of 2, float, default: (0.95, 0.98), each in [0, 1)): coefficients of the momentum
            and of the running average of squared norms
        eps (float, default: 1e-08, eps >= 0): term added to the squared norm for numerical stability
        weight_decay (float, default: 0.0, weight_decay >= 0): weight_decay * param is added to the
            divided gradient
        grad_averaging (bool, default: False): the momentum is an average instead of a decaying sum
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
        grads_ema: running average of the gradient's squared norm; 0-d, a number on the parameter's
            device, at first 0
        momentum_buffer: decaying sum of divided gradients; like the parameter, at first 0

    Half precision:
        - float16 and bfloat16 parameters are computed in float32, and results rounded once.

    Notes:
        - eps is added to the average of squared norms before the root is taken, as in the authors'
          code; NVIDIA's later PyTorch code, timm and optax add it to the root.
        - The average starts from the first squared norm, and anew where it is 0, as in the authors'
          code.
        - The authors' learning_rate, beta1 and beta2, epsilon are called lr, betas, eps.
        - The amsgrad of NVIDIA's PyTorch code is left out.

    References:
        - Ginsburg et al., Stochastic Gradient Methods with Layer-wise Adaptive Moments for Training of
          Deep Networks, arXiv:1905.11286
        - NVIDIA/OpenSeq2Seq, open_seq2seq/optimizers/novograd.py, NovoGrad2 (the authors' code)

    Example::

        optimizer = NovoGrad(model.parameters())
        loss(model(input), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    """

    schema: ClassVar[Schema] = Schema(
        contract=1,
        name="NovoGrad",
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
        flags=("grad_averaging",),
        states=(
            State(
                "grads_ema",
                argument="grads_emas",
                kind="number",
                init=None,
                when=None,
                on_param_device=False,
            ),
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
            Specialisation("weight_decay_positive", holds=lambda group: group["weight_decay"] > 0),
            Specialisation("grad_averaging", holds=lambda group: group["grad_averaging"]),
        ),
        options=("maximize", "foreach", "capturable", "differentiable", "fused", "clip_grad_norm"),
        half_precision="float32",
        refusable=("lr", "weight_decay"),
        sparse="unsupported",
        sparse_error="NovoGrad does not support sparse gradients",
        decays_gradient=lambda group: False,
        state_at_construction=False,
        foreach_temporaries=2,
        traffic=lambda known: {
            "param": 2,
            "grad": 2,
            "momentum_buffer": 2,
            "grads_ema": 2,
        },
        reduces=True,
    )

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1.0,
        betas: tuple[float, float] = (0.95, 0.98),
        eps: float = 1e-08,
        weight_decay: float = 0.0,
        grad_averaging: bool = False,
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
                "grad_averaging": grad_averaging,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "clip_grad_norm": clip_grad_norm,
            },
        )
