"""Which dtype loaded state has: its own, be it wider or narrower, wherever steps can go on with it."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import torch
import torch.distributed.checkpoint as dcp
from torch import Tensor
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_optimizer_state_dict,
    set_optimizer_state_dict,
)
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

import thetac
from tests.references.torch_inputs import IN_TORCH
from tests.support.checkpoint_helpers import (
    BFLOAT16,
    FLOAT32,
    continued,
    in_groups,
    parameters_of,
    rich,
    through_a_file,
    train,
)
from tests.support.comparing import assert_identical, assert_same_bits
from tests.support.every_optimizer import REPRESENTATIVES, of_every_class, ours, torchs
from tests.support.runtime_helpers import assert_unchanged, picture
from tests.support.stepping import CURVED
from thetac.runtime import GenericOptimizer
from thetac.runtime.param_groups.state import Entry

WIDER, NARROWER = (torch.bfloat16, torch.float32), (torch.float32, torch.bfloat16)  # of parameters, of state
MIXES = [
    *((name, mix) for mix in (WIDER, NARROWER) for name in ("AdamW", "SGD", "NAdam", "ASGD")),
    ("AdamW", (torch.float32, torch.float16)),
    ("AdamW", (torch.float64, torch.float32)),
    ("AdamW", (torch.complex64, torch.complex128)),
    ("AdamW", (torch.complex128, torch.complex64)),
]
every_mix = pytest.mark.parametrize(("name", "mix"), MIXES, ids=lambda value: str(value).replace("torch.", ""))


def mixed(
    name: str, mix: tuple[torch.dtype, torch.dtype] = WIDER, which: slice = slice(None), **options: object
) -> Optimizer:
    """A run whose state is of another dtype than its parameters: to remember more, or to need less memory."""
    of_params, of_state = mix
    params = parameters_of((of_params,) * 4)[which]
    optimizer = ours(name)(in_groups(params), **{"fused": True, **options}, **rich(name))
    train(optimizer, range(3))
    for entry in optimizer.state.values():
        for key in _tensor_states(name) & {*entry}:
            entry[key] = entry[key].to(of_state)
    train(optimizer, range(3, 5))
    return optimizer


def _tensor_states(name: str) -> set[str]:
    return {state.name for state in ours(name).schema.states if state.kind == "tensor"}


def dtypes(optimizer: Optimizer, name: str) -> set[torch.dtype]:
    return {entry[key].dtype for entry in optimizer.state.values() for key in _tensor_states(name) & {*entry}}


Way = Callable[[Optimizer, Optimizer, Path], Optimizer]


def by_state_dict(source: Optimizer, target: Optimizer, _: Path) -> Optimizer:
    target.load_state_dict(copy.deepcopy(source.state_dict()))
    return target


def by_torch_save(source: Optimizer, target: Optimizer, _: Path) -> Optimizer:
    target.load_state_dict(through_a_file(source.state_dict()))  # type: ignore[arg-type]
    return target


def by_safetensors(source: Optimizer, target: Optimizer, folder: Path) -> Optimizer:
    thetac.save_optimizer(source, folder / "file")
    thetac.load_optimizer(target, folder / "file")
    return target


def by_deepcopy(source: Optimizer, _target: Optimizer, _: Path) -> Optimizer:
    return copy.deepcopy(source)


def by_pickle(source: Optimizer, _target: Optimizer, _: Path) -> Optimizer:
    loaded = pickle.loads(pickle.dumps(source))
    assert isinstance(loaded, Optimizer)
    return loaded


WAYS: tuple[Way, ...] = (by_state_dict, by_torch_save, by_safetensors, by_deepcopy, by_pickle)


@pytest.mark.difference(
    "torch's loader rounds all state to the dtype of its parameter. Here state keeps its dtype, wider or narrower, if"
    " the group's choice is kernels, which accept any. Counters and scalar states always keep theirs."
)
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@every_mix
def test_a_run_whose_state_has_another_dtype_goes_on_with_it(
    name: str, mix: tuple[torch.dtype, torch.dtype], way: Way, tmp_path: Path
) -> None:
    unbroken = mixed(name, mix)
    plain = ours(name)(in_groups([torch.nn.Parameter(param.detach().clone()) for param in _params(unbroken)]))
    broken = way(unbroken, plain, tmp_path)
    assert dtypes(broken, name) == {mix[1]}
    for optimizer in (unbroken, broken):
        train(optimizer, range(5, 8))
    assert_same_bits(unbroken, broken, name)
    assert dtypes(broken, name) == {mix[1]}
    assert "1 launch per step for 3 parameters" in broken.explain()  # type: ignore[attr-defined]


@pytest.mark.parametrize("mix", [WIDER, NARROWER], ids=["wider", "narrower"])
def test_torchs_loader_rounds_it(mix: tuple[torch.dtype, torch.dtype]) -> None:
    theirs = torch.optim.AdamW(in_groups(parameters_of((mix[0],) * 4)))
    theirs.load_state_dict(copy.deepcopy(mixed("AdamW", mix).state_dict()))
    assert dtypes(theirs, "AdamW") == {mix[0]}


@pytest.mark.parametrize("state_dict_options", [{}, {"full_state_dict": True}, {"flatten_optimizer_state_dict": True}])
@pytest.mark.parametrize("mix", [WIDER, NARROWER], ids=["wider", "narrower"])
def test_it_goes_through_torchs_distributed_checkpoint(
    mix: tuple[torch.dtype, torch.dtype], state_dict_options: dict[str, bool], tmp_path: Path
) -> None:
    """Which loads into the tensors of a state dict, so these must have the dtype; there is a run that has it."""

    def run(steps: int) -> tuple[torch.nn.Module, thetac.AdamW]:
        model = torch.nn.Linear(5, 3, dtype=mix[0])
        optimizer = thetac.AdamW(model.named_parameters(), lr=0.1)
        for number in range(steps):
            train(optimizer, [number + 2])
            for entry in optimizer.state.values():
                entry |= {key: entry[key].to(mix[1]) for key in ("exp_avg", "exp_avg_sq")}
        return model, optimizer

    options = StateDictOptions(**state_dict_options)
    (model, unbroken), (other, template) = run(3), run(1)
    saving = {"optimizer": get_optimizer_state_dict(model, unbroken, options=options)}
    dcp.save(saving, checkpoint_id=tmp_path, no_dist=True)
    saved = {"optimizer": get_optimizer_state_dict(other, template, options=options)}
    dcp.load(saved, checkpoint_id=tmp_path, no_dist=True)
    other.zero_grad()  # where there are gradients, torch makes no state to load to
    fresh = thetac.AdamW(other.named_parameters(), lr=0.1)
    set_optimizer_state_dict(other, fresh, saved["optimizer"], options=options)
    other.load_state_dict(model.state_dict())
    assert dtypes(fresh, "AdamW") == {mix[1]}
    for optimizer in (unbroken, fresh):
        train(optimizer, range(5, 8))
    assert_same_bits(unbroken, fresh, "AdamW")


@pytest.mark.parametrize("mix", [WIDER, NARROWER], ids=["wider", "narrower"])
@pytest.mark.parametrize(  # an estimate is stored, and rounded, before the update reads it
    "name",
    [n for n in of_every_class() if n not in CURVED and any(s.kind == "tensor" for s in ours(n).schema.states)],
)
def test_what_kernels_cannot_take_computes_in_the_wider_dtype_too(
    name: str, mix: tuple[torch.dtype, torch.dtype]
) -> None:
    """The last parameter's gradient lies in memory in another order. In float32, then rounded, like in a kernel.

    Those of representatives are beside others, which kernels take.
    """
    optimizer = mixed(name, mix, slice(None) if name in REPRESENTATIVES else slice(-1, None))
    saved = copy.deepcopy(optimizer.state_dict())
    for group in saved["param_groups"]:
        group |= {"fused": None, "foreach": False}
    copies = [torch.nn.Parameter(param.detach().float().clone()) for param in _params(optimizer)]
    expected = ours(name)(in_groups(copies), **rich(name))
    expected.load_state_dict(saved)
    assert dtypes(expected, name) <= {torch.float32}
    train(optimizer, range(5, 6))
    for param, other in zip(_params(optimizer), copies, strict=True):
        assert param.grad is not None
        other.grad = param.grad.float()
    expected.step()
    last, other = _params(optimizer)[-1], copies[-1]
    assert_identical(other.to(mix[0]), last)
    for key, value in optimizer.state.get(last, {}).items():
        wide = {state.name for state in ours(name).schema.states if state.float64}
        assert value.dtype is (
            mix[1] if key in _tensor_states(name) else torch.float64 if key in wide else torch.float32
        )
        assert_identical(expected.state[other][key].to(value.dtype), value)
    assert "for-loop" in optimizer.explain()  # type: ignore[attr-defined]


@pytest.mark.parametrize("mix", [WIDER, NARROWER], ids=["wider", "narrower"])
@pytest.mark.parametrize("options", [{"foreach": False}, {"foreach": True}], ids=["for-loop", "foreach"])
@pytest.mark.parametrize("name", ["AdamW", "SGD", "NAdam", "ASGD"])
def test_where_an_implementation_takes_one_dtype_state_has_the_parameters(
    name: str, options: dict[str, bool], mix: tuple[torch.dtype, torch.dtype]
) -> None:
    """What the loaded groups say decides; changed afterwards, the step says what it lacks, and changes nothing."""
    saved = copy.deepcopy(mixed(name, mix).state_dict())
    kept = ours(name)(in_groups(parameters_of((mix[0],) * 4)))
    kept.load_state_dict(copy.deepcopy(saved))
    for each in (*saved["param_groups"], *kept.param_groups):
        each |= {"fused": None, **options}
    optimizer = ours(name)(in_groups(parameters_of((mix[0],) * 4)), fused=True)
    optimizer.load_state_dict(saved)
    assert dtypes(optimizer, name) == {mix[0]}
    train(optimizer, range(5, 7))
    before = picture(kept)
    with pytest.raises(
        RuntimeError, match=r"is torch\..*, its parameter torch\..*; only fused implementations take both"
    ):
        train(kept, [5])
    assert_unchanged(before, kept)


def test_a_dtype_that_kernels_do_not_take_becomes_the_parameters() -> None:
    saved = copy.deepcopy(mixed("AdamW").state_dict())
    for entry in saved["state"].values():
        entry["exp_avg"] = entry["exp_avg"].to(torch.float8_e5m2)
    optimizer = thetac.AdamW(in_groups(parameters_of(BFLOAT16)))
    optimizer.load_state_dict(saved)
    assert dtypes(optimizer, "AdamW") == {torch.bfloat16, torch.float32}
    train(optimizer, range(5, 7))


@pytest.mark.feature("state_dict", "from float32 to bfloat16 parameters, and back")
@pytest.mark.parametrize("options", [{"foreach": False}, {"foreach": True}, {"fused": True}, {}])
@pytest.mark.parametrize("name", of_every_class(IN_TORCH))
def test_a_checkpoint_of_a_float32_model_goes_on_in_a_bfloat16_model(name: str, options: dict[str, bool]) -> None:
    """And the other way round; kernels go on with the precision that is there, others with the parameter's."""
    cls = torchs(name)
    assert cls is not None
    for source, target in ((FLOAT32, BFLOAT16), (BFLOAT16, FLOAT32)):
        theirs = cls(in_groups(parameters_of(source)), **rich(name))
        train(theirs, range(3))
        saved = copy.deepcopy(theirs.state_dict())
        for group in saved["param_groups"]:
            group |= {"foreach": None, "fused": None, **options}
        mine = ours(name)(in_groups(parameters_of(target)))
        mine.load_state_dict(saved)
        assert dtypes(mine, name) == {target[0] if "foreach" in options else source[0]}
        for number, param in enumerate(_params(mine)):
            for key, value in mine.state[param].items():
                known = saved["state"][number][key]
                assert_identical(known if isinstance(known, int) else known.to(value.dtype), value)
        train(mine, range(3, 6))


