"""A file that is no optimizer's, whatever is wrong with it, is a ValueError with its path and what is wrong.

Nothing changes then, and no file makes a tensor that is larger than those that it holds.
"""

from __future__ import annotations

import copy
import json
import math
import random
import re
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import safetensors
import safetensors.torch
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import thetac
from tests.support.checkpoint_helpers import FLOAT32, in_groups, parameters_of, train
from tests.support.runtime_helpers import assert_unchanged, picture
from thetac.runtime.checkpoints.safetensors_file import HEADER_KEY

Tree = dict[str, Any]


def optimizer_with_everything() -> thetac.AdamW:
    """One whose file has every kind of value in it that there is."""
    optimizer = thetac.AdamW(
        in_groups(parameters_of(FLOAT32)), betas=(torch.tensor(0.9), torch.tensor(0.99)), eps=math.inf
    )
    optimizer.param_groups[0]["mine"] = {
        1: (2, [None, True, "text"]),
        "sparse": torch.tensor([[0.0, 2.0], [0.0, 0.0]]).to_sparse(),
        "pairs": torch.randn(3, 2, dtype=torch.complex128).t(),
        "grad": torch.ones(2, requires_grad=True),
    }
    train(optimizer, range(3))
    return optimizer


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """What a file looks like that is well."""
    thetac.save_optimizer(optimizer_with_everything(), tmp_path / "file")
    return tmp_path / "file"


def header_of(path: Path) -> Tree:
    with safetensors.safe_open(path, framework="pt") as file:
        header: Tree = json.loads(file.metadata()[HEADER_KEY])
    return header


def with_header(path: Path, text: str) -> None:
    safetensors.torch.save_file(safetensors.torch.load_file(path), path, metadata={HEADER_KEY: text})


class LargestTensor(TorchDispatchMode):
    """Remembers how many bytes the largest tensor has that is made meanwhile."""

    bytes = 0

    def __torch_dispatch__(
        self, func: Callable[..., object], types: object, args: tuple[object, ...] = (), kwargs: Any = None
    ) -> object:
        made = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(made):
            if isinstance(leaf, Tensor) and not leaf.is_sparse:
                self.bytes = max(self.bytes, leaf.untyped_storage().nbytes())
        return made


@contextmanager
def bounded(path: Path) -> Iterator[None]:
    with LargestTensor() as largest:
        yield
    assert largest.bytes <= path.stat().st_size


# Each kind of malformation, by what it does to the JSON.


def _at(tree: Any, *keys: str | int) -> Any:
    for key in keys:
        tree = tree[key]
    return tree


def mine(header: Tree) -> dict[str, Any]:
    """The user's own values of group 0, by key: an object of pairs, as one key is a number."""
    return {str(key): value for key, value in _at(header, "state_dict", "param_groups", 0, "mine", "$items")}


def no_version(header: Tree) -> None:
    del header["version"]


def version_of_another_type(header: Tree) -> None:
    header["version"] = True


def no_name(header: Tree) -> None:
    header["optimizer"] = None


def no_state_dict(header: Tree) -> None:
    del header["state_dict"]


def list_for_state_dict(header: Tree) -> None:
    header["state_dict"] = [1]


def number_for_state(header: Tree) -> None:
    header["state_dict"]["state"] = 3


def dict_for_groups(header: Tree) -> None:
    header["state_dict"]["param_groups"] = {}


def null_for_a_group(header: Tree) -> None:
    header["state_dict"]["param_groups"][1] = None


def dict_for_params(header: Tree) -> None:
    header["state_dict"]["param_groups"][1]["params"] = {"2": 2}


def list_for_an_id(header: Tree) -> None:
    header["state_dict"]["param_groups"][1]["params"] = [2, []]


def missing_tensor(header: Tree) -> None:
    mine(header)["pairs"]["$tensor"] = "exp_avg"


def number_for_a_name(header: Tree) -> None:
    mine(header)["pairs"]["$tensor"] = 3


def number_for_float(header: Tree) -> None:
    header["state_dict"]["param_groups"][0]["eps"] = {"$float": 1}


def word_for_float(header: Tree) -> None:
    header["state_dict"]["param_groups"][0]["eps"] = {"$float": "high"}


