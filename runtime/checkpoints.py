"""An optimizer's state in a safetensors file: tensors as such, everything else as JSON in the file's header.

In: an optimizer, ours or any other of torch's kind, and a path. Out: a file that holds exactly its `state_dict()`, or
the optimizer with what such a file holds. Nothing is pickled, so a file of a stranger can do no harm. A file is
written under another name and then renamed: whoever reads the path finds the old one or the new one, whole. Must not
know what an optimizer keeps.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from thetac.runtime.encoding import Decoder, Encoder

HEADER_KEY = "thetac_optimizer"
VERSION = 1


def save_optimizer(optimizer: torch.optim.Optimizer, path: str | os.PathLike[str]) -> None:
    """Write `optimizer.state_dict()` to a safetensors file, which is replaced in one piece if it exists.

    Tensors are stored in their dtypes, bit for bit; lr, betas and everything else in a group as JSON, exactly. Raises
    TypeError for what can be stored as neither, among them shards of distributed parameters; ImportError without the
    package safetensors. After an error the file is as it was.
    """
    safetensors = _safetensors()
    encoder = Encoder()
    tree = encoder.encode(optimizer.state_dict())
    header = json.dumps({"version": VERSION, "optimizer": type(optimizer).__name__, "state_dict": tree})
    with replaced(Path(os.path.realpath(path))) as temporary:  # a link stays one
        safetensors.torch.save_file(encoder.tensors, temporary, metadata={"format": "pt", HEADER_KEY: header})


def load_optimizer(optimizer: torch.optim.Optimizer, path: str | os.PathLike[str]) -> None:
    """`optimizer.load_state_dict` with what `save_optimizer` wrote.

    State goes to the devices of the parameters; a tensor in a group goes to the kind of device that it was on, if
    there is one. Raises ValueError for a file that holds no optimizer, or one of a later version, and what
    `load_state_dict` raises for one that does not fit; ImportError without the package safetensors.
    """
    safetensors = _safetensors()
    with safetensors.safe_open(path, framework="pt", device="cpu") as file:
        header = (file.metadata() or {}).get(HEADER_KEY)
        if header is None:
            raise ValueError(f"{os.fspath(path)} holds no optimizer: its header has no {HEADER_KEY!r}")
        saved: dict[str, Any] = json.loads(header)
        if saved["version"] > VERSION:
            raise ValueError(
                f"{os.fspath(path)} was written in version {saved['version']} of the format; "
                f"this version of thetac reads up to {VERSION}"
            )
        state_dict = Decoder({name: file.get_tensor(name) for name in file.keys()}).decode(saved["state_dict"])  # noqa: SIM118
    try:
        optimizer.load_state_dict(state_dict)
    except (KeyError, TypeError, ValueError) as error:
        error.add_note(f"{os.fspath(path)} was saved from {saved['optimizer']}")
        raise


@contextlib.contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A path beside the given one to write to; what lies there in the end replaces it, unless an error comes up."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    temporary.touch(exist_ok=False)
    mode = temporary.stat().st_mode  # the user's usual one, whatever the writer makes of it
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fchmod(file.fileno(), stat.S_IMODE(mode))
            os.fsync(file.fileno())  # else a power failure could leave the new name without the content
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _safetensors() -> ModuleType:
    try:
        import safetensors.torch
    except ImportError as error:
        raise ImportError(
            "optimizers are saved to and loaded from safetensors files with the package safetensors: "
            "pip install 'thetac[safetensors]'"
        ) from error
    return safetensors
