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
from checkpoint_helpers import DTYPES, FLOAT32, in_groups, parameters_of, rich, shape_of, train
from every_optimizer import both, every_optimizer
from references.training import assert_same_bits
from runtime_helpers import assert_identical, assert_unchanged, picture
from torch import Tensor
from torch.optim import Optimizer

import thetac
from thetac.runtime.checkpoints import HEADER_KEY
from thetac.runtime.encoding import Decoder, Encoder


def trained(steps: int = 3, **options: Any) -> thetac.AdamW:
    optimizer = thetac.AdamW(in_groups(parameters_of(FLOAT32)), **options)
    train(optimizer, range(steps))
    return optimizer


def there_and_back(value: object) -> object:
    encoder = Encoder()
    text = json.dumps(encoder.encode(value), allow_nan=False)
    return Decoder(safetensors.torch.load(safetensors.torch.save(encoder.tensors))).decode(json.loads(text))


@pytest.mark.feature("state_dict", "through a safetensors file, a run goes on bit for bit")
@every_optimizer
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


# What values come back as.

PLAIN: dict[str, object] = {
    "numbers": [0, -1, 2**80, True, False, None, 0.1, -0.0, 5e-324, 1.7976931348623157e308],
    "infinities": (math.inf, -math.inf),
    "texts": ["", "$tensor", "ünï\n\x00", "\\"],
    "nested": {"a": [(1, [2, (3,)]), {}], "b": ((), [], {})},
    "keys": {1: "int", "1": "str", 2.5: "float", (1, "a"): "tuple", None: "None"},
    "dollars": {"$tensor": "no tensor", "$float": "inf", "$tuple": [1], "$items": []},
    "order": {"z": 1, "a": 2},
}


@pytest.mark.parametrize("what", PLAIN)
def test_plain_values_come_back_as_they_were(what: str) -> None:
    found = there_and_back(PLAIN[what])
    assert found == PLAIN[what]
    assert repr(found) == repr(PLAIN[what])


def test_nan_comes_back() -> None:
    found = there_and_back({"lr": math.nan, "betas": (math.nan, 0.5)})
    assert repr(found) == repr({"lr": math.nan, "betas": (math.nan, 0.5)})


_BASE = torch.arange(24.0).reshape(2, 3, 4)
TENSORS: dict[str, Tensor] = {
    "0-d": torch.tensor(3.0),
    "empty": torch.empty(0, 3),
    "transposed": _BASE.transpose(0, 2),
    "channels last": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
    "strided": _BASE[:, ::2],
    "slice": _BASE[1],
    "expanded": torch.ones(3, 1).expand(3, 4),
    "conjugated": torch.tensor([1 + 2j, 3 - 4j]).conj(),
    "negated": torch._neg_view(torch.tensor([1.0, -2.0])),
    "complex128": torch.randn(3, 2, dtype=torch.complex128).t(),
    "NaN": torch.tensor([math.nan, math.inf, -0.0]),
    "sparse": torch.tensor([[0.0, 2.0], [0.0, 0.0]]).to_sparse(),
    "sparse, not coalesced": torch.sparse_coo_tensor([[1, 1]], [2.0, 3.0], (4,), check_invariants=True),
    "sparse, empty": torch.zeros(3, 2).to_sparse(1),
    "requires grad": torch.ones(2, requires_grad=True),
}
TENSORS |= {
    str(dtype): torch.tensor([1, 0, 3]).to(dtype)
    for dtype in (
        *(torch.float64, torch.float16, torch.bfloat16, torch.complex64, torch.bool),
        *(torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.float8_e4m3fn, torch.float8_e5m2),
    )
}


def _bytes(tensor: Tensor) -> Tensor:
    return tensor.detach().resolve_conj().resolve_neg().reshape(-1).contiguous().view(torch.uint8)


@pytest.mark.parametrize("what", TENSORS)
def test_tensors_come_back_as_they_were(what: str) -> None:
    tensor = TENSORS[what]
    found = there_and_back([tensor])
    assert isinstance(found, list)
    (back,) = found
    assert (back.dtype, back.shape, back.layout) == (tensor.dtype, tensor.shape, tensor.layout)
    assert back.requires_grad == tensor.requires_grad
    if tensor.is_sparse:
        assert back.is_coalesced() == tensor.is_coalesced()
        assert_identical(tensor.to_dense(), back.to_dense())
        return
    if torch.empty_like(tensor).stride() == tensor.stride():  # dense in some order: in the same one again
        assert back.stride() == tensor.stride()
    assert_identical(_bytes(tensor), _bytes(back))


def test_a_tensor_in_two_places_is_one_again_and_two_that_overlap_are_two() -> None:
    tensor = torch.arange(6.0)
    saved = {"a": tensor, "b": [tensor, tensor[:3], tensor[1:4]], "a.b": torch.ones(1), "c": torch.nn.Parameter(tensor)}
    back = there_and_back(saved)
    assert isinstance(back, dict)
    assert back["a"] is back["b"][0]
    assert_identical(saved["b"], back["b"])
    back["b"][1].fill_(9)
    assert_identical([tensor, tensor[1:4]], [back["a"], back["b"][2]])
    assert back["c"].requires_grad


@pytest.mark.parametrize("index", [4, -1])
def test_indices_of_a_sparse_tensor_must_lie_in_it(index: int) -> None:
    """Else a file could make a step write anywhere."""
    encoder = Encoder()
    tree = encoder.encode({"a": torch.sparse_coo_tensor([[1, 1]], [2.0, 3.0], (4,), check_invariants=True)})
    encoder.tensors["a.indices"][0, 1] = index
    with pytest.raises(RuntimeError, match="index"):
        Decoder(encoder.tensors).decode(tree)


def test_names_that_come_out_alike_are_kept_apart() -> None:
    saved = {"a": {"b": torch.ones(1)}, "a.b": torch.zeros(1)}
    assert_identical(saved, there_and_back(saved))


class _Labelled(Tensor):
    pass


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (object(), "is of type object, which cannot be stored; tensors, numbers, strings, booleans, None, and dicts, "),
        ({1, 2}, "is of type set, which cannot be stored"),
        (torch.Size([1]), "is of type Size, which cannot be stored"),
        (torch.float32, "is of type dtype, which cannot be stored"),
        (torch.ones(2, device="meta"), "is a tensor on the meta device, whose values are not all here"),
        (torch.ones(2).as_subclass(_Labelled), "is of type _Labelled, whose values are not all here"),
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
        ({}, f"{path} holds no optimizer: its header has no 'thetac_optimizer'"),
        ({"format": "pt"}, f"{path} holds no optimizer: its header has no 'thetac_optimizer'"),
        (
            {HEADER_KEY: json.dumps({"version": 2, "more": []})},
            f"{path} was written in version 2 of the format; this version of thetac reads up to 1",
        ),
    ):
        _rewritten(path, metadata)
        with pytest.raises(ValueError, match="file") as raised:
            thetac.load_optimizer(optimizer, path)
        assert str(raised.value) == text
    path.write_bytes(b"weights")
    with pytest.raises(safetensors.SafetensorError):
        thetac.load_optimizer(optimizer, path)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        thetac.load_optimizer(optimizer, path)
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
