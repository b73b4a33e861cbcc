"""float16 and bfloat16: in float32 throughout where no bits of torch's are owed, and said where they are."""

from __future__ import annotations

import copy
import re
import warnings

import pytest
import torch
from torch import Tensor

import thetac
from tests.references.torch_inputs import IN_TORCH
from tests.support.comparing import assert_identical, assert_same_training
from tests.support.every_optimizer import NAMES, every_class, every_optimizer, ours, remembering, torchs
from tests.support.runtime_helpers import give_gradients, parameters, run_kernels_of, train
from tests.support.step_helpers import LISTS, Options, every_list
from tests.support.stepping import CURVED
from thetac.runtime.implementations import foreach
from thetac.runtime.optimizer import Optimizer
from thetac.runtime.param_groups import checks
from thetac.runtime.param_groups.members import Member
from thetac.runtime.param_groups.shape_classes import shape_of

HALF = (torch.float16, torch.bfloat16)
OTHERS = [name for name in NAMES if name not in IN_TORCH]
every_half = pytest.mark.parametrize("dtype", HALF, ids=str)
# States that float16 cannot hold after gradients of some hundreds, whatever they are computed in: here the gradient
# over 0.01, a constant of the rule. The next step reads an infinity.
TOO_LARGE_FOR_FLOAT16 = {"ApolloMa": "direction"}
# Rules with a state that goes with the square of another one. Kernels read that one as an earlier pass has stored it: a
# last place off, which is two of its square, beside the one of the state itself.
OF_SQUARES = ("ApolloMa",)
WAYS: dict[str, dict[str, bool]] = {
    **{name: dict(options) for name, options in LISTS.items()},
    "capturable": {"capturable": True, "foreach": False},
    "differentiable": {"differentiable": True},
}


def half_and_float(
    name: str, dtype: torch.dtype, options: Options, shapes: tuple[tuple[int, ...], ...] = ((40,), (3, 5))
) -> tuple[Optimizer, Optimizer]:
    """The same parameters in half precision and, as they are, in float32."""
    halves: list[Tensor] = [param.detach() for param in parameters(shapes, dtype=dtype)]
    floats = [param.float() for param in halves]
    if not options.get("differentiable"):
        halves, floats = ([torch.nn.Parameter(param) for param in params] for params in (halves, floats))
    arguments = {**remembering(name), "weight_decay": 0.01} if _decays(name) else remembering(name)
    if name not in CURVED:
        return ours(name)(halves, **arguments, **options), ours(name)(floats, **arguments, foreach=False)
    # A step that estimates rounds twice: the estimate, and what follows. The steps behind the first one do not.
    arguments = {**arguments, "update_each": 100, "lr": 1e-3}
    half, wide = ours(name)(halves, **arguments, **options), ours(name)(floats, **arguments, foreach=False)
    train(half, 1)
    wide.param_groups[0]["steps_taken"] = 1
    return half, wide


def _decays(name: str) -> bool:
    return any(hyperparameter.name == "weight_decay" for hyperparameter in ours(name).schema.hyperparameters)


def _starts_inexactly(optimizer: Optimizer) -> bool:
    """Whether some state starts from a number that half precision rounds."""
    (group,) = optimizer.param_groups
    dtype = group["params"][0].dtype
    starts = [state.init(group) for state in optimizer.schema.states if state.init is not None]
    return any(torch.tensor(start, dtype=dtype).item() != start for start in starts)


def step_alike(half: Optimizer, wide: Optimizer, gradient: float, seed: int) -> None:
    """One step from the state that the half precision is in."""
    halves, floats = (optimizer.param_groups[0]["params"] for optimizer in (half, wide))
    with torch.no_grad():
        for param, other in zip(halves, floats, strict=True):
            other.copy_(param)
            for key, value in half.state.get(param, {}).items():
                if isinstance(value, int):
                    wide.state[other][key] = value
                    continue
                found = value.detach().clone()
                wide.state[other][key] = found.float() if found.dtype in HALF else found
    give_gradients(halves, seed)
    for param, other in zip(halves, floats, strict=True):
        assert param.grad is not None
        param.grad = (param.grad * gradient).to(param.dtype)
        other.grad = param.grad.float()
    half.step()
    wide.step()


def assert_rounded(half: Optimizer, wide: Optimizer) -> None:
    """What float32 gave, rounded once."""
    for param, other in zip(*(optimizer.param_groups[0]["params"] for optimizer in (half, wide)), strict=True):
        assert_identical(other.detach().to(param.dtype), param.detach())
        for key, value in wide.state.get(other, {}).items():
            mine = half.state[param][key]
            if isinstance(mine, int):
                assert value == mine
            else:
                assert_identical(value.to(mine.dtype), mine.detach())


