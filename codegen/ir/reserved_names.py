"""The names that a spec may not give to its values.

In: a name and what it is for. Out: why it is reserved, or nothing. A spec's names become keys of parameter groups and
of states, arguments and variables of generated code, so that they may not clash with what these use already.
"""

from __future__ import annotations

import builtins
import keyword
import re

from thetac.codegen.errors import quote
from thetac.codegen.ir.ops import CONSTANTS, FUNCTIONS
from thetac.drivers import STEPS_TAKEN, TRAIN_MODE
from thetac.options import OPTIONS
from thetac.shape_numbers import PARAM_FACTS, SHAPE_NUMBERS

LONGEST = 40

_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_CLASS = re.compile(r"[A-Z][A-Za-z0-9]*")

_GROUP_KEYS = ("params", "param_names", "initial_lr")  # torch keeps its own values in a parameter group under these
_GIVEN = ("param", "grad")  # every update text has them
_ARGUMENTS = (
    "self super closure group groups params grads defaults state tensors round_to grad_scale clip_factor found_inf"
)
_MODULES = "torch math triton tl ops scalar_math annotations Tensor Scalar Sequence Callable ClassVar Schema Optimizer"
_OF_STAGES = "LastStage"  # what a scalar program with totals returns
_OF_PARAM = (*(name for one in SHAPE_NUMBERS.values() for name in (one.variable, one.listed)), *PARAM_FACTS.values())
_GENERATED = frozenset((*_ARGUMENTS.split(), *_MODULES.split(), _OF_STAGES, *_OF_PARAM))
# A state of torch's is called `sum`, and generated code never calls it by this name; nor does it what `param` decides.
_ALSO_NAMES = frozenset({"sum", *SHAPE_NUMBERS})
_BUILTINS = frozenset(dir(builtins)) - _ALSO_NAMES
_OF_TORCH = (
    "add_param_group compile defaults load_state_dict param_groups profile_hook_step state state_dict step zero_grad"
)
_OF_DRIVERS = "eval explain first_step grad_norm restore run_entry schema second_step train"
_METHODS = frozenset((*_OF_TORCH.split(), *_OF_DRIVERS.split()))  # and attributes, of optimizers
_SCHEMA = ("Schema", "Hyperparameter", "State", "Interval", "Requirement", "ShapeRequirement", "Specialisation")
_CLASSES = frozenset((*_SCHEMA, "Optimizer", "ClassVar", "Tensor"))


def why_not(name: str) -> tuple[str, str] | None:
    """Return why a value (hyperparameter, flag, state or local) cannot have this name: cause and remedy, or None."""
    if (cause := _form(name)) is not None:
        return cause
    if name in OPTIONS:
        return f"`{name}` is an option that every optimizer has", "leave it out: no spec declares or handles it"
    if name in _GIVEN:
        return f"`{name}` is the name of the {'parameter' if name == 'param' else 'gradient'}", "choose another name"
    if name in _GROUP_KEYS:
        return f"`{name}` is a key that torch keeps in every parameter group", "choose another name"
    if name == TRAIN_MODE:
        return f"`{name}` is the key of parameter groups that says in which mode an optimizer is", "choose another name"
    if name == STEPS_TAKEN:
        return f"`{name}` is the key of parameter groups in which drivers count steps", "choose another name"
    if name.startswith("first_"):
        return "names that begin with `first_` tell generated code which states are new", "choose another name"
    if name in FUNCTIONS and name not in _ALSO_NAMES:
        return f"`{name}` is a function of the language", "choose another name"
    if name in CONSTANTS:
        return f"`{name}` is a constant of the language", "choose another name"
    if name in _GENERATED or name in _BUILTINS:
        return f"`{name}` has a meaning in generated code", "choose another name"
    return None


def is_identifier(text: str) -> bool:
    """Return whether a text has the form of a name, reserved or not."""
    return len(text) <= LONGEST and _IDENTIFIER.fullmatch(text) is not None and not keyword.iskeyword(text)


def why_not_class(name: str) -> tuple[str, str] | None:
    """Return why an optimizer cannot have this name: cause and remedy, or None."""
    if len(name) > LONGEST:
        return f"a name of {len(name)} characters", f"at most {LONGEST}"
    if _CLASS.fullmatch(name) is None:
        return f"{quote(name)} is no name of a class", "a capital letter, then letters and digits, as in `AdamW`"
    if keyword.iskeyword(name) or name in _CLASSES or hasattr(builtins, name):
        return f"`{name}` has a meaning in generated code", "choose another name"
    return None


def why_not_method(name: str) -> tuple[str, str] | None:
    """Return why a method of an optimizer cannot have this name: cause and remedy, or None."""
    if (cause := _form(name)) is not None:
        return cause
    if name.startswith("register_") or name in _METHODS:
        return f"optimizers have another `{name}`", "choose another name"
    return None


def _form(name: str) -> tuple[str, str] | None:
    if len(name) > LONGEST:
        return f"a name of {len(name)} characters", f"at most {LONGEST}"
    if keyword.iskeyword(name):
        return f"`{name}` is a keyword of Python", "torch says `lambd`" if name == "lambda" else "choose another name"
    if _IDENTIFIER.fullmatch(name) is None or name.endswith("_"):
        return f"{quote(name)} is no name", "a letter, then letters, digits and `_`, which does not come last"
    return None
