"""What goes beyond torch's default path: tensor hyperparameters, autograd through a step, no host, wrong arguments."""

from __future__ import annotations

import importlib
import inspect
import warnings
from collections.abc import Iterator
from functools import partial

import pytest
import torch
from torch import Tensor
from torch.optim import Optimizer

import thetac
from tests.references.rules import rules
from tests.references.settings import settings_of
from tests.references.torch_inputs import IN_TORCH, Settings, float_settings, optimizer_info, tensor_settings
from tests.references.training import Construct, run, values
from tests.support.comparing import Within, assert_same
from tests.support.every_optimizer import MINIMIZERS, ours, torchs
from tests.support.generated_calls import call
from tests.support.torch_cases import make_mistake
from thetac.runtime.implementations.barriers import run_alone
from thetac.runtime.param_groups.groups import values_of
from thetac.runtime.param_groups.shared_numbers import numbers_of
from thetac.shape_numbers import SHAPE_NUMBERS, shape_numbers


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.complex64], ids=str)
@pytest.mark.parametrize("name", IN_TORCH)
def test_hyperparameters_given_as_tensors(name: str, dtype: torch.dtype) -> None:
    """To rounding: torch computes host numbers in the tensors' float32, which loses digits of 1 - beta2 ** step."""
    if dtype.is_complex and getattr(thetac, name).schema.complex_error:
        pytest.skip("no complex parameters, as in torch")
    start = [values((33,), dtype, torch.Generator().manual_seed(9), spread=0.5)]
    for settings in tensor_settings(name):
        constructs: list[Construct] = [partial(cls, foreach=False, **settings) for cls in (torchs(name), ours(name))]
        compare = partial(_assert_near, f"{name} with {settings}")
        run(constructs, dtype, steps=6, other={}, compare=compare, start=start)


def _prefixed(prefix: str, message: str) -> str:
    return f"{prefix}: {message}"


def _assert_near(case: str, expected: Optimizer, actual: Optimizer, message: str) -> None:
    assert_same(actual, expected, Within(rtol=2e-5, atol=2e-5), f"{case}, {message}")


@pytest.fixture
def double_precision_counters() -> Iterator[None]:
    """Counters have torch's default dtype, and powers of them are computed in it."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


DIFFERENTIABLE = [name for name in IN_TORCH if "differentiable" in inspect.signature(torchs(name)).parameters]


@pytest.mark.usefixtures("double_precision_counters")
@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_autograd_through_a_step(name: str) -> None:
    """The same values and the same derivatives by parameter, gradient and every state as torch's."""
    for settings in float_settings(name):
        wanted = _derivatives(getattr(torch.optim, name), settings)
        got = _derivatives(getattr(thetac, name), settings)
        for key in wanted:
            torch.testing.assert_close(
                got[key], wanted[key], rtol=1e-9, atol=1e-12, msg=partial(_prefixed, f"{name} {settings} {key}")
            )
        assert got.keys() == wanted.keys()


@pytest.mark.usefixtures("double_precision_counters")
@pytest.mark.parametrize("argument", ["lr", "weight_decay"])
@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
def test_autograd_through_a_hyperparameter(name: str, argument: str) -> None:
    """The steps of torch that take a tensor which requires grad are differentiable by it; so are ours."""
    found = []
    for library in (torch.optim, thetac):
        value = torch.tensor(0.1, dtype=torch.float64, requires_grad=True)
        weight = torch.linspace(-1, 1, 5, dtype=torch.float64, requires_grad=True)
        parameter = weight.clone()
        optimizer = getattr(library, name)([parameter], **{argument: value}, differentiable=True)
        parameter.grad = torch.linspace(1, 3, 5, dtype=torch.float64)
        optimizer.step()
        found.append(torch.autograd.grad(parameter.square().sum(), (value, weight)))
    torch.testing.assert_close(found[1], found[0], rtol=1e-9, atol=1e-12)


def _derivatives(cls: type[Optimizer], settings: Settings) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    leaves = {key: values((7,), torch.float64, generator, spread=0.3).requires_grad_() for key in ("param", "grad")}
    # What an optimizer remembers comes from a step of the ordinary kind.
    plain = leaves["param"].detach().clone()
    plain.grad = values((7,), torch.float64, generator, spread=0.3)
    first = cls([plain], foreach=False, **settings)
    first.step()
    parameter = leaves["param"].clone()
    optimizer = cls([parameter], differentiable=True, **settings)
    state = {}
    for key, value in first.state[plain].items():
        if value.dim():
            leaves[key] = value.clone().requires_grad_()
            state[key] = leaves[key].clone()
        else:
            state[key] = value.clone()
    if state:
        optimizer.state[parameter].update(state)
    parameter.grad = leaves["grad"].clone()
    optimizer.step()
    results = {"param": parameter} | {key: value for key, value in optimizer.state[parameter].items() if value.dim()}
    loss = sum((values((7,), torch.float64, generator) * result).sum() for result in results.values())
    assert isinstance(loss, Tensor)
    found = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True, materialize_grads=True)
    derivatives = {f"derivative by {key}": each for key, each in zip(leaves, found, strict=True)}
    return derivatives | {key: result.detach() for key, result in results.items()}


