"""The oracles of every optimizer. To add one: a row here, or a reference in tests/references/algorithms/."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tests.oracles.adam_mini import AdamMini
from tests.oracles.curvature import CURVED
from tests.oracles.oracle import Oracle, Package, Transcription
from tests.oracles.sharpness import Sharpness, ascend_asam, ascend_sam
from tests.references.algorithms import REFERENCES
from tests.references.torch_inputs import IN_TORCH, Settings


def _for_loop(settings: Settings) -> dict[str, object]:
    return {**settings, "foreach": False}


def _as_given(settings: Settings) -> dict[str, object]:
    return dict(settings)


def _quietly(settings: Settings) -> dict[str, object]:
    """AdaBelief's code prints tables about its versions and choices, unless it is told not to."""
    return {**settings, "print_change_log": False}


def _optimi(settings: Settings) -> dict[str, object]:
    """optimi takes no 0 for the largest lr of a schedule that it does not know."""
    return {**settings, "max_lr": settings.get("max_lr") or None, "foreach": False, "triton": False}


def _at(lr: float) -> Callable[[Settings], dict[str, object]]:
    """Return settings with a rate where none is given: some have no default."""
    return lambda settings: {"lr": lr, **settings}


def _required(settings: Settings) -> dict[str, object]:
    """QHM's code has no defaults for what the paper recommends."""
    return {"lr": 1.0, "momentum": 0.999, "nu": 0.7, **settings}


ADAM = {"exp_avg": "exp_avg", "exp_avg_sq": "exp_avg_sq"}

# The authors' own code, as far as PyPI has it.
PACKAGES: Mapping[str, Package] = {
    **{name: Package("torch", f"torch.optim:{name}", _for_loop) for name in IN_TORCH},
    "SparseAdam": Package("torch", "torch.optim:SparseAdam", _as_given),  # which is a for-loop alone
    "AdaBelief": Package("adabelief-pytorch", "adabelief_pytorch:AdaBelief", _quietly),
    "AdaBound": Package(
        "adabound",
        "adabound:AdaBound",
        states={**ADAM, "max_exp_avg_sq": "max_exp_avg_sq"},
        values={"base_lr": "lr"},
    ),
    "AdamAtan2": Package(
        "adam-atan2-pytorch",
        "adam_atan2_pytorch:AdamAtan2",
        undefined=lambda settings: bool(settings.get("cautious_wd")),  # its factor is rounded to float32
    ),
    "AdamP": Package("adamp", "adamp:AdamP", states=ADAM),
    "AdaMod": Package("adamod", "adamod:AdaMod", states={**ADAM, "exp_avg_lr": "exp_avg_lr"}),
    **{
        name: Package("dadaptation", path, states={"s": "s"}, values={"numerator_weighted": "numerator_weighted"})
        for name, path in {
            "DAdaptAdam": "tests.references.layer_scale:DAdaptAdamWithScale",
            "DAdaptLion": "dadaptation:DAdaptLion",
            "DAdaptSGD": "dadaptation:DAdaptSGD",
        }.items()
    },
    **{
        name: Package(
            "dog-optimizer",
            f"dog:{name}",
            values={"rbar": "rbar", "G": "G", "init_buffer": "init_buffer"},
            late="it takes a parameter without a gradient for an error",
        )
        for name in ("DoG", "LDoG")
    },
    "CAME": Package("came-pytorch", "came_pytorch:CAME", _at(2e-4), states=ADAM),
    "Grams": Package("grams-pytorch", "grams:Grams", states=ADAM),
    "Lion": Package("lion-pytorch", "lion_pytorch:Lion"),
    "MADGRAD": Package(
        "madgrad",
        "madgrad:MADGRAD",
        late="its k counts the steps of the optimizer",
        undefined=lambda settings: settings.get("momentum") == 0 and settings.get("eps") == 0,  # its first step: 0 / 0
    ),
    "Prodigy": Package("prodigyopt", "prodigyopt:Prodigy", states={"s": "s", "exp_avg_sq": "exp_avg_sq"}),
    "QHAdam": Package("qhoptim", "qhoptim.pyt:QHAdam"),
    **{
        f"ScheduleFree{name}": Package(
            "schedulefree",
            f"schedulefree:{name}ScheduleFree",
            _for_loop,
            states={"z": "z", **({} if name == "SGD" else {"exp_avg_sq": "exp_avg_sq"})},
            values={key: key for key in ("k", "weight_sum", "lr_max", "scheduled_lr")},
        )
        for name in ("SGD", "AdamW", "RAdam")
    },
    "SGDP": Package("adamp", "adamp:SGDP", _at(0.1), states={"momentum_buffer": "momentum"}),
    "StableAdamW": Package(
        "torch-optimi",
        "optimi:StableAdamW",
        lambda s: {"lr": 1e-3, **_optimi(s)},
        late="its steps are those of a group",
    ),
    "QHM": Package("qhoptim", "qhoptim.pyt:QHM", _required, states={"momentum_buffer": "momentum_buffer"}),
}

# Written again from the authors' code, where it wraps an optimizer or differentiates gradients.
REWRITTEN: Mapping[str, Oracle] = {
    "SAM": Sharpness(ascend_sam, "transcription of davda54/sam"),
    "ASAM": Sharpness(ascend_asam, "transcription of SamsungLabs/ASAM"),
    **CURVED,
}

# Where there are several, the first is the one that the documentation names.
ORACLES: Mapping[str, Sequence[Oracle]] = {
    name: (
        *([AdamMini()] if name == "AdamMini" else []),
        *([PACKAGES[name]] if name in PACKAGES else []),
        *([REWRITTEN[name]] if name in REWRITTEN else []),
        *([Transcription(REFERENCES[name])] if name in REFERENCES else []),
    )
    for name in {**PACKAGES, **REWRITTEN, **REFERENCES}
}