def unknown_object(header: Tree) -> None:
    header["state_dict"]["param_groups"][0]["eps"] = {"$set": [1]}


def more_than_a_tuple(header: Tree) -> None:
    header["state_dict"]["param_groups"][0]["betas"] = {"$tuple": [0.9, 0.99], "size": 2}


def pair_of_three(header: Tree) -> None:
    header["state_dict"]["param_groups"][0]["mine"] = {"$items": [[1, 2, 3]]}


def list_for_a_key(header: Tree) -> None:
    header["state_dict"]["param_groups"][0]["mine"] = {"$items": [[[1], 2]]}


def key_twice(header: Tree) -> None:
    header["state_dict"]["param_groups"][0]["mine"] = {"$items": [[1, 2], [1, 3]]}


def two_opinions(header: Tree) -> None:
    del header["state_dict"]["state"]["$items"][3][1]["exp_avg"]["strides"]
    header["state_dict"]["param_groups"][0]["mine"] = {"$tensor": "state.3.exp_avg", "strides": [1, 6]}


def _strides(header: Tree, strides: object) -> None:
    header["state_dict"]["state"]["$items"][3][1]["exp_avg"]["strides"] = strides


def enormous_strides(header: Tree) -> None:
    _strides(header, [2_000_000_000, 1])


def strides_beyond_any_number(header: Tree) -> None:
    _strides(header, [10**30, 1])


def negative_strides(header: Tree) -> None:
    _strides(header, [-1, 6])


def overlapping_strides(header: Tree) -> None:
    _strides(header, [0, 1])


def too_few_strides(header: Tree) -> None:
    _strides(header, [1])


def words_for_strides(header: Tree) -> None:
    _strides(header, ["1", "6"])


def truth_for_strides(header: Tree) -> None:
    _strides(header, True)


def pairs_of_floats(header: Tree) -> None:
    mine(header)["grad"]["pairs"] = True


def unknown_fact(header: Tree) -> None:
    mine(header)["grad"]["offset"] = 3


def number_for_a_device(header: Tree) -> None:
    mine(header)["grad"]["device"] = 0


def device_with_a_number(header: Tree) -> None:
    mine(header)["grad"]["device"] = "cuda:0"


def word_for_requires_grad(header: Tree) -> None:
    mine(header)["grad"]["requires_grad"] = "yes"


def sparse_without_size(header: Tree) -> None:
    del mine(header)["sparse"]["size"]


def enormous_sparse_size(header: Tree) -> None:
    mine(header)["sparse"]["size"] = [2**62, 2**62]


def negative_sparse_size(header: Tree) -> None:
    mine(header)["sparse"]["size"] = [-2, 2]


def sparse_size_beyond_any_number(header: Tree) -> None:
    mine(header)["sparse"]["size"] = [10**25, 1]


def sparse_size_that_indices_leave(header: Tree) -> None:
    mine(header)["sparse"]["size"] = [2, 1]


def sparse_parts_that_are_none(header: Tree) -> None:
    mine(header)["sparse"]["$sparse"] = [{}, {}]


def strides_of_a_sparse_tensor(header: Tree) -> None:
    mine(header)["sparse"]["strides"] = [2, 1]