@pytest.mark.parametrize("name", sorted(rules().keys() - set(MINIMIZERS)))
def test_the_capturable_form_equals_the_for_loop(name: str) -> None:
    """Counters, scalar states and lr as tensors that no host reads: the same numbers up to rounding."""
    cls = getattr(thetac, name)
    forloop = importlib.import_module(f"{cls.schema.package}.forloop")
    for settings in settings_of(name):
        starts = [values((7,), torch.float64, torch.Generator().manual_seed(2), spread=0.5) for _ in range(2)]
        group = cls([torch.zeros(1)], **settings).param_groups[0]
        keywords = [_keywords(cls, group, starts) for _ in range(2)]
        parameters = [[start.clone() for start in starts] for _ in range(2)]
        if cls.schema.hyperparameters[0].name == "lr" and cls.schema.hyperparameters[0].tensor:
            keywords[1]["lr"] = torch.tensor(group["lr"], dtype=torch.float64)
        generator = torch.Generator().manual_seed(4)
        for step in range(12):
            grads = [values((7,), torch.float64, generator, spread=0.5) for _ in starts]
            for state in cls.schema.states:
                if state.first:
                    keywords[0][state.first] = keywords[1][state.first] = [step == 0 for _ in starts]
            forms = {"capturable": True, "differentiable": False}
            rests = [
                call(forloop.step, parameters[0], [grad.clone() for grad in grads], **keywords[0]),
                call(forloop.step_on_tensors, parameters[1], grads, **keywords[1], **forms),
            ]
            if cls.schema.waits:
                for kept, rest in zip(keywords, rests, strict=True):
                    kept |= run_alone(rest)
        wanted, got = ({**kept, "params": mine} for kept, mine in zip(keywords, parameters, strict=True))
        for key in wanted:
            if isinstance(wanted[key], list) and torch.is_tensor(wanted[key][0]):
                torch.testing.assert_close(
                    got[key], wanted[key], rtol=1e-9, atol=1e-12, msg=partial(_prefixed, f"{name} {settings} {key}")
                )


def _keywords(cls: type, group: dict[str, object], starts: list[Tensor]) -> dict[str, object]:
    schema = cls.schema
    keywords: dict[str, object] = {**values_of(schema, group), **numbers_of(schema, group)}
    for one in SHAPE_NUMBERS.values():
        keywords[one.listed] = [one.of(start.shape, 2.0**-52) for start in starts]
    for state in schema.states:
        initial = 0.0 if state.init is None else state.init(group)
        exists = state.exists(group, shape_numbers(starts[0].shape, 2.0**-52))
        shapes = [start.shape if state.kind == "tensor" else () for start in starts]
        keywords[state.argument] = [torch.full(s, initial, dtype=torch.float64) if exists else None for s in shapes]
    return keywords


@pytest.mark.parametrize("name", IN_TORCH)
def test_torch_s_error_inputs_raise_torch_s_errors(name: str) -> None:
    """Type and text, without exception."""
    for case in optimizer_info(name).optim_error_inputs_func(device="cpu", dtype=torch.float32):
        given = case.optimizer_error_input
        messages = []
        for library in (torch.optim, thetac):
            params = [torch.nn.Parameter(torch.zeros(2, 3))] if given.params is None else given.params
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                with pytest.raises(case.error_type, match=case.error_regex) as caught:
                    make_mistake(case, getattr(library, name), params)
            messages.append(str(caught.value))
        assert messages[1] == messages[0], f"{name}: {given.desc}"


@pytest.mark.parametrize("name", IN_TORCH)
def test_the_constructor_takes_the_calls_that_torch_takes(name: str) -> None:
    """Names, order, which ones may be positional, and defaults."""
    wanted, got = (inspect.signature(getattr(library, name)) for library in (torch.optim, thetac))
    for theirs, own in zip(wanted.parameters.values(), got.parameters.values(), strict=False):
        assert (own.name, own.kind, own.default) == (theirs.name, theirs.kind, theirs.default), f"{name}: {theirs}"
    more = list(got.parameters.values())[len(wanted.parameters) :]
    assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in more), f"{name}: {more}"
