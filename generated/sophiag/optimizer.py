# Generated from specs/sophia_g.yaml by thetac 0.1.0; do not edit.
"""SophiaG: its documentation, its constructor, and what the runtime has to know of it."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac.runtime.drivers.entry import Entry
from thetac.runtime.schema import Hyperparameter, Interval, Requirement, Schema, Specialisation, State


class SophiaG(Entry):
    """Signs of the mean gradient, smaller where gradients of sampled labels are large.

    Each step (`step` is 1 in the first) does this to every parameter::

        if maximize:
          grad = -grad                             # maximize
        if weight_decay != 0:
          param = param * (1 - lr * weight_decay)  # weight decay
        exp_avg = beta1 * exp_avg + (1 - beta1) * grad
        ratio = minimum(abs(exp_avg) / (rho * bs * hessian + 1e-15), 1)
        param = param - lr * sign(exp_avg) * ratio

    `estimate`, which updates states from another gradient than that of the step, does this::

        if maximize:
          grad = -grad  # maximize
        hessian = beta2 * hessian + (1 - beta2) * grad * grad

    Args:
        params: parameters, or groups of them, to optimize
        lr (float or Tensor, default: 0.0001, lr >= 0): learning rate
        betas (tuple of 2, float, default: (0.965, 0.99), each in [0, 1)): coefficients of the running
            averages
        rho (float, default: 0.04, rho >= 0): the larger it is, the fewer elements move by all of lr
        weight_decay (float, default: 0.1, weight_decay >= 0): each step takes away lr * weight_decay of
            the parameter
        bs (float, default: 5120, bs > 0 and finite): elements of a batch, such as tokens
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
        hessian: running mean of squares of gradients of sampled labels; like the parameter, at first 0

    Half precision:
        - float16 and bfloat16 parameters are computed in float32, and results rounded once.

    Notes:
        - Every ten steps or so, take the gradient of the loss on labels that the model itself has
          drawn, and call update_hessian().
        - bs is the number of tokens of a batch; in the source it is an argument of step.
        - lr is the paper's lr times its rho, as in the source.
        - The mean gradient has no bias correction, as in the source.

    References:
        - Liu, Li, Hall, Liang and Ma, Sophia: A Scalable Stochastic Second-order Optimizer for Language
          Model Pre-training, ICLR 2024, arXiv:2305.14342
        - Liuhong99/Sophia, sophia.py (the source), and the package sophia-opt 0.2.2

    Example::

        optimizer = SophiaG(model.parameters())
        loss(model(input), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    """

    schema: ClassVar[Schema] = Schema(
        contract=1,
        name="SophiaG",
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
                "rho",
                elements=("rho",),
                intervals=(Interval(0.0, float("inf"), True, True),),
                is_tuple=False,
                tensor=False,
                error="Invalid rho value: {value}",
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
                "bs",
                elements=("bs",),
                intervals=(Interval(0.0, float("inf"), False, False),),
                is_tuple=False,
                tensor=False,
                error="Invalid bs value: {value}",
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
                "hessian",
                argument="hessians",
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
        ),
        options=("maximize", "foreach", "capturable", "fused"),
        half_precision="float32",
        refusable=("lr", "beta1"),
        sparse="unsupported",
        sparse_error="SophiaG does not support sparse gradients",
        decays_gradient=lambda group: False,
        state_at_construction=False,
        foreach_temporaries=4,
        traffic=lambda known: {
            "param": 2,
            "grad": 1,
            "exp_avg": 2,
            "hessian": 1,
        },
        pieces=("estimate",),
    )

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 0.0001,
        betas: tuple[float, float] = (0.965, 0.99),
        rho: float = 0.04,
        weight_decay: float = 0.1,
        bs: float = 5120,
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
                "rho": rho,
                "weight_decay": weight_decay,
                "bs": bs,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "clip_grad_norm": clip_grad_norm,
            },
        )

    def update_hessian(self) -> None:
        """Run `estimate` on the gradients that there are, outside of a step.

        Everything that can be checked is checked before the first write.
        """
        self.run_entry()