IN, NOTHING = "is malformed: ", ", which is not an encoded value"
GRAD, SPARSE, MOMENT = "`param_groups.0.mine.grad`", "`param_groups.0.mine.sparse`", "`state.3.exp_avg`"
MALFORMED: list[tuple[Callable[[Tree], None], str]] = [
    (no_version, f"{IN}its 'thetac_optimizer' cannot be read: `version` is None"),
    (version_of_another_type, f"{IN}its 'thetac_optimizer' cannot be read: `version` is True"),
    (no_name, f"{IN}`optimizer` is None, which is not a name"),
    (no_state_dict, f"{IN}`state_dict` is not a dict, but of type NoneType"),
    (list_for_state_dict, f"{IN}`state_dict` is not a dict, but of type list"),
    (number_for_state, f"{IN}'state' of the loaded state dict must be a dict, not int"),
    (dict_for_groups, f"{IN}'param_groups' of the loaded state dict must be a list, not dict"),
    (null_for_a_group, f"{IN}group 1 of the loaded state dict must be a dict, not NoneType"),
    (dict_for_params, f"{IN}'params' of group 1 of the loaded state dict must be a list, not dict"),
    (list_for_an_id, f"{IN}'params' of group 1 of the loaded state dict must hold ids, such as numbers, not list"),
    (missing_tensor, f"{IN}`param_groups.0.mine.pairs` is the tensor 'exp_avg', which the file does not have"),
    (
        number_for_a_name,
        f"{IN}`param_groups.0.mine.pairs` is {{'$tensor': 3, 'pairs': True, 'strides': [2, 4, 1]}}{NOTHING}",
    ),
    (number_for_float, f"{IN}`param_groups.0.eps` is {{'$float': 1}}{NOTHING}"),
    (word_for_float, f"{IN}`param_groups.0.eps` is {{'$float': 'high'}}{NOTHING}"),
    (unknown_object, f"{IN}`param_groups.0.eps` is {{'$set': [1]}}{NOTHING}"),
    (
        more_than_a_tuple,
        f"{IN}`param_groups.0.betas` is {{'$tuple': [0.9, 0.99], 'size': 2}}{NOTHING}",
    ),
    (pair_of_three, f"{IN}`param_groups.0.mine` has [1, 2, 3] instead of a pair of a key and a value"),
    (list_for_a_key, f"{IN}`param_groups.0.mine` has [1] as a key, which is of type list"),
    (key_twice, f"{IN}`param_groups.0.mine` has the key 1 twice"),
    (
        two_opinions,
        f"{IN}`param_groups.0.mine` is the tensor 'state.3.exp_avg', which has other properties elsewhere",
    ),
    (enormous_strides, f"{IN}{MOMENT} has the strides [2000000000, 1], which do not fit the shape (6, 4)"),
    (strides_beyond_any_number, f"{IN}{MOMENT} has the strides [{10**30}, 1], which do not fit the shape (6, 4)"),
    (negative_strides, f"{IN}{MOMENT} has the strides [-1, 6], which do not fit the shape (6, 4)"),
    (overlapping_strides, f"{IN}{MOMENT} has the strides [0, 1], which do not fit the shape (6, 4)"),
    (too_few_strides, f"{IN}{MOMENT} has the strides [1], which do not fit the shape (6, 4)"),
    (words_for_strides, f"{IN}{MOMENT} has ['1', '6'] instead of a list of whole numbers"),
    (truth_for_strides, f"{IN}{MOMENT} has True instead of a list of whole numbers"),
    (pairs_of_floats, f"{IN}{GRAD} is declared as pairs of float64, but is a torch.float32 tensor of shape (2,)"),
    (unknown_fact, f"{IN}{GRAD} has `offset`, which is not a property of such a tensor"),
    (number_for_a_device, f"{IN}{GRAD} has 0 instead of a type of device"),
    (device_with_a_number, f"{IN}{GRAD} has 'cuda:0' instead of a type of device"),
    (word_for_requires_grad, f"{IN}{GRAD} is a torch.float32 tensor with 'yes' as `requires_grad`"),
    (enormous_sparse_size, f"{IN}{SPARSE} is not a sparse tensor: "),
    (negative_sparse_size, f"{IN}{SPARSE} is not a sparse tensor: its size is [-2, 2]"),
    (sparse_size_beyond_any_number, f"{IN}{SPARSE} is not a sparse tensor: its size is [{10**25}, 1]"),
    (sparse_size_that_indices_leave, f"{IN}{SPARSE} is not a sparse tensor: "),
    (sparse_parts_that_are_none, f"{IN}{SPARSE} is a sparse tensor whose parts are not tensors"),
    (strides_of_a_sparse_tensor, f"{IN}{SPARSE} has `strides`, which is not a property of such a tensor"),
]


