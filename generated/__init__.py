# Generated from specs/ by thetac 0.1.0; do not edit.
"""The optimizers of this package; each is imported when its name is first used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .adopt import ADOPT as ADOPT
    from .asam import ASAM as ASAM
    from .asgd import ASGD as ASGD
    from .ademamix import AdEMAMix as AdEMAMix
    from .adabelief import AdaBelief as AdaBelief
    from .adabound import AdaBound as AdaBound
    from .adahessian import AdaHessian as AdaHessian
    from .adamod import AdaMod as AdaMod
    from .adapnm import AdaPNM as AdaPNM
    from .adadelta import Adadelta as Adadelta
    from .adafactor import Adafactor as Adafactor
    from .adagrad import Adagrad as Adagrad
    from .adam import Adam as Adam
    from .adamatan2 import AdamAtan2 as AdamAtan2
    from .adammini import AdamMini as AdamMini
    from .adamnobiascorrection import AdamNoBiasCorrection as AdamNoBiasCorrection
    from .adamp import AdamP as AdamP
    from .adamw import AdamW as AdamW
    from .adamax import Adamax as Adamax
    from .adan import Adan as Adan
    from .aggmo import AggMo as AggMo
    from .amos import Amos as Amos
    from .apolloma import ApolloMa as ApolloMa
    from .barzilaiborwein import BarzilaiBorwein as BarzilaiBorwein
    from .came import CAME as CAME
    from .dadaptadam import DAdaptAdam as DAdaptAdam
    from .dadaptlion import DAdaptLion as DAdaptLion
    from .dadaptsgd import DAdaptSGD as DAdaptSGD
    from .diffgrad import DiffGrad as DiffGrad
    from .dog import DoG as DoG
    from .fromage import Fromage as Fromage
    from .gradientdescent import GradientDescent as GradientDescent
    from .grams import Grams as Grams
    from .lamb import LAMB as LAMB
    from .lars import LARS as LARS
    from .lbfgs import LBFGS as LBFGS
    from .ldog import LDoG as LDoG
    from .laprop import LaProp as LaProp
    from .lion import Lion as Lion
    from .madgrad import MADGRAD as MADGRAD
    from .mars import MARS as MARS
    from .momentumsgd import MomentumSGD as MomentumSGD
    from .nadam import NAdam as NAdam
    from .nesterovsgd import NesterovSGD as NesterovSGD
    from .novograd import NovoGrad as NovoGrad
    from .padam import PAdam as PAdam
    from .pid import PID as PID
    from .pnm import PNM as PNM
    from .polakribiere import PolakRibiere as PolakRibiere
    from .prodigy import Prodigy as Prodigy
    from .qhadam import QHAdam as QHAdam
    from .qhm import QHM as QHM
    from .radam import RAdam as RAdam
    from .rmsprop import RMSprop as RMSprop
    from .rmsproptf import RMSpropTF as RMSpropTF
    from .rprop import Rprop as Rprop
    from .sam import SAM as SAM
    from .sgd import SGD as SGD
    from .sgdp import SGDP as SGDP
    from .sgdw import SGDW as SGDW
    from .sm3 import SM3 as SM3
    from .schedulefreeadamw import ScheduleFreeAdamW as ScheduleFreeAdamW
    from .schedulefreeradam import ScheduleFreeRAdam as ScheduleFreeRAdam
    from .schedulefreesgd import ScheduleFreeSGD as ScheduleFreeSGD
    from .signsgd import SignSGD as SignSGD
    from .signum import Signum as Signum
    from .sophiag import SophiaG as SophiaG
    from .sophiah import SophiaH as SophiaH
    from .sparseadam import SparseAdam as SparseAdam
    from .stableadamw import StableAdamW as StableAdamW
    from .textbookadagrad import TextbookAdagrad as TextbookAdagrad
    from .textbookrmsprop import TextbookRMSprop as TextbookRMSprop
    from .tiger import Tiger as Tiger
    from .yogi import Yogi as Yogi

__all__ = [
    "ADOPT",
    "ASAM",
    "ASGD",
    "AdEMAMix",
    "AdaBelief",
    "AdaBound",
    "AdaHessian",
    "AdaMod",
    "AdaPNM",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamAtan2",
    "AdamMini",
    "AdamNoBiasCorrection",
    "AdamP",
    "AdamW",
    "Adamax",
    "Adan",
    "AggMo",
    "Amos",
    "ApolloMa",
    "BarzilaiBorwein",
    "CAME",
    "DAdaptAdam",
    "DAdaptLion",
    "DAdaptSGD",
    "DiffGrad",
    "DoG",
    "Fromage",
    "GradientDescent",
    "Grams",
    "LAMB",
    "LARS",
    "LBFGS",
    "LDoG",
    "LaProp",
    "Lion",
    "MADGRAD",
    "MARS",
    "MomentumSGD",
    "NAdam",
    "NesterovSGD",
    "NovoGrad",
    "PAdam",
    "PID",
    "PNM",
    "PolakRibiere",
    "Prodigy",
    "QHAdam",
    "QHM",
    "RAdam",
    "RMSprop",
    "RMSpropTF",
    "Rprop",
    "SAM",
    "SGD",
    "SGDP",
    "SGDW",
    "SM3",
    "ScheduleFreeAdamW",
    "ScheduleFreeRAdam",
    "ScheduleFreeSGD",
    "SignSGD",
    "Signum",
    "SophiaG",
    "SophiaH",
    "SparseAdam",
    "StableAdamW",
    "TextbookAdagrad",
    "TextbookRMSprop",
    "Tiger",
    "Yogi",
]

_HOME = "thetac.generated"
_MODULES = {
    "ADOPT": "adopt",
    "ASAM": "asam",
    "ASGD": "asgd",
    "AdEMAMix": "ademamix",
    "AdaBelief": "adabelief",
    "AdaBound": "adabound",
    "AdaHessian": "adahessian",
    "AdaMod": "adamod",
    "AdaPNM": "adapnm",
    "Adadelta": "adadelta",
    "Adafactor": "adafactor",
    "Adagrad": "adagrad",
    "Adam": "adam",
    "AdamAtan2": "adamatan2",
    "AdamMini": "adammini",
    "AdamNoBiasCorrection": "adamnobiascorrection",
    "AdamP": "adamp",
    "AdamW": "adamw",
    "Adamax": "adamax",
    "Adan": "adan",
    "AggMo": "aggmo",
    "Amos": "amos",
    "ApolloMa": "apolloma",
    "BarzilaiBorwein": "barzilaiborwein",
    "CAME": "came",
    "DAdaptAdam": "dadaptadam",
    "DAdaptLion": "dadaptlion",
    "DAdaptSGD": "dadaptsgd",
    "DiffGrad": "diffgrad",
    "DoG": "dog",
    "Fromage": "fromage",
    "GradientDescent": "gradientdescent",
    "Grams": "grams",
    "LAMB": "lamb",
    "LARS": "lars",
    "LBFGS": "lbfgs",
    "LDoG": "ldog",
    "LaProp": "laprop",
    "Lion": "lion",
    "MADGRAD": "madgrad",
    "MARS": "mars",
    "MomentumSGD": "momentumsgd",
    "NAdam": "nadam",
    "NesterovSGD": "nesterovsgd",
    "NovoGrad": "novograd",
    "PAdam": "padam",
    "PID": "pid",
    "PNM": "pnm",
    "PolakRibiere": "polakribiere",
    "Prodigy": "prodigy",
    "QHAdam": "qhadam",
    "QHM": "qhm",
    "RAdam": "radam",
    "RMSprop": "rmsprop",
    "RMSpropTF": "rmsproptf",
    "Rprop": "rprop",
    "SAM": "sam",
    "SGD": "sgd",
    "SGDP": "sgdp",
    "SGDW": "sgdw",
    "SM3": "sm3",
    "ScheduleFreeAdamW": "schedulefreeadamw",
    "ScheduleFreeRAdam": "schedulefreeradam",
    "ScheduleFreeSGD": "schedulefreesgd",
    "SignSGD": "signsgd",
    "Signum": "signum",
    "SophiaG": "sophiag",
    "SophiaH": "sophiah",
    "SparseAdam": "sparseadam",
    "StableAdamW": "stableadamw",
    "TextbookAdagrad": "textbookadagrad",
    "TextbookRMSprop": "textbookrmsprop",
    "Tiger": "tiger",
    "Yogi": "yogi",
}


def _member(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"{_HOME}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


if not TYPE_CHECKING:  # a type checker that saw it would take every misspelt name for a member
    __getattr__ = _member


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
