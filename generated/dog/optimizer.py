# Generated from specs/dog.yaml by thetac 0.1.0; do not edit.
"""DoG: its documentation, its constructor, and what the runtime has to know of it."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.optim.optimizer import ParamsT

from thetac.runtime.optimizer import Optimizer
from thetac.runtime.schema import (
    DerivedFlag, Hyperparameter, Interval, Requirement, Schema, Shared, Specialisation, State
)


class DoG(Optimizer):
    """Gradient descent whose rate is the distance from the start over the norm of all gradients.

    Each step does this to every parameter::

        if maximize:
          grad = -grad                        # maximize
        if weight_decay != 0:
          grad = grad + weight_decay * param  # weight decay
        initial = where(init_eta > 0, 0, reps_rel) * (1 + sqrt(group_total(sum(param * param))))
        moved = param - init_buffer
        distance = sqrt(group_total(sum(moved * moved)))
        rbar = where(k == 0, initial, maximum(rbar, distance))
        G = G + group_total(sum(grad * grad))
        eta = lr * rbar / sqrt(G)
        eta = where(k == 0 and init_eta > 0, init_eta, eta)
        k = k + 1
        param = param - eta * grad

    Args:
        params: parameters, or groups of them, to optimize
        reps_rel (float, default: 1e-06, reps_rel > 0 and finite): the first distance over 1 plus the
            norm of the parameters
        lr (float or Tensor, default: 1.0, lr >= 0 and finite): learning rate
        weight_decay (float, default: 0.0, weight_decay >= 0 and finite): weight_decay * param is added
            to the gradient
        eps (float, default: 1e-08, eps > 0 and finite): term added to the denominator for numerical
            stability
        init_eta (float or None, default: None, init_eta > 0 and finite): the first rate, in place of
            what follows from reps_rel; None stands for 0
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
        init_buffer: the parameter before the first step; like the parameter, at first the parameter

    Numbers in the parameter groups that steps write:
        rbar: a float of the group, 0 at first; the largest distance so far
        G: a float of the group, eps at first; the sum of squares of all gradients
        k: a float of the group, 0 at first; the number of steps

    Half precision:
        - float16 and bfloat16 parameters are computed in float32, and results rounded once.

    Notes:
        - The authors average the iterates: use `torch.optim.swa_utils.AveragedModel`, or their own
          averaging.
        - A parameter without a gradient does not count in a step. The authors' code raises an error
          then.
        - With `init_eta`, the authors' code sets `reps_rel` of the group to 0. Here `reps_rel` stays
          and is not read.

    References:
        - Ivgi, Hinder and Carmon, DoG is SGD's Best Friend: A Parameter-Free Dynamic Step Size
          Schedule, 2023 (arXiv:2302.12022)
        - dog-optimizer 1.0.3, the authors' code

    Example::

        optimizer = DoG(model.parameters())
        loss(model(input), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    """

    schema: ClassVar[Schema] = Schema(
        contract=1,
        name="DoG",
        package=__name__.rpartition(".")[0],
        hyperparameters=(
            Hyperparameter(
                "reps_rel",
                elements=("reps_rel",),
                intervals=(Interval(0.0, float("inf"), False, False),),
                is_tuple=False,
                tensor=False,
                error="Invalid reps_rel value: {value}",
            ),
            Hyperparameter(
                "lr",
                elements=("lr",),
                intervals=(Interval(0.0, float("inf"), True, False),),
                is_tuple=False,
                tensor=True,
                error="Invalid learning rate: {value}",
            ),
            Hyperparameter(
                "weight_decay",
                elements=("weight_decay",),
                intervals=(Interval(0.0, float("inf"), True, False),),
                is_tuple=False,
                tensor=False,
                error="Invalid weight_decay value: {value}",
            ),
            Hyperparameter(
                "eps",
                elements=("eps",),
                intervals=(Interval(0.0, float("inf"), False, False),),
                is_tuple=False,
                tensor=False,
                error="Invalid epsilon value: {value}",
            ),
            Hyperparameter(
                "init_eta",
                elements=("init_eta",),
                intervals=(Interval(0.0, float("inf"), False, False),),
                is_tuple=False,
                tensor=False,
                error="Invalid init_eta value: {value}",
                none=(1.0,),
            ),
        ),
        flags=(),
        derived=(
            DerivedFlag("init_eta_is_none", holds=lambda group: (group["init_eta"] is None)),
        ),
        states=(
            State(
                "init_buffer",
                argument="init_buffers",
                kind="tensor",
                init=None,
                when=None,
                on_param_device=False,
                copies_param=True,
            ),
        ),
        requirements=(
        ),
        specialisations=(
            Specialisation("maximize", holds=lambda group: group.get("maximize", False)),
            Specialisation("weight_decay_nonzero", holds=lambda group: group["weight_decay"] != 0),
        ),
        options=("maximize", "foreach", "capturable", "differentiable", "fused", "clip_grad_norm"),
        half_precision="float32",
        refusable=("weight_decay",),
        sparse="unsupported",
        sparse_error="DoG does not support sparse gradients",
        decays_gradient=lambda group: group["weight_decay"] != 0,
        state_at_construction=False,
        foreach_temporaries=2,
        traffic=lambda known: {
            "param": 3,
            "grad": 2,
            "init_buffer": 1,
        },
        reduces=True,
        shared=(
            Shared("rbar", scope="group", init=lambda group: 0),
            Shared("G", scope="group", init=lambda group: group["eps"]),
            Shared("k", scope="group", init=lambda group: 0),
        ),
        waits=True,
    )

    def __init__(
        self,
        params: ParamsT,
        reps_rel: float = 1e-06,
        lr: float | Tensor = 1.0,
        weight_decay: float = 0.0,
        eps: float = 1e-08,
        init_eta: float | None = None,
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
                "reps_rel": reps_rel,
                "lr": lr,
                "weight_decay": weight_decay,
                "eps": eps,
                "init_eta": init_eta,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "clip_grad_norm": clip_grad_norm,
                "rbar": None,
                "G": None,
                "k": None,
            },
        )
