"""What to try with each optimizer beside its defaults."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

import torch

import thetac
from tests.references.rules import rules
from tests.references.torch_inputs import IN_TORCH, Settings, Value, float_settings
from thetac.codegen.ir.nodes import Hyperparameter

# For those that torch does not have: every flag, numbers that change the path taken, several at once.
GRID: Mapping[str, Mapping[str, Sequence[Value]]] = {
    "Lion": {"betas": [(0.9, 0.99), (0.5, 0.0)]},
    "AdaHessian": {"hessian_power": [1.0, 0.5, 0.0], "update_each": [1, 3], "seed": [0, 5]},
    "SophiaG": {"rho": [0.04, 0.01], "bs": [5120.0, 10.0]},
    "SophiaH": {"gamma": [10.0, 0.1], "update_each": [10, 1], "seed": [0, 5]},
    "SAM": {"momentum": [0.0, 0.9], "rho": [0.05, 0.5], "adaptive": [False, True]},
    "ASAM": {"momentum": [0.0, 0.9], "rho": [0.5, 0.05], "eta": [0.01, 0.1], "scaled": [True, False]},
    "Signum": {"momentum": [0.9, 0.0], "decoupled_weight_decay": [False, True]},
    "Adan": {"no_prox": [False, True], "betas": [(0.98, 0.92, 0.99), (0.0, 0.0, 0.0)]},
    "AdaBelief": {
        "amsgrad": [False, True],
        "weight_decouple": [False, True],
        "fixed_decay": [False, True],
        "rectify": [False, True],
        "degenerated_to_sgd": [False, True],
        "eps": [1e-16, 1e-3],
    },
    "Yogi": {"initial_accumulator_value": [1e-6, 1.0], "eps": [1e-3, 0.1]},
    "AdEMAMix": {
        "betas": [(0.9, 0.999, 0.9999), (0.0, 0.99, 0.999)],
        "alpha_warmup": [0.0, 10.0],
        "beta3_warmup": [0.0, 20.0],
        "alpha": [2.0, 8.0],
    },
    "ADOPT": {"decouple": [False, True], "clip": [False, True], "clip_exponent": [0.25, 0.0], "eps": [1e-6, 0.5]},
    "QHAdam": {"decouple_weight_decay": [False, True], "nus": [(1.0, 1.0), (0.7, 1.0), (0.8, 0.6)]},
    "LaProp": {"amsgrad": [False, True], "centered": [False, True], "eps": [1e-15, 1e-3]},
    "AggMo": {"betas": [(0.0, 0.9, 0.99), (0.5, 0.5, 0.8)]},
    "AdaBound": {"amsbound": [False, True], "final_lr": [0.1, 1e-3], "gamma": [1e-3, 0.5]},
    "QHM": {"nu": [0.7, 1.0], "weight_decay_type": ["grad", "direct"]},
    "AdaMod": {"beta3": [0.999, 0.0]},
    "Grams": {"correct_bias": [True, False]},
    "RMSpropTF": {
        "momentum": [0.0, 0.9],
        "lr_in_momentum": [True, False],
        "centered": [False, True],
        "decoupled_decay": [False, True],
        "corrected_weight_decay": [False, True],
        "max_lr": [None, 0.02],
    },
    "SGDW": {
        "momentum": [0.9, 0.0],
        "dampening": [0.0, 0.3],
        "corrected_weight_decay": [False, True],
        "max_lr": [None, 0.02],
    },
    "SignSGD": {},
    "Tiger": {"kind": ["matrix", "embedding", "bias", "gain"], "grad_accum_steps": [1, 3]},
    "PID": {"momentum": [0.0, 0.9], "dampening": [0.0, 0.3]},
    "PNM": {"decoupled": [True, False], "betas": [(0.9, 1.0), (0.0, 0.5)]},
    "AdaPNM": {"amsgrad": [True, False], "decoupled": [True, False], "betas": [(0.9, 0.999, 1.0), (0.5, 0.9, 0.0)]},
    "Amos": {"momentum": [None, 0.9, 0.0], "clip_value": [None, 0.5], "extra_l2": [0.0, 0.1], "eta": [1.0, 0.04]},
    "AdamAtan2": {
        "decoupled_wd": [False, True],
        "cautious_wd": [False, True],
        "a": [1.27, 1.0],
        "b": [1.0, 2.0],
    },
    "MADGRAD": {"momentum": [0.9, 0.0], "eps": [1e-6, 0.0], "decouple_decay": [False, True]},
    "DAdaptAdam": {
        "decouple": [False, True],
        "use_bias_correction": [False, True],
        "d0": [1e-6, 1e-2],
        "growth_rate": [math.inf, 1.05],
    },
    "DAdaptSGD": {"momentum": [0.0, 0.9], "d0": [1e-6, 1e-2], "growth_rate": [math.inf, 1.05]},
    "DAdaptLion": {"d0": [1e-6, 1e-2]},
    "DoG": {"reps_rel": [1e-6, 1e-2], "init_eta": [None, 0.1], "eps": [1e-8, 1.0]},
    "LDoG": {"reps_rel": [1e-6, 1e-2], "init_eta": [None, 0.1], "eps": [1e-8, 1.0]},
    "Prodigy": {
        "betas": [(0.9, 0.999), (0.0, 0.9)],
        "beta3": [None, 0.9],
        "decouple": [True, False],
        "use_bias_correction": [False, True],
        "safeguard_warmup": [False, True],
        "d0": [1e-6, 1e-2],
        "growth_rate": [math.inf, 1.05],
    },
    "ScheduleFreeSGD": {"warmup_steps": [0, 5], "r": [0.0, 1.0], "weight_lr_power": [2.0, 0.0]},
    "ScheduleFreeAdamW": {"warmup_steps": [0, 5], "r": [0.0, 1.0], "weight_lr_power": [2.0, 0.0]},
    "ScheduleFreeRAdam": {"silent_sgd_phase": [True, False], "betas": [(0.9, 0.999), (0.5, 0.6)]},
    "DiffGrad": {"eps": [1e-8, 1e-3]},
    "LAMB": {
        "bias_correction": [True, False],
        "trust_clip": [False, True],
        "always_adapt": [False, True],
        "max_lr": [None, 0.02],
    },
    "LARS": {"momentum": [0.0, 0.9], "trust_clip": [False, True], "always_adapt": [False, True]},
    "NovoGrad": {"grad_averaging": [False, True], "eps": [1e-8, 1.0]},
    "Fromage": {"p_bound": [None, 1.01, 0.5]},
    "AdamP": {"nesterov": [False, True], "delta": [0.1, 2.0]},
    "SGDP": {"momentum": [0.0, 0.9], "nesterov": [False, True], "delta": [0.1, 2.0]},
    "MARS": {"amsgrad": [False, True], "mars_type": ["adamw", "lion"], "optimize_1d": [False, True]},
    "CAME": {"clip_threshold": [1.0, 0.1]},
    "SM3": {"momentum": [0.9, 0.0]},
    "AdamMini": {"blocks": ["tensor", "row", "element"]},
    "ApolloMa": {
        "rebound": ["constant", "belief"],
        "weight_decay_type": [None, "L2", "decoupled", "stable"],
        "warmup": [500.0, 5.0],
        "init_lr": [None, 0.002],  # with 0.1, its steps would be so long that roundings grow
    },
    "StableAdamW": {"decouple_lr": [False, True], "max_lr": [0.0, 0.002]},
    "PAdam": {"amsgrad": [True, False], "partial": [0.25, 0.1, 0.5, 0.0]},
    "GradientDescent": {},
    "MomentumSGD": {"mu": [0.9, 0.0]},
    "NesterovSGD": {"mu": [0.9, 0.0]},
    "TextbookAdagrad": {"eps": [1e-8, 0.1]},
    "TextbookRMSprop": {"decay_rate": [0.99, 0.0]},
    "AdamNoBiasCorrection": {"beta1": [0.9, 0.0], "beta2": [0.999, 0.5]},
}

# What a change needs to be allowed, or to have an effect.
NEEDS: Mapping[tuple[str, str], Settings] = {
    ("SGDW", "nesterov"): {"momentum": 0.9},
    ("SAM", "nesterov"): {"momentum": 0.9},
    ("SAM", "dampening"): {"momentum": 0.9},
    ("ASAM", "nesterov"): {"momentum": 0.9},
    ("ASAM", "dampening"): {"momentum": 0.9},
    ("LARS", "nesterov"): {"momentum": 0.9, "always_adapt": True},
    ("LARS", "dampening"): {"momentum": 0.9},
    ("LARS", "trust_coeff"): {"always_adapt": True},
    ("LARS", "eps"): {"always_adapt": True},
    ("LARS", "trust_clip"): {"always_adapt": True},
    ("ApolloMa", "init_lr"): {"warmup": 100.0},
    ("ApolloMa", "rebound"): {"warmup": 5.0},
    ("ApolloMa", "weight_decay_type"): {"weight_decay": 0.1},
    ("SGDP", "nesterov"): {"momentum": 0.9},
    ("StableAdamW", "max_lr"): {"decouple_lr": True},
    ("SGDW", "dampening"): {"momentum": 0.9},
    ("PID", "dampening"): {"momentum": 0.9},
    ("PID", "I"): {"momentum": 0.9},
    ("PID", "D"): {"momentum": 0.9},
    ("RMSpropTF", "lr_in_momentum"): {"momentum": 0.9},
    ("RMSpropTF", "corrected_weight_decay"): {"decoupled_decay": True},
    ("SGDW", "max_lr"): {"corrected_weight_decay": True},
    ("RMSpropTF", "max_lr"): {"decoupled_decay": True, "corrected_weight_decay": True},
    ("LAMB", "corrected_weight_decay"): {"decoupled_decay": True},
    ("LAMB", "max_lr"): {"decoupled_decay": True, "corrected_weight_decay": True},
}


def settings_of(name: str) -> Iterator[Settings]:
    """The defaults, then every combination of the grid, with and without weight decay and with another lr."""
    if name in IN_TORCH:
        yield from float_settings(name)
        return
    yield {}
    grid: dict[str, Sequence[Value]] = dict(GRID.get(name, {})) | {"lr": [0.03]}
    if "weight_decay" in {h.name for h in rules()[name].hyperparameters}:
        grid["weight_decay"] = [0.0, 0.1]
    for combination in itertools.product(*grid.values()):
        yield dict(zip(grid, combination, strict=True))


def one_at_a_time(name: str) -> Iterator[Settings]:
    """The defaults, then each flag and each hyperparameter changed alone, without and with weight decay."""
    yield {}
    changes = alternatives(name)
    decay = next((change for change in changes if "weight_decay" in change), {})
    for change in changes:
        yield change
        if decay and "weight_decay" not in change and _is_legal(name, {**decay, **change}):
            yield {**decay, **change}


def two_at_a_time(name: str) -> Iterator[Settings]:
    """Every change of one flag or hyperparameter together with a change of another, as far as they are accepted."""
    for change, other in itertools.combinations(alternatives(name), 2):
        if not change.keys() & other.keys() and _is_legal(name, {**change, **other}):
            yield {**change, **other}


def _is_legal(name: str, settings: Settings) -> bool:
    """Return whether the optimizer accepts the settings: whether its requirements hold."""
    try:
        getattr(thetac, name)([torch.zeros(2, 2)], **settings)
    except ValueError:
        return False
    return True


def alternatives(name: str) -> list[Settings]:
    """What each flag and hyperparameter may be instead of its default: as in the grid, or another of its size."""
    rule = rules()[name]
    flags = [flag for flag in rule.flags if not flag.fixed and flag.asks is None]
    found: list[tuple[str, Value]] = [(flag.name, not flag.default) for flag in flags]
    found += [(one.name, text) for one in rule.choices for text in one.choices if text != one.default]
    for one in rule.hyperparameters:
        if one.fixed:
            continue
        given = [value for value in GRID.get(name, {}).get(one.name, ()) if value != one.default]
        found += [(one.name, value) for value in given or [_other_than_default(one)]]
    return [{**NEEDS.get((name, key), {}), key: value} for key, value in found]


def _other_than_default(one: Hyperparameter) -> Value:
    """Return another value that a hyperparameter may have: smaller, but for those that nearly vanish."""
    default = one.default if isinstance(one.default, tuple) else (one.default,)
    values = tuple(_other_number(number or 0, one.integer) for number in default)
    legal = all(interval is None or value in interval for value, interval in zip(values, one.ranges, strict=True))
    assert legal, f"name values for `{one.name}` in GRID: {values} are out of its range"
    return values if isinstance(one.default, tuple) else values[0]


def _other_number(default: float, integer: bool) -> float:
    if integer:
        return int(default) + 2
    if default == 0:
        return 0.1
    return 0.01 if default < 1e-5 else default * 0.75


def values_of(name: str, settings: Settings) -> dict[str, float | bool | str | None]:
    """The settings under the names that the update text uses."""
    values: dict[str, float | bool | str | None] = {}
    elements = {h.name: h.value_names for h in rules()[name].hyperparameters}
    for key, value in settings.items():
        if isinstance(value, tuple):
            values |= zip(elements[key], value, strict=True)
        else:
            values[key] = value if value is None or isinstance(value, bool | str) else float(value)
    return values | {h.name: values[h.starts_as] for h in rules()[name].hyperparameters if h.starts_as in values}
