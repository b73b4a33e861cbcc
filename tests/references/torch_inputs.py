"""What torch's own tests try with the optimizers that both have, and what they leave out."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import torch
from torch.testing._internal.common_optimizers import OptimizerInfo, optim_db

Value = float | bool | str | None | torch.Tensor | tuple[float | None, ...]
Settings = dict[str, Value]

IN_TORCH = (
    *("SGD", "Adagrad", "Adadelta", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "RMSprop", "Rprop", "ASGD"),
    *("Adafactor", "SparseAdam"),
)

# torch's raise ZeroDivisionError for a parameter without elements.
DIVIDE_BY_SIZES = ("Adafactor",)

# Every flag with every other and with weight decay, and the hyperparameters that choose a path.
_GRIDS: Mapping[str, Mapping[str, Sequence[Value]]] = {
    "SGD": {"momentum": [0, 0.9], "dampening": [0, 0.3], "weight_decay": [0, 0.1]},
    "Adagrad": {"lr_decay": [0, 0.01], "initial_accumulator_value": [0, 0.1], "weight_decay": [0, 0.1]},
    "Adadelta": {"rho": [0.9, 0.0, 1.0], "weight_decay": [0, 0.1]},
    "Adam": {"amsgrad": [False, True], "decoupled_weight_decay": [False, True], "weight_decay": [0, 0.1]},
    "AdamW": {"amsgrad": [False, True], "weight_decay": [0, 0.1]},
    "Adamax": {"eps": [1e-8, 0], "weight_decay": [0, 0.1]},
    "NAdam": {"decoupled_weight_decay": [False, True], "momentum_decay": [4e-3, 0], "weight_decay": [0, 0.1]},
    "RAdam": {"decoupled_weight_decay": [False, True], "weight_decay": [0, 0.1], "betas": [(0.9, 0.999), (0.3, 0.5)]},
    "RMSprop": {"centered": [False, True], "momentum": [0, 0.9], "weight_decay": [0, 0.1]},
    "Rprop": {"etas": [(0.5, 1.2), (0.1, 3.0)], "step_sizes": [(1e-6, 50), (1e-3, 0.02)]},
    "ASGD": {"t0": [1e6, 3], "lambd": [1e-4, 0], "alpha": [0.75, 0.5], "weight_decay": [0, 0.1]},
    "SparseAdam": {"betas": [(0.9, 0.999), (0.5, 0.0)], "eps": [1e-8, 1e-3]},
    "Adafactor": {"lr": [1e-2, 1.0], "eps": [(None, 1e-3), (1e-3, 0.1), (0.0, 0.0)], "weight_decay": [0, 0.1]},
}


def optimizer_info(name: str) -> OptimizerInfo:
    """The entry of torch's database."""
    return next(info for info in optim_db if info.optim_cls.__name__ == name)


def database_settings(name: str) -> list[Settings]:
    """The inputs of torch's own tests on the CPU."""
    return [dict(case.kwargs) for case in optimizer_info(name).optim_inputs_func(device="cpu")]


def float_settings(name: str) -> list[Settings]:
    """The inputs whose hyperparameters are numbers, and the grid, with and without `maximize`."""
    grid = {**_GRIDS[name], "maximize": [False, True]}
    combinations = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    if name == "SGD":
        nesterov = {"momentum": 0.9, "nesterov": True}
        combinations += [nesterov | {"weight_decay": wd, "maximize": up} for wd in (0, 0.1) for up in (False, True)]
    if name in ("Adam", "AdamW", "Adamax", "NAdam", "RAdam", "SparseAdam"):
        # Where `(1 - beta2 ** step) ** 0.5` and math.sqrt differ within 400 steps: in step 345, and in step 69.
        combinations += [{"betas": (0.9, 0.9)}, {"betas": (0.9, 0.995)}]
    return [case for case in database_settings(name) if not any(map(torch.is_tensor, case.values()))] + combinations


def tensor_settings(name: str) -> list[Settings]:
    """Hyperparameters as 0-d tensors, which torch's tests on the CPU hardly try."""
    given = [case for case in database_settings(name) if any(map(torch.is_tensor, case.values()))]
    given += [{"lr": torch.tensor(0.01)}, {"lr": torch.tensor(0.02, dtype=torch.float64), "maximize": True}]
    if name not in ("Rprop", "SparseAdam"):
        given += [{"lr": torch.tensor(0.01), "weight_decay": 0.1}]
    if name in ("Adam", "AdamW"):
        betas = (torch.tensor(0.9), torch.tensor(0.99))
        given += [{"betas": betas}, {"lr": torch.tensor(0.01), "betas": betas, "weight_decay": 0.1, "amsgrad": True}]
    if name == "Adagrad":
        given += [{"lr": torch.tensor(0.01), "lr_decay": 0.1}]
    if name == "SGD":
        given += [{"lr": torch.tensor(0.01), "momentum": 0.9, "nesterov": True, "weight_decay": torch.tensor(0.1)}]
    return given