def test_state_of_a_rule_written_by_hand_is_of_the_dtype_that_the_rule_gave_it() -> None:
    """Which reads and writes it; nobody else knows what it takes."""

    class Halved(GenericOptimizer):
        def __init__(self, params: ParamsT, lr: float = 0.1) -> None:
            super().__init__(params, {"lr": lr})

        def init_state(self, state: Entry, group: dict[str, Any], param: Tensor) -> None:
            state["velocity"] = torch.zeros_like(param, dtype=torch.bfloat16)
            state["sum"] = torch.zeros_like(param, dtype=torch.float64)

        def step_param(self, state: Entry, group: dict[str, Any], grad: Tensor, param: Tensor) -> None:
            velocity, total = cast(Tensor, state["velocity"]), cast(Tensor, state["sum"])
            velocity.mul_(0.9).add_(grad)
            total.add_(grad)
            param.sub_(velocity + total, alpha=group["lr"])

    unbroken = Halved(in_groups(parameters_of(FLOAT32)))
    train(unbroken, range(3))
    broken = continued(unbroken, Halved, through_a_file)
    for optimizer in (unbroken, broken):
        train(optimizer, range(3, 6))
    assert_same_bits(unbroken, broken, "Halved")
    for entry in broken.state.values():
        assert (entry["velocity"].dtype, entry["sum"].dtype) == (torch.bfloat16, torch.float64)


@pytest.mark.parametrize("name", ["NAdam", "ASGD"])
def test_scalar_states_are_not_rounded_to_the_parameters_dtype(name: str) -> None:
    """As torch's loader does; what has come through it is float32 again, so that it is not rounded at every step."""
    optimizer = ours(name)(in_groups(parameters_of(BFLOAT16)), **rich(name))
    train(optimizer, range(3))
    scalars = [state.name for state in ours(name).schema.states if state.kind != "tensor"]
    cls = torchs(name)
    assert cls is not None
    theirs = cls(in_groups(parameters_of(BFLOAT16)))
    theirs.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert torch.bfloat16 in {entry[key].dtype for entry in theirs.state.values() for key in scalars}
    for saved in (optimizer.state_dict(), theirs.state_dict()):
        other = ours(name)(in_groups(parameters_of(BFLOAT16)))
        other.load_state_dict(copy.deepcopy(saved))
        assert {entry[key].dtype for entry in other.state.values() for key in scalars} == {torch.float32}
        train(other, range(3, 5))


def _params(optimizer: Optimizer) -> list[Tensor]:
    return [param for group in optimizer.param_groups for param in group["params"]]
