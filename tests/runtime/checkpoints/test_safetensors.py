"""`save_optimizer` and `load_optimizer`: everything comes back as it was, and no file is ever half written."""

from __future__ import annotations

import copy
import json
import math
import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
import safetensors
import safetensors.torch
import torch
from torch import Tensor
from torch.optim import Optimizer

import thetac
from tests.support.checkpoint_helpers import DTYPES, FLOAT32, in_groups, parameters_of, rich, shape_of, train
from tests.support.comparing import assert_identical, assert_same_bits
from tests.support.every_optimizer import both, every_class
from tests.support.runtime_helpers import assert_unchanged, picture
from thetac.runtime.checkpoints.safetensors_file import HEADER_KEY


def trained(steps: int = 3, **options: Any) -> thetac.AdamW:
    optimizer = thetac.AdamW(in_groups(parameters_of(FLOAT32)), **options)
    train(optimizer, range(steps))
    return optimizer


@pytest.mark.feature("state_dict", "through a safetensors file, a run goes on bit for bit")
@every_class
@pytest.mark.parametrize("mix", DTYPES)
def test_a_run_goes_on_from_a_file(name: str, mix: str, tmp_path: Path) -> None:
    """Of torch's optimizers, too."""
    path = tmp_path / "optimizer.safetensors"
    for cls in both(name):
        unbroken = cls(in_groups(parameters_of(DTYPES[mix])), **rich(name))
        train(unbroken, range(3))
        thetac.save_optimizer(unbroken, path)
        params = [param for group in unbroken.param_groups for param in group["params"]]
        broken = cls(in_groups([torch.nn.Parameter(param.detach().clone()) for param in params]))
        thetac.load_optimizer(broken, path)
        if mix == "float32" or cls is both(name)[0]:  # torch's loader rounds scalar states
            assert shape_of(broken.state_dict()) == shape_of(unbroken.state_dict())
            assert_identical(unbroken.state_dict(), broken.state_dict())
            train(unbroken, range(3, 6))
            train(broken, range(3, 6))
            assert_same_bits(unbroken, broken, name)
    assert [*tmp_path.iterdir()] == [path]


def test_tensors_are_there_for_every_reader_and_all_else_is_json(tmp_path: Path) -> None:
    optimizer = trained(betas=(torch.tensor(0.9), torch.tensor(0.99)), lr=math.inf, eps=1e-8)
    thetac.save_optimizer(optimizer, tmp_path / "file")
    tensors = safetensors.torch.load_file(tmp_path / "file")
    assert sorted(tensors) == sorted(
        [f"param_groups.0.betas.{n}" for n in range(2)]
        + [f"state.{n}.{key}" for n in range(4) for key in ("step", "exp_avg", "exp_avg_sq")]
    )
    for number, entry in optimizer.state_dict()["state"].items():
        for key, value in entry.items():
            assert_identical(value.contiguous(), tensors[f"state.{number}.{key}"])
    with safetensors.safe_open(tmp_path / "file", framework="pt") as file:
        metadata = file.metadata()
    header = json.loads(metadata.pop(HEADER_KEY))
    assert metadata == {"format": "pt"}
    assert (header["version"], header["optimizer"]) == (1, "AdamW")
    group = header["state_dict"]["param_groups"][0]
    assert group["lr"] == {"$float": "inf"}
    assert group["eps"] == 1e-8
    assert group["betas"] == {"$tuple": [{"$tensor": f"param_groups.0.betas.{n}"} for n in range(2)]}
    assert header["state_dict"]["param_groups"][1]["betas"] == group["betas"], "the same tensors, stored once"
    assert group["params"] == [0, 1]


def test_hooks_of_state_dicts_see_files_too(tmp_path: Path) -> None:
    optimizer = trained()

    def add(_: Optimizer, saved: dict[str, Any]) -> None:
        saved["epoch"] = 7

    def check(_: Optimizer, saved: dict[str, Any]) -> None:
        found.append(saved.pop("epoch"))

    found: list[object] = []
    optimizer.register_state_dict_post_hook(add)
    thetac.save_optimizer(optimizer, tmp_path / "file")
    optimizer.register_load_state_dict_pre_hook(check)
    thetac.load_optimizer(optimizer, tmp_path / "file")
    assert found == [7]


# What cannot be stored.


