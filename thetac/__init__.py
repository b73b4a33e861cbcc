"""Optimizers for torch, compiled from specs: `from thetac import AdamW`, or `thetac.load("my_optimizer.yaml")`.

`thetac.compose("AdamW", lookahead=True)` adds features to one of them.
`save_optimizer` and `load_optimizer` write and read the state of one. Importing this package imports neither torch nor
triton; an optimizer is imported when its name is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from thetac.composition import compose as compose
    from thetac.generated import *  # noqa: F403  # for type checkers; no optimizer is imported here
    from thetac.loader import load as load
    from thetac.runtime.checkpoints.safetensors_file import load_optimizer as load_optimizer
    from thetac.runtime.checkpoints.safetensors_file import save_optimizer as save_optimizer

__version__ = "0.1.0"

# What generated code may expect of `thetac.runtime`, and the runtime of generated code. Any change of names, arguments
# or meaning on either side takes the next number; packages that were generated before it then say so when imported.
__contract__ = 1

_FUNCTIONS = {
    "compose": "thetac.composition",
    "load": "thetac.loader",
    "load_optimizer": "thetac.runtime.checkpoints.safetensors_file",
    "save_optimizer": "thetac.runtime.checkpoints.safetensors_file",
}


def _member(name: str) -> object:
    """Import a function or an optimizer when its name is first used; raise AttributeError if there is none."""
    if name in _FUNCTIONS:
        value: object = getattr(import_module(_FUNCTIONS[name]), name)
    elif name == "__all__":  # of `from thetac import *`
        value = [name for name in __dir__() if not name.startswith("_")]
    elif name.startswith("_"):  # not of thetac; a lookup of __path__ must not import anything
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    else:
        # Not `from thetac import generated`, which would call this function again.
        generated = import_module("thetac.generated")
        if name == "generated":
            return generated
        try:
            value = getattr(generated, name)
        except AttributeError:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    globals()[name] = value
    return value


if not TYPE_CHECKING:  # a type checker that saw it would accept every misspelt name
    __getattr__ = _member


def __dir__() -> list[str]:
    """List the public names, which imports the generated package."""
    generated = import_module("thetac.generated")
    return sorted({"__contract__", "__version__", *_FUNCTIONS, *getattr(generated, "__all__", ())})