@pytest.mark.parametrize(("spoil", "text"), MALFORMED, ids=[spoil.__name__ for spoil, _ in MALFORMED])
def test_what_is_wrong_is_said_with_the_path(spoil: Callable[[Tree], None], text: str, path: Path) -> None:
    """To torch's optimizers, too, as it is said before they are asked."""
    header = header_of(path)
    spoil(header)
    with_header(path, json.dumps(header))
    for optimizer in (optimizer_with_everything(), torch.optim.AdamW(in_groups(parameters_of(FLOAT32)))):
        before = picture(optimizer)
        with bounded(path), pytest.raises(ValueError, match="malformed") as raised:
            thetac.load_optimizer(optimizer, path)
        if text.endswith(": "):  # torch's words follow
            assert str(raised.value).startswith(f"{path} {text}")
        else:
            assert str(raised.value) == f"{path} {text}"
        assert_unchanged(before, optimizer)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "Expecting value: line 1 column 1 (char 0)"),
        ('{"version": 1', "Expecting ',' delimiter: line 1 column 14 (char 13)"),
        ("[1]", "it is not an object, but [1]"),
        ('{"version": 1, "version": 2}', "an object has the key 'version' twice"),
        ('{"version": NaN}', "NaN is not JSON"),
        ('{"version": 1, "lr": -1e999}', "'-1e999' is not a number that a float can hold"),
        ("[" * 100_000, "it is nested more than 100 deep"),
        (
            f'{{"version": {"9" * 5000}}}',
            "Exceeds the limit (4300 digits) for integer string conversion: value has 5000",
        ),
    ],
    ids=["empty", "truncated", "no object", "key twice", "NaN", "too large", "deep", "digits"],
)
def test_a_header_that_is_no_json_of_ours(text: str, wrong: str, path: Path) -> None:
    with_header(path, text)
    with pytest.raises(ValueError, match="malformed") as raised:
        thetac.load_optimizer(optimizer_with_everything(), path)
    assert str(raised.value).startswith(f"{path} is malformed: its 'thetac_optimizer' cannot be read: {wrong}")


def test_nesting_has_a_limit_for_writers_and_readers_alike(path: Path) -> None:
    def nested(depth: int) -> list[Any]:
        return [nested(depth - 1)] if depth else []

    optimizer = optimizer_with_everything()
    optimizer.param_groups[0]["mine"] = nested(95)
    thetac.save_optimizer(optimizer, path)
    thetac.load_optimizer(optimizer, path)
    for depth in (96, 150, 900):
        optimizer.param_groups[0]["mine"] = nested(min(depth, 150))
        before = path.read_bytes()
        with pytest.raises(TypeError, match=re.escape(TOO_DEEP)):
            thetac.save_optimizer(optimizer, path)
        assert path.read_bytes() == before
        header = json.dumps(header_of(path)).replace('"eps":', f'"deep": {"[" * depth}1{"]" * depth}, "eps":')
        with_header(path, header)
        with pytest.raises(ValueError, match=r"'thetac_optimizer' cannot be read: it is nested more than 100 deep$"):
            thetac.load_optimizer(optimizer, path)
        path.write_bytes(before)


TOO_DEEP = "the state dict contains itself, or its JSON is nested more than 100 deep"


def test_what_contains_itself_is_not_stored(path: Path) -> None:
    optimizer = optimizer_with_everything()
    optimizer.param_groups[0]["mine"] = [optimizer.param_groups[0]["mine"]]
    optimizer.param_groups[0]["mine"].append(optimizer.param_groups[0]["mine"])
    before = path.read_bytes()
    with pytest.raises(TypeError, match=re.escape(TOO_DEEP)):
        thetac.save_optimizer(optimizer, path)
    assert path.read_bytes() == before


# Whatever a file may hold: many of them, spoilt at random, but always the same ones.


def nodes(tree: object) -> Iterator[tuple[Any, Any]]:
    """Every container within, with each of its keys or indices."""
    if isinstance(tree, dict | list):
        for key in [*tree] if isinstance(tree, dict) else range(len(tree)):
            yield tree, key
            yield from nodes(tree[key])


WRONG: tuple[object, ...] = (
    *(None, True, False, 0, 1, -1, 2, 2**31, 2**63, 10**25, 10**400, 0.5, "", "x", "state.0.step", "$tensor", "cpu"),
    *([], [0], [[]], [2**40, 1], {}, {"$tensor": "state.0.exp_avg"}, {"$tuple": []}, {"$items": [[0, 1]]}, {"$": 1}),
    *({"$float": "nan"}, {"$sparse": [], "size": [], "coalesced": True}, [{"$tensor": "state.3.exp_avg"}] * 3),
)


