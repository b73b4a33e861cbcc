"""Save and load an optimizer's state in safetensors files: tensors as such, the rest as JSON in the file's header.

In: any `torch.optim.Optimizer`, and a path. Out: a file with exactly its `state_dict()`, or the optimizer with the
state of such a file. Nothing is pickled, so an untrusted file cannot run code. A file is written under another name and
then renamed: readers of the path find the old file or the new one, complete. Must not know what state is.
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

from thetac.runtime.checkpoints.decoding import Decoder, parse, quote
from thetac.runtime.checkpoints.encoding import DEPTH, Encoder, Json, is_too_deep
from thetac.runtime.checkpoints.restore import check_form

HEADER_KEY = "thetac_optimizer"
VERSION = 1


def save_optimizer(optimizer: torch.optim.Optimizer, path: str | os.PathLike[str]) -> None:
    """Write `optimizer.state_dict()` to a safetensors file, which is replaced atomically if it exists.

    Tensors are stored in their dtypes, bit for bit; lr, betas and everything else in a group as JSON, exactly. After an
    error the file is as it was.

    Args:
        optimizer: Any optimizer of thetac, torch or others.
        path: The file to write.

    Raises:
        TypeError: A value can be stored neither as a tensor nor as JSON, such as a shard of a distributed parameter.
        OSError: The file cannot be written.
        ImportError: The package safetensors is not installed.
    """
    safetensors = _import_safetensors()
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
    with replace_file(Path(os.path.realpath(path))) as temporary:  # keep a symbolic link
        safetensors.torch.save_file(encoder.tensors, temporary, metadata={"format": "pt", HEADER_KEY: header})


def load_optimizer(optimizer: torch.optim.Optimizer, path: str | os.PathLike[str]) -> None:
    """Call `optimizer.load_state_dict` with the state of a file that `save_optimizer` has written.

    State goes to the devices of the parameters; a tensor in a group goes to the type of device that it was on, if that
    is available. The file is not trusted: no tensor is made that is larger than those in the file.

    Args:
        optimizer: The optimizer to load the state into.
        path: The file to read.

    Raises:
        ValueError: The file is malformed, has no optimizer, or is of a later version; the message begins with the path.
        KeyError, TypeError or ValueError: Its state does not fit the optimizer, as `load_state_dict` raises them.
        OSError: The file cannot be opened.
        ImportError: The package safetensors is not installed.
    """
    safetensors = _import_safetensors()
    name = os.fspath(path)
    with open(path, "rb"):  # safetensors' own errors do not name the file
        pass
    try:
        with safetensors.safe_open(path, framework="pt", device="cpu") as file:
            state_dict, source = _read(file)
    except safetensors.SafetensorError as error:
        raise ValueError(f"{name} is not a safetensors file: {error}") from error
    except ValueError as error:
        raise ValueError(f"{name} {error}") from error
    try:
        optimizer.load_state_dict(state_dict)
    except Exception as error:
        error.add_note(f"{name} was saved from {source}")
        raise


def _read(file: Any) -> tuple[dict[str, Any], str]:
    """Read the state dict of an open file and the name of the class that it is of.

    Raises:
        ValueError: The message is the predicate of a sentence about the file.
    """
    header = (file.metadata() or {}).get(HEADER_KEY)
    if header is None:
        raise ValueError(f"has no optimizer: its header has no {HEADER_KEY!r}")
    try:
        saved = parse(header)
        version = saved.get("version")
        if type(version) is not int or version < 1:
            raise ValueError(f"`version` is {quote(version)}")
    except ValueError as error:
        raise ValueError(f"is malformed: its {HEADER_KEY!r} cannot be read: {error}") from error
    if version > VERSION:
        raise ValueError(
            f"was written in version {version} of the format; this version of thetac reads up to {VERSION}"
        )
    source, tree = saved.get("optimizer"), saved.get("state_dict")
    try:
        if not isinstance(source, str):
            raise ValueError(f"`optimizer` is {quote(source)}, which is not a name")
        state_dict = Decoder({name: file.get_tensor(name) for name in file.keys()}).decode(tree)  # noqa: SIM118
        if not isinstance(state_dict, dict):
            raise ValueError(f"`state_dict` is not a dict, but of type {type(state_dict).__name__}")
        check_form(state_dict)
    except (ValueError, TypeError) as error:
        raise ValueError(f"is malformed: {error}") from error
    return state_dict, source


@contextlib.contextmanager
def replace_file(path: Path) -> Iterator[Path]:
    """Give a block a temporary path to write to; it replaces the given one afterwards, unless the block raises."""
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


def _import_safetensors() -> ModuleType:
    """Import the package; raise ImportError with what to install."""
    try:
        import safetensors.torch
    except ImportError as error:
        raise ImportError(
            "optimizers are saved to and loaded from safetensors files with the package safetensors: "
            "pip install 'thetac[safetensors]'"
        ) from error
    return safetensors
