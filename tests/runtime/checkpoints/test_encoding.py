"""State dicts as JSON and tensors: every value comes back as it was, types, order and aliases included."""

from __future__ import annotations

import json
import math

import pytest
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from tests.support.comparing import assert_identical
from thetac.runtime.checkpoints.decoding import Decoder
from thetac.runtime.checkpoints.encoding import Encoder


def there_and_back(value: object) -> object:
    encoder = Encoder()
    text = json.dumps(encoder.encode(value), allow_nan=False)
    return Decoder(safetensors.torch.load(safetensors.torch.save(encoder.tensors))).decode(json.loads(text))


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
    with pytest.raises(ValueError, match=r"`a` is not a sparse tensor: .*index"):
        Decoder(encoder.tensors).decode(tree)


def test_names_that_come_out_alike_are_kept_apart() -> None:
    saved = {"a": {"b": torch.ones(1)}, "a.b": torch.zeros(1)}
    assert_identical(saved, there_and_back(saved))