def spoilt(tree: Tree, random: random.Random) -> None:
    """One to three changes: something put in, taken away, moved, doubled, renamed or wrapped."""
    for _ in range(random.randint(1, 3)):
        places = [*nodes(tree)]
        container, key = random.choice(places)
        other, there = random.choice(places)
        match random.randrange(7):
            case 0 | 1:
                container[key] = copy.deepcopy(random.choice(WRONG))
            case 2:
                del container[key]
            case 3:
                container[key] = copy.deepcopy(other[there])
            case 4:
                if isinstance(container, dict):
                    container[random.choice(("strides", "size", "device", "$float", "pairs", "params"))] = (
                        container.pop(key)
                    )
                else:
                    container.append(copy.deepcopy(container[key]))
            case 5:
                for _ in range(random.choice((1, 3, 60))):
                    container[key] = [container[key]] if random.random() < 0.5 else {"$tuple": [container[key]]}
            case _:
                value = container[key]
                if type(value) is int:
                    container[key] = random.choice((-value, value + 1, value * 10**9, value / 3))
                elif isinstance(value, str):
                    container[key] = value[: len(value) // 2]
                elif isinstance(value, list):
                    random.shuffle(value)


def assert_loads_or_is_refused(optimizer: thetac.AdamW, path: Path) -> str:
    """As it should be: a ValueError with the path; or what `load_state_dict` says, with the path beside it."""
    before, caught = picture(optimizer), None
    try:
        with bounded(path):
            thetac.load_optimizer(optimizer, path)
    except Exception as error:
        caught = error
    if caught is None:
        return "loaded"
    assert_unchanged(before, optimizer)
    if isinstance(caught, ValueError) and str(caught).startswith(f"{path} "):
        return "malformed"
    assert isinstance(caught, KeyError | TypeError | ValueError | RuntimeError), repr(caught)
    assert not isinstance(caught, RecursionError | NotImplementedError), repr(caught)
    assert any(note.startswith(f"{path} was saved from ") for note in caught.__notes__), repr(caught)
    return "does not fit"


@pytest.mark.parametrize("seed", range(4))
def test_files_whose_json_is_spoilt_at_random(seed: int, path: Path) -> None:
    header, tensors = header_of(path), safetensors.torch.load_file(path)
    generator, seen = random.Random(seed), set()
    fresh = optimizer_with_everything()
    optimizer = copy.deepcopy(fresh)
    for _ in range(250):
        tree = copy.deepcopy(header)
        spoilt(tree, generator)
        safetensors.torch.save_file(tensors, path, metadata={HEADER_KEY: json.dumps(tree)})
        outcome = assert_loads_or_is_refused(optimizer, path)
        seen.add(outcome)
        if outcome == "loaded":
            optimizer = copy.deepcopy(fresh)
    assert seen == {"malformed", "does not fit", "loaded"}


@pytest.mark.parametrize("seed", range(4))
def test_files_whose_bytes_are_spoilt_at_random(seed: int, path: Path) -> None:
    """Cut off, overwritten, doubled in part; in the header of safetensors and in ours, which lies within it."""
    whole = path.read_bytes()
    (length,) = struct.unpack("<Q", whole[:8])
    generator, seen = random.Random(seed), set()
    fresh = optimizer_with_everything()
    optimizer = copy.deepcopy(fresh)
    for _ in range(250):
        head, body = bytearray(whole[8 : 8 + length]), whole[8 + length :]
        position, size = generator.randrange(length), generator.randint(1, 20)
        told = length
        match generator.randrange(5):
            case 0:
                head[position] = generator.choice(b'0123456789{}[]",:-\\ \xff')
            case 1:
                del head[position : position + size]
            case 2:
                head[position:position] = head[position : position + size]
            case 3:
                body = body[: generator.randrange(len(body))]
            case _:
                told = generator.choice((0, 1, length - 1, length + 1, 2**20, 2**63, 2**64 - 1))
        if told == length:
            told = len(head)
        path.write_bytes(struct.pack("<Q", told) + head + body)
        outcome = assert_loads_or_is_refused(optimizer, path)
        seen.add(outcome)
        if outcome == "loaded":
            optimizer = copy.deepcopy(fresh)
    assert "malformed" in seen