@pytest.mark.parametrize("gradient", [1.0, 1e-5, 300.0])
@pytest.mark.parametrize("options", WAYS.values(), ids=WAYS)
@every_half
@pytest.mark.parametrize("name", OTHERS)
def test_a_step_is_that_of_float32_rounded_once(
    name: str, dtype: torch.dtype, options: dict[str, bool], gradient: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where squares of gradients are 0 or infinite in float16."""
    monkeypatch.setattr(checks, "_get_capturable_supported_devices", lambda: ["cpu"])
    half, wide = half_and_float(name, dtype, options)
    for step in range(3):
        step_alike(half, wide, gradient, step)
        if "capturable" in options or "differentiable" in options:
            for param, other in zip(*(one.param_groups[0]["params"] for one in (half, wide)), strict=True):
                torch.testing.assert_close(param.detach(), other.detach().to(param.dtype))
        elif step or not _starts_inexactly(half):
            assert_rounded(half, wide)
        if too_large := TOO_LARGE_FOR_FLOAT16.get(name) if dtype is torch.float16 and gradient > 1 else None:
            param, other = (one.param_groups[0]["params"][0] for one in (half, wide))
            assert half.state[param][too_large].isinf().any()
            assert wide.state[other][too_large].isfinite().all()
            break
    assert all(param.isfinite().all() for param in half.param_groups[0]["params"])


@every_half
@pytest.mark.parametrize("name", OTHERS)
def test_kernels_give_about_the_same(name: str, dtype: torch.dtype) -> None:
    """So that whether a C++ compiler is found decides nothing. Float16 has no number as small as these squares."""
    lists, kernels = (half_and_float(name, dtype, options)[0] for options in ({"foreach": True}, {"fused": True}))
    for step in range(3):
        for optimizer in (lists, kernels):
            give_gradients(optimizer.param_groups[0]["params"], step)
            for param in optimizer.param_groups[0]["params"]:
                param.grad.mul_(1e-5)
            optimizer.step()
    last_place = (3 if name in OF_SQUARES else 2) * torch.finfo(dtype).eps
    assert_same_training(lists, kernels, rtol=last_place, atol=1e-7 if dtype is torch.float16 else 1e-12)


OWN = """
optimizer: {name}
summary: One more than the gradient, and one less.
half_precision: {precision}
sparse: {sparse}
hyperparameters:
  lr: {{default: 0.5}}
update: |
  param = param - lr * (grad * 4096 - 0.5 - grad * 4095)
"""


def _own(precision: str, sparse: str = "unsupported") -> type[Optimizer]:
    return thetac.load(OWN.format(name=f"Own{precision.title()}{sparse.title()}", precision=precision, sparse=sparse))


@every_list
@every_half
def test_a_rule_of_one_s_own_says_what_it_wants(dtype: torch.dtype, options: Options) -> None:
    """Of 4096 and 4095 times something half precision has the same, or an infinity."""
    found = {}
    for precision in ("float32", "native"):
        param = torch.nn.Parameter(torch.zeros(2, dtype=dtype))
        param.grad = torch.tensor([0.5, 16.0], dtype=dtype)
        _own(precision)([param], **options).step()
        found[precision] = param.tolist()
    assert found["float32"] == [0.0, -7.75]
    assert found["native"][1] != -7.75


@pytest.mark.parametrize("sparse", ["rows", "native"])
@every_half
def test_sparse_gradients_too(sparse: str, dtype: torch.dtype) -> None:
    param = torch.nn.Parameter(torch.ones((6, 1), dtype=dtype))
    values = torch.tensor([[0.5], [16.0]], dtype=dtype)
    param.grad = torch.sparse_coo_tensor([[1, 4]], values, (6, 1), check_invariants=True)
    if sparse == "native":  # which takes what sparse tensors can do
        spec = OWN.format(name="OwnSums", precision="float32", sparse=sparse).replace(
            "grad * 4096 - 0.5 - grad * 4095", "grad"
        )
        optimizer = thetac.load(spec)([param], lr=2**-12)
        optimizer.step()
        assert param.flatten().tolist() == torch.tensor([1.0, 1 - 2**-13, 1, 1, 1 - 2**-8, 1]).to(dtype).tolist()
    else:
        _own("float32", sparse)([param], foreach=False).step()
        assert param.flatten().tolist() == [1.0, 1.0, 1.0, 1.0, -6.75, 1.0]


def test_kernels_hand_nothing_on_in_float16() -> None:
    """A later pass reads a mean of squares as it was stored: as 0, where float16 has no number as small."""
    for dtype, expected in ((torch.float16, "foreach"), (torch.bfloat16, "C++"), (torch.float32, "C++")):
        param = torch.nn.Parameter(torch.ones(3, dtype=dtype))
        param.grad = torch.full_like(param, 1e-5)
        optimizer = thetac.LAMB([param])
        optimizer.step()
        assert expected in optimizer.explain()
        assert ("float16 does not hold the small numbers" in optimizer.explain()) == (dtype is torch.float16)


def test_copies_count_against_the_memory_of_foreach(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chunk's temporaries: those of float32 and copies of parameter, gradient and state."""
    schema = thetac.Yogi.schema
    members = [
        Member(
            0,
            at,
            param,
            param,
            (torch.zeros(()), torch.zeros_like(param), torch.zeros_like(param)),
            False,
            shape_of(schema, param),
        )
        for at, param in enumerate(torch.ones(100, dtype=torch.float16) for _ in range(10))
    ]
    of_states = sum(state.kind == "tensor" for state in schema.states)
    assert len(schema.states) == 1 + of_states
    needed = 100 * 4 * (schema.foreach_temporaries + 2 + of_states)
    monkeypatch.setattr(foreach, "CPU_BUDGET", 3 * needed)
    assert [len(chunk) for chunk in foreach.chunks(schema, members)] == [3, 3, 3, 1]


def test_a_compiled_step_is_computed_in_float32_too() -> None:
    """The for-loop on tensors as dynamo traces it, without a compiler behind it."""
    half, eager = (half_and_float("Yogi", torch.float16, {"foreach": False})[0] for _ in range(2))
    step = type(half).step.__wrapped__.__wrapped__  # type: ignore[attr-defined]
    compiled = torch.compile(lambda: step(half), fullgraph=True, backend="eager")
    for seed in range(3):
        for optimizer in (half, eager):
            give_gradients(optimizer.param_groups[0]["params"], seed)
            for param in optimizer.param_groups[0]["params"]:
                param.grad.mul_(1e-5)
        compiled()
        eager.step()
    assert_same_training(half, eager, rtol=2e-3, atol=1e-6)


# Where bits of torch's are owed, and float16 is what it is there.


@every_list
@every_half
@every_class
def test_explain_says_what_it_is_computed_in(name: str, dtype: torch.dtype, options: Options) -> None:
    optimizer = ours(name)(parameters(dtype=dtype), **options)
    give_gradients(optimizer.param_groups[0]["params"], 0)
    for _ in range(2):  # before the first step, too
        lines = optimizer.explain().splitlines()
        computed = str(dtype).removeprefix("torch.") if name in IN_TORCH else "float32"
        line = next(line for line in lines if line.startswith("group"))
        assert f"), computed in {computed}, " in line
        optimizer.step()


def test_explain_of_kernels_and_of_float32_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    run_kernels_of("C++", monkeypatch)
    optimizers = [thetac.AdamW(parameters(dtype=torch.float16)), thetac.AdamW(parameters(), foreach=True)]
    for optimizer in optimizers:
        assert "computed in" not in optimizer.explain()


def test_the_warning_of_missing_kernels_says_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, also where missing kernels have been warned of before; of optimizers that do it only."""
    from thetac.runtime.building import compiled_objects

    monkeypatch.setenv("CXX", "/nowhere/c++")
    monkeypatch.setattr(compiled_objects, "_warned", set())
    monkeypatch.setattr(compiled_objects, "_known", {})
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        for cls, dtype in (
            (thetac.Lion, torch.float16),
            (thetac.AdamW, torch.float32),
            (thetac.AdamW, torch.float16),
            (thetac.SGD, torch.float16),
            (thetac.SGD, torch.float32),
        ):
            optimizer = cls(parameters(dtype=dtype))
            give_gradients(optimizer.param_groups[0]["params"], 0)
            optimizer.step()
    told = (
        "the compiler that CXX names, `/nowhere/c++`, is not installed; install one, or set CXX to the command of yours"
    )
    assert [str(one.message) for one in warned] == [
        f"optimizers run without their C++ kernels, and slower: {told}",
        "optimizers run without their C++ kernels, and slower, and compute torch.float16 as torch.optim does, in "
        f"torch.float16 instead of float32: {told}",
    ]


@every_optimizer
def test_documentation_says_it(name: str) -> None:
    text = re.sub(r"\s+", " ", ours(name).__doc__ or "")
    assert ("compute in the parameter's own dtype, as torch.optim does" in text) == (name in IN_TORCH)
    assert "float16 and bfloat16 parameters are computed in float32" in text


@every_half
@pytest.mark.parametrize("name", IN_TORCH)
def test_torch_s_bits_are_kept(name: str, dtype: torch.dtype) -> None:
    """That is what they are owed for; test_torch_parity.py has all their settings."""
    params = parameters(dtype=dtype)
    optimizers = [cls(copy.deepcopy(params), **remembering(name), foreach=False) for cls in (ours(name), torchs(name))]
    for step in range(3):
        for optimizer in optimizers:
            give_gradients(optimizer.param_groups[0]["params"], step)
            optimizer.step()
    assert_same_training(*optimizers)
