"""Tensor readers: the compiled one is there on a supported torch and tries what it finds; both say what torch says."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses import FakeTensorMode

import thetac as ours
from tests.support.runtime_helpers import give_gradients
from thetac.runtime.tensor_facts import torch_interface
from thetac.runtime.tensor_facts.compiled_reader import CompiledReader, load_compiled_reader
from thetac.runtime.tensor_facts.memory import pack_integers
from thetac.runtime.tensor_facts.python_reader import PythonReader
from thetac.runtime.tensor_facts.reader_choice import load_reader
from thetac.runtime.tensor_facts.selection import Selection
from thetac.runtime.tensor_facts.tensor_reader import LAZY, STRIDES, TYPE, TensorReader, TensorWatch


@pytest.fixture(params=[PythonReader, CompiledReader])
def reader(request: pytest.FixtureRequest) -> TensorReader:
    if request.param is PythonReader:
        return PythonReader()
    found = load_compiled_reader()
    assert found is not None
    return found


@pytest.mark.parametrize(("given", "kind"), [("", CompiledReader), ("1", CompiledReader), ("0", PythonReader)])
def test_the_variable_chooses_the_reader(given: str, kind: type[TensorReader], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THETAC_COMPILED_READER", given)
    assert type(load_reader()) is kind


def test_the_compiled_reader_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("THETAC_COMPILED_READER", raising=False)
    assert type(load_reader()) is CompiledReader


def test_another_value_of_the_variable_is_an_error_of_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THETAC_COMPILED_READER", "no")
    params = [torch.nn.Parameter(torch.ones(3))]
    optimizer = ours.AdamW(params)
    give_gradients(params, 0)
    with pytest.raises(
        RuntimeError,
        match=r"^THETAC_COMPILED_READER is 'no'; it can be '1', or '0' to read tensors in Python alone$",
    ):
        optimizer.step()
    assert params[0].eq(1).all()


def test_a_step_calls_no_compiled_reader_that_is_turned_off() -> None:
    """In a process of its own, into which nothing was loaded before."""
    code = (
        "import os, torch, thetac\n"
        "param = torch.nn.Parameter(torch.ones(3))\n"
        "param.grad = torch.ones(3)\n"
        "thetac.AdamW([param], fused=True).step()\n"
        "print('/reader-' in open('/proc/self/maps').read())\n"
    )
    for value, is_loaded in (("0", "False"), ("1", "True")):
        environment = {**os.environ, "THETAC_COMPILED_READER": value}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
        assert done.stdout == f"{is_loaded}\n", value


@pytest.mark.parametrize(
    "mode", [nullcontext, torch.inference_mode, FakeTensorMode, lambda: torch.device("meta"), torch.no_grad]
)
def test_modes_of_torch_make_no_difference_to_what_is_found(mode: Any) -> None:
    context: AbstractContextManager[object] = mode()
    with context:
        assert torch_interface.find_torch_interface() is not None


@pytest.mark.parametrize("function", torch_interface.FUNCTIONS)
def test_a_torch_that_lacks_a_function_has_no_compiled_reader(function: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(torch_interface.FUNCTIONS, function, "aoti_torch_of_another_version")
    assert torch_interface.find_torch_interface() is None


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
    monkeypatch.setitem(torch_interface.FUNCTIONS, function, other)
    assert torch_interface.find_torch_interface() is None


def test_without_one_place_for_the_handle_there_is_no_compiled_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    for word in (0, None):  # everywhere the same, nowhere the same
        monkeypatch.setattr(torch_interface, "_word_at", lambda address, word=word: address if word is None else word)
        assert torch_interface.find_torch_interface() is None


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


def test_versions_are_counted_and_tensors_without_one_are_left_alone(reader: TensorReader) -> None:
    with torch.inference_mode():
        unversioned = torch.ones(2)
    tensors = [torch.ones(2), unversioned, torch.nn.Parameter(torch.ones(2)), torch.ones(2).t()]
    before = [None if tensor.is_inference() else tensor._version for tensor in tensors]
    reader.mark_written([tensors], Selection.all_of(len(tensors)))
    after = [None if tensor.is_inference() else tensor._version for tensor in tensors]
    assert after == [None if version is None else version + 1 for version in before]


def _watched(reader: TensorReader, tensor: Tensor) -> TensorWatch:
    return reader.watch_tensors([tensor], Selection.all_of(1))


def test_lazy_bits_are_seen_by_both(reader: TensorReader) -> None:
    real, conjugated = torch.ones(3), torch.ones(3, dtype=torch.complex64)
    assert _watched(reader, real).poll([torch._neg_view(real)]) == LAZY
    assert _watched(reader, conjugated).poll([conjugated.conj()]) == LAZY
    assert _watched(reader, conjugated).poll([conjugated]) == ""


def test_a_watch_observes_addresses_in_a_buffer_of_its_own(reader: TensorReader) -> None:
    tensors = [torch.ones(2), torch.ones(3), torch.ones(4)]
    watch = reader.watch_tensors(tensors, Selection([0, 2], 3))
    buffer, first = watch.addresses, watch.addresses.data_ptr()
    assert (buffer.dtype, buffer.tolist()) == (torch.int64, [tensors[0].data_ptr(), tensors[2].data_ptr()])
    assert (watch.poll(tensors), watch.moved) == ("", False)
    tensors[2] = torch.ones(4)
    assert (watch.poll(tensors), watch.moved) == ("", True)
    assert watch.addresses is buffer
    assert buffer.data_ptr() == first
    assert buffer.tolist() == [tensors[0].data_ptr(), tensors[2].data_ptr()]
    assert (watch.poll(tensors), watch.moved) == ("", False)
    tensors[1] = torch.ones(9)  # is not watched
    assert (watch.poll(tensors), watch.moved) == ("", False)
    assert watch.poll([tensors[0], tensors[1], torch.ones(8)[::2]]) == STRIDES
    assert watch.poll(tensors[:2]) == TYPE


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.int32])
def test_scalars_are_read_and_written_together(reader: TensorReader, dtype: torch.dtype) -> None:
    tensors = [torch.tensor(value, dtype=dtype) for value in (1, 5, 1)]
    scalars = reader.access_scalars(tensors, Selection([0, 2], 3))
    assert scalars.refresh(tensors)
    assert (scalars.read(tensors), scalars.read_common(tensors)) == ([1, 1], 1)
    scalars.write(tensors, pack_integers([1, 0]), [7, 8])
    assert [tensor.item() for tensor in tensors] == [8, 5, 7]
    assert (scalars.read(tensors), scalars.read_common(tensors)) == ([8, 7], None)
    tensors[0] = torch.tensor(3, dtype=dtype)
    assert scalars.refresh(tensors)
    assert scalars.read(tensors) == [3, 7]
    assert not scalars.refresh([tensors[0], tensors[1], torch.tensor(3, dtype=torch.float16)])


def test_entries_are_found_where_their_keys_are(reader: TensorReader) -> None:
    params = [torch.ones(1, requires_grad=True) for _ in range(3)]
    state = {param: {"step": index} for index, param in enumerate(params)}
    keys, values = list(state), list(state.values())
    assert reader.read_entries(keys, values, [params[2], params[0]], pack_integers([2, 0])) == [
        {"step": 2},
        {"step": 0},
    ]
    assert reader.read_entries(keys, values, [params[2], params[0]], pack_integers([1, 0])) is None
    assert reader.read_entries(keys[:2], values[:2], [params[2]], pack_integers([2])) is None
    assert reader.read_items(values, ["step", "other"]) == [[0, 1, 2], [None, None, None]]
    params[1].grad = torch.ones(1)
    assert reader.read_gradients(params) == [None, params[1].grad, None]


def test_torch_is_asked_for_numbers_that_tell_kinds_apart() -> None:
    """Numbers of dtypes, layouts and devices are torch's own; they are compared, never interpreted."""
    reader = load_compiled_reader()
    assert reader is not None
    kinds = []
    for dtype in (torch.float32, torch.float64, torch.bfloat16, torch.complex64):
        kind = reader.describe(torch.ones(1, dtype=dtype))
        assert kind is not None
        kinds.append((kind.layout, kind.dtype, kind.device_type, kind.device_index))
    assert len({kind[1] for kind in kinds}) == len(kinds)
    assert len({(kind[0], *kind[2:]) for kind in kinds}) == 1
