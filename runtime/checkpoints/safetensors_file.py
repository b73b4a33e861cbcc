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

from thetac.runtime.checkpoints.decoding import Decoder, parse, shown
from thetac.runtime.checkpoints.encoding import DEPTH, Encoder, Json, is_too_deep
from thetac.runtime.checkpoints.restore import check_form

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
    try:
        saved: Json = {
            "version": VERSION,
            "optimizer": type(optimizer).__name__,
            "state_dict": encoder.encode(optimizer.state_dict()),
        }
        too_deep = is_too_deep(saved)
    except RecursionError:
        too_deep = True
    if too_deep:
        raise TypeError(f"the state dict contains itself, or its JSON is nested more than {DEPTH} deep")
    header = json.dumps(saved)
    with replaced(Path(os.path.realpath(path))) as temporary:  # a link stays one
        safetensors.torch.save_file(encoder.tensors, temporary, metadata={"format": "pt", HEADER_KEY: header})


def load_optimizer(optimizer: torch.optim.Optimizer, path: str | os.PathLike[str]) -> None:
    """`optimizer.load_state_dict` with what `save_optimizer` wrote.

    State goes to the devices of the parameters; a tensor in a group goes to the kind of device that it was on, if
    there is one. Raises ValueError, with the path and what is wrong, for a file that is malformed, holds no optimizer,
    or is of a later version; what `load_state_dict` raises for one that does not fit; OSError for a file that cannot be
    opened; ImportError without the package safetensors. Whatever the file says, no tensor is made that is larger than
    the ones it holds.
    """
    safetensors = _safetensors()
    name = os.fspath(path)
    with open(path, "rb"):  # safetensors' own errors do not name the file
        pass
    try:
        with safetensors.safe_open(path, framework="pt", device="cpu") as file:
            state_dict, source = _read(file)
    except safetensors.SafetensorError as error:
        raise ValueError(f"{name} is no safetensors file: {error}") from error
    except ValueError as error:
        raise ValueError(f"{name} {error}") from error
    try:
        optimizer.load_state_dict(state_dict)
    except Exception as error:
        error.add_note(f"{name} was saved from {source}")
        raise


def _read(file: Any) -> tuple[dict[str, Any], str]:
    """The state dict in an open file, and the name of the class that it is of.

    Raises ValueError with the end of a sentence that begins with the path.
    """
    header = (file.metadata() or {}).get(HEADER_KEY)
    if header is None:
        raise ValueError(f"holds no optimizer: its header has no {HEADER_KEY!r}")
    try:
        saved = parse(header)
        version = saved.get("version")
        if type(version) is not int or version < 1:
            raise ValueError(f"`version` is {shown(version)}")
    except ValueError as error:
        raise ValueError(f"is malformed: its {HEADER_KEY!r} cannot be read: {error}") from error
    if version > VERSION:
        raise ValueError(
            f"was written in version {version} of the format; this version of thetac reads up to {VERSION}"
        )
    source, tree = saved.get("optimizer"), saved.get("state_dict")
    try:
        if not isinstance(source, str):
            raise ValueError(f"`optimizer` is {shown(source)}, which is no name")
        state_dict = Decoder({name: file.get_tensor(name) for name in file.keys()}).decode(tree)  # noqa: SIM118
        if not isinstance(state_dict, dict):
            raise ValueError(f"`state_dict` is no dict, but of type {type(state_dict).__name__}")
        check_form(state_dict)
    except (ValueError, TypeError) as error:
        raise ValueError(f"is malformed: {error}") from error
    return state_dict, source


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
