"""The compiled helper: it is there on a supported torch, tries what it finds, and says of tensors what torch says."""

from __future__ import annotations

import ctypes
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses import FakeTensorMode

import thetac as ours
from tests.support.runtime_helpers import give_gradients
from thetac.runtime.tensor_facts import tensor_reader
from thetac.runtime.tensor_facts.places import Places
from thetac.runtime.tensor_facts.tensor_watch import LAZY, Watch


def test_this_torch_has_what_the_helper_needs() -> None:
    assert tensor_reader.native() is not None


@pytest.mark.parametrize(
    "mode", [nullcontext, torch.inference_mode, FakeTensorMode, lambda: torch.device("meta"), torch.no_grad]
)
def test_modes_of_torch_make_no_difference_to_what_is_found(mode: Any) -> None:
    context: AbstractContextManager[object] = mode()
    with context:
        assert tensor_reader._interface() is not None


@pytest.mark.parametrize("function", tensor_reader._FUNCTIONS)
def test_a_torch_without_one_of_the_functions_has_no_helper(function: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(tensor_reader._FUNCTIONS, function, "aoti_torch_of_another_version")
    assert tensor_reader._interface() is None


@pytest.mark.parametrize(
    ("function", "other"),
    [
        ("is_neg", "_ZN2at6native7is_conjERKNS_6TensorE"),
        ("is_conj", "_ZN2at6native6is_negERKNS_6TensorE"),
        ("bump_version", "_ZN2at6native6is_negERKNS_6TensorE"),
        ("shape", "aoti_torch_get_strides"),
        ("strides", "aoti_torch_get_sizes"),
        ("dimensions", "aoti_torch_get_numel"),
        ("data", "aoti_torch_get_numel"),
    ],
)
def test_functions_that_do_something_else_are_found_out(
    function: str, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(tensor_reader._FUNCTIONS, function, other)
    assert tensor_reader._interface() is None


def test_without_one_place_for_the_handle_there_is_no_helper(monkeypatch: pytest.MonkeyPatch) -> None:
    for word in (0, None):  # everywhere the same, nowhere the same
        monkeypatch.setattr(tensor_reader, "_word_at", lambda address, word=word: address if word is None else word)
        assert tensor_reader._interface() is None


def test_no_handle_is_kept() -> None:
    """Else `torch.utils.swap_tensors` would refuse the tensors of an optimizer that has stepped."""
    params = [torch.nn.Parameter(torch.ones(3))]
    optimizer = ours.AdamW(params, fused=True)
    give_gradients(params, 0)
    optimizer.step()
    average, other = optimizer.state[params[0]]["exp_avg"], torch.full((3,), 7.0)
    torch.utils.swap_tensors(average, other)
    params[0].grad = torch.zeros(3)
    optimizer.step()
    torch.testing.assert_close(average, torch.full((3,), 6.3))  # the swapped one was read, and written
    assert not torch.equal(other, average)


def test_a_parameter_that_becomes_lazily_negative_where_it_lies_is_noticed() -> None:
    one, twin = (ours.AdamW([torch.nn.Parameter(torch.tensor([1.0, -2.0]))], fused=fused) for fused in (True, False))
    for optimizer in (one, twin):
        param = optimizer.param_groups[0]["params"][0]
        for _ in range(2):
            param.grad = torch.tensor([0.5, 3.0])
            optimizer.step()
        param.data = torch._neg_view(param.data)
        optimizer.step()
    torch.testing.assert_close(one.param_groups[0]["params"][0], twin.param_groups[0]["params"][0])


def test_versions_are_counted_and_tensors_without_one_are_left_alone() -> None:
    with torch.inference_mode():
        unversioned = torch.ones(2)
    tensors = [torch.ones(2), unversioned, torch.nn.Parameter(torch.ones(2)), torch.ones(2).t()]
    before = [None if tensor.is_inference() else tensor._version for tensor in tensors]
    tensor_reader.mark_written([tensors], Places.all_of(len(tensors)))
    after = [None if tensor.is_inference() else tensor._version for tensor in tensors]
    assert after == [None if version is None else version + 1 for version in before]


def _watched(tensor: Tensor) -> Watch:
    return Watch([tensor], torch.zeros(1, dtype=torch.int64))


@pytest.mark.parametrize("in_python", [False, True])
def test_lazy_bits_are_seen_by_both_ways(in_python: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if in_python:
        monkeypatch.setattr("thetac.runtime.tensor_facts.tensor_watch.native", lambda: None)
    real, conjugated = torch.ones(3), torch.ones(3, dtype=torch.complex64)
    assert _watched(real).poll([torch._neg_view(real)]) == LAZY
    assert _watched(conjugated).poll([conjugated.conj()]) == LAZY
    assert _watched(conjugated).poll([conjugated]) == ""


def test_the_helper_asks_torch_for_numbers_it_knows() -> None:
    """Numbers of dtypes, layouts and devices are torch's own; they are compared, never interpreted."""
    helper = tensor_reader.native()
    assert helper is not None
    kinds = []
    for dtype in (torch.float32, torch.float64, torch.bfloat16, torch.complex64):
        kind = tensor_reader.Kind()
        assert helper.describe(torch.ones(1, dtype=dtype), helper.torch, ctypes.addressof(kind)) == 0
        kinds.append((kind.layout, kind.dtype, kind.device_type, kind.device_index))
    assert len({kind[1] for kind in kinds}) == len(kinds)
    assert len({(kind[0], *kind[2:]) for kind in kinds}) == 1