class _Labelled(Tensor):
    pass


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (object(), "is of type object, which cannot be stored; tensors, numbers, strings, booleans, None, and dicts, "),
        ({1, 2}, "is of type set, which cannot be stored"),
        (torch.Size([1]), "is of type Size, which cannot be stored"),
        (torch.float32, "is of type dtype, which cannot be stored"),
        (torch.ones(2, device="meta"), "is a tensor on the meta device, whose values are not all in this process"),
        (torch.ones(2).as_subclass(_Labelled), "is of type _Labelled, whose values are not all in this process"),
    ],
    ids=["object", "set", "Size", "dtype", "meta", "subclass"],
)
def test_what_cannot_be_stored_is_named_and_the_file_stays(value: object, text: str, tmp_path: Path) -> None:
    optimizer = trained()
    thetac.save_optimizer(optimizer, tmp_path / "file")
    before = (tmp_path / "file").read_bytes()
    optimizer.param_groups[1]["mine"] = [0, value]
    with pytest.raises(TypeError) as raised:
        thetac.save_optimizer(optimizer, tmp_path / "file")
    assert str(raised.value).startswith(f"param_groups.1.mine.1 {text}")
    assert (tmp_path / "file").read_bytes() == before
    assert [*tmp_path.iterdir()] == [tmp_path / "file"]


# Files.


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()], ids=["OSError", "Ctrl-C"])
def test_a_writer_that_fails_leaves_the_file_as_it_was(
    error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    thetac.save_optimizer(trained(1), path)
    before = path.read_bytes()

    def half(tensors: object, target: Path, metadata: object) -> None:
        Path(target).write_bytes(before[: len(before) // 2])
        raise error

    monkeypatch.setattr(safetensors.torch, "save_file", half)
    with pytest.raises(type(error)):
        thetac.save_optimizer(trained(2), path)
    assert path.read_bytes() == before
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize("umask", [0o022, 0o077], ids=oct)
def test_a_file_has_the_mode_that_the_user_gives_new_files(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        thetac.save_optimizer(trained(1), tmp_path / "file")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o666 & ~umask


def test_a_link_goes_on_pointing_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "latest").symlink_to(tmp_path / "runs" / "file")
    for steps in (1, 2):
        optimizer = trained(steps)
        thetac.save_optimizer(optimizer, str(tmp_path / "latest"))
        other = trained(3)
        thetac.load_optimizer(other, tmp_path / "runs" / "file")
        assert_identical(optimizer.state_dict(), other.state_dict())
    assert (tmp_path / "latest").is_symlink()


def _rewritten(path: Path, metadata: dict[str, str]) -> None:
    safetensors.torch.save_file(safetensors.torch.load_file(path), path, metadata=metadata)


def test_files_that_hold_no_optimizer_are_refused(tmp_path: Path) -> None:
    path, optimizer = tmp_path / "file", trained()
    thetac.save_optimizer(optimizer, path)
    before = picture(optimizer)
    for metadata, text in (
        ({}, f"{path} has no optimizer: its header has no 'thetac_optimizer'"),
        ({"format": "pt"}, f"{path} has no optimizer: its header has no 'thetac_optimizer'"),
        (
            {HEADER_KEY: json.dumps({"version": 2, "more": []})},
            f"{path} was written in version 2 of the format; this version of thetac reads up to 1",
        ),
    ):
        _rewritten(path, metadata)
        with pytest.raises(ValueError, match="file") as raised:
            thetac.load_optimizer(optimizer, path)
        assert str(raised.value) == text
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"/file'$"):
        thetac.load_optimizer(optimizer, path)
    with pytest.raises(IsADirectoryError, match=f"{tmp_path}"):
        thetac.load_optimizer(optimizer, tmp_path)
    assert_unchanged(before, optimizer)


def test_a_file_of_another_optimizer_says_whose_it_is(tmp_path: Path) -> None:
    optimizer = thetac.SGD(in_groups(parameters_of(FLOAT32)), momentum=0.9)
    thetac.save_optimizer(trained(), tmp_path / "file")
    before = picture(optimizer)
    with pytest.raises(ValueError, match="does not fit parameter 0 of group 0") as raised:
        thetac.load_optimizer(optimizer, tmp_path / "file")
    assert raised.value.__notes__ == [f"{tmp_path / 'file'} was saved from AdamW"]
    assert_unchanged(before, optimizer)


@pytest.mark.parametrize("module", ["safetensors", "safetensors.torch"])
def test_without_the_package_it_says_what_to_install(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    for call in (thetac.save_optimizer, thetac.load_optimizer):
        with pytest.raises(ImportError, match=r"pip install 'thetac\[safetensors\]'"):
            call(trained(1), tmp_path / "file")
    assert not [*tmp_path.iterdir()]


def test_the_state_of_the_optimizer_is_its_own_after_a_load(tmp_path: Path) -> None:
    optimizer = trained()
    thetac.save_optimizer(optimizer, tmp_path / "file")
    expected = copy.deepcopy(optimizer.state_dict())
    other = trained(1)
    thetac.load_optimizer(other, tmp_path / "file")
    train(other, range(3, 5))
    assert_identical(expected, optimizer.state_dict())
    again = trained(1)
    thetac.load_optimizer(again, tmp_path / "file")
    assert_identical(expected, again.state_dict())
