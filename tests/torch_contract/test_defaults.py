"""Nothing of ours follows the user's defaults: default device and dtype, deterministic and inference mode, modes."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.utils._device import _device_constructors

from tests.support.comparing import assert_same_training
from tests.support.every_optimizer import every_class, ours, remembering, torchs
from tests.support.paths import ROOT
from tests.support.reduced_numbers import reads_numbers
from tests.support.runtime_helpers import Watching, parameters

SHAPES = ((5, 3), (7,), ())
# What torch says of tensors that were made in inference mode.
OF_INFERENCE = ("Inference tensors cannot be saved for backward.", "Inplace update to inference tensor outside")
EVERY: Mapping[str, Mapping[str, bool]] = {
    "for-loop": {"foreach": False},
    "foreach": {"foreach": True},
    "fused": {"fused": True},
    "default": {},
    "differentiable": {"differentiable": True},
}
every_way = pytest.mark.parametrize("options", EVERY.values(), ids=EVERY)

# A check of every new tensor.


def _new_tensors(source: str) -> Iterator[tuple[int, str, set[str | None]]]:
    """Line, function and keywords of every call that makes a tensor where the default device says."""
    names = {function.__name__ for function in _device_constructors()}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in names:
            owner = node.func.value
            if isinstance(owner, ast.Name) and owner.id == "torch":
                yield node.lineno, node.func.attr, {keyword.arg for keyword in node.keywords}


@pytest.mark.parametrize("folder", ["runtime", "generated", "thetac", "codegen"])
def test_every_new_tensor_says_where_it_lies_and_what_it_holds(folder: str) -> None:
    files = [file for file in sorted((ROOT / folder).rglob("*.py")) if not file.is_symlink()]
    assert files
    missing = [
        f"{file.relative_to(ROOT)}:{line}: torch.{function} without {needed}="
        for file in files
        for line, function, keywords in _new_tensors(file.read_text(encoding="utf-8"))
        for needed in ("device", "dtype")
        if needed not in keywords
    ]
    assert not missing, "the default device or dtype of a user would decide:\n" + "\n".join(missing)


def test_the_check_finds_what_it_is_for() -> None:
    found = list(
        _new_tensors("a = torch.zeros(3)\nb = torch.full((), 1.0, dtype=d, device=e)\nc = torch.zeros_like(b)\n")
    )
    assert found == [(1, "zeros", set()), (2, "full", {"dtype", "device"})]


# Steps under defaults and modes.


@contextmanager
def _default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def _deterministic() -> Iterator[None]:
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


@contextmanager
def _default_device(name: str) -> Iterator[None]:
    torch.set_default_device(name)
    try:
        yield
    finally:
        torch.set_default_device(None)


CONTEXTS: Mapping[str, Callable[[], AbstractContextManager[object]]] = {
    "default device meta": lambda: _default_device("meta"),
    "default device cpu": lambda: _default_device("cpu"),
    "within the device meta": lambda: torch.device("meta"),
    "float64": lambda: _default_dtype(torch.float64),
    "bfloat16": lambda: _default_dtype(torch.bfloat16),
    "deterministic": _deterministic,
    "inference mode": torch.inference_mode,
    "a dispatch mode": Watching,
}


def _params(options: Mapping[str, bool], dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """Leaves, but for differentiable steps, which do not take them."""
    made: list[Tensor] = [param.detach().clone() for param in parameters(SHAPES, dtype)]
    if options.get("differentiable"):
        return [param.requires_grad_().clone() for param in made]
    return [torch.nn.Parameter(param) for param in made]


def _make(cls: type[torch.optim.Optimizer], params: list[Tensor], name: str, **options: bool) -> torch.optim.Optimizer:
    optimizer = cls([torch.nn.Parameter(param.detach()) for param in params], **remembering(name), **options)  # type: ignore[arg-type]
    optimizer.param_groups[0]["params"] = params
    if optimizer.state:  # made at construction
        state = dict(optimizer.state)
        optimizer.state.clear()
        for param, entry in zip(params, state.values(), strict=True):
            optimizer.state[param] = entry
    return optimizer


def _gradients(count: int) -> list[list[Tensor]]:
    generator = torch.Generator().manual_seed(3)
    return [[torch.randn(shape, generator=generator) for shape in SHAPES] for _ in range(count)]


def _steps(optimizer: torch.optim.Optimizer, gradients: list[list[Tensor]]) -> None:
    for grads in gradients:
        for param, grad in zip(optimizer.param_groups[0]["params"], grads, strict=True):
            param.grad = grad.clone()
        optimizer.step()


def _run(
    cls: type[torch.optim.Optimizer],
    name: str,
    options: Mapping[str, bool],
    context: Callable[[], AbstractContextManager[object]],
) -> torch.optim.Optimizer | Exception:
    """Made and stepped within the context, twice after it; parameters and gradients are the user's."""
    gradients = _gradients(5)
    params = _params(options)
    try:
        with context():
            optimizer = _make(cls, params, name, **options)
            _steps(optimizer, gradients[:3])
        _steps(optimizer, gradients[3:])
    except Exception as error:
        return error
    return optimizer


@pytest.mark.parametrize("context", CONTEXTS.values(), ids=CONTEXTS)
@every_way
@every_class
def test_a_step_is_the_same_under_any_defaults(
    name: str, options: Mapping[str, bool], context: Callable[[], AbstractContextManager[object]]
) -> None:
    """Or the error that torch's optimizer of that name raises there; for one that torch does not have, Adam's."""
    found, usual = _run(ours(name), name, options, context), _run(ours(name), name, options, nullcontext)
    assert not isinstance(usual, Exception), usual
    if isinstance(found, Exception):
        control, of = torchs(name), name
        if control is None or not options.keys() <= inspect.signature(control).parameters.keys():
            control, of = torch.optim.Adam, "Adam"
        assert control is not None
        expected = _run(control, of, options, context)
        assert isinstance(expected, Exception), found
        texts = (str(found), str(expected))
        if control is not torchs(name) and all(text.startswith(OF_INFERENCE) for text in texts):
            texts = ("", "")  # which operation is the first to meet such a tensor depends on the rule
        assert (type(found), texts[0]) == (type(expected), texts[1])
        return
    # Scalar states are float64 where that is the default, as torch's are, and so less is rounded.
    wider = context is CONTEXTS["float64"] and any(
        state.kind in ("scalar", "number") for state in ours(name).schema.states
    )
    tolerance = 1e-6 if wider else 0.0
    assert_same_training(*map(_with_numbers_as_float32, (found, usual)), rtol=tolerance, atol=tolerance)


def _with_numbers_as_float32(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    """Counters and scalar states follow the default dtype, as torch's do."""
    schema = type(optimizer).schema  # type: ignore[attr-defined]
    numbers = [state.name for state in schema.states if state.kind != "tensor"]
    for entry in optimizer.state.values():
        entry |= {name: torch.as_tensor(entry[name], dtype=torch.float32) for name in numbers if name in entry}
    return optimizer


@every_way
@every_class
def test_steps_of_fake_tensors(name: str, options: Mapping[str, bool]) -> None:
    """As a program does that only asks how much memory a training needs.

    A norm of fake numbers is no number that the host could read. torch's optimizers raise the same.
    """
    schema = ours(name).schema
    reads = "differentiable" not in options and reads_numbers(name)
    with FakeTensorMode(), pytest.raises(DataDependentOutputException) if reads else nullcontext():
        params = _params(options)
        optimizer = _make(ours(name), params, name, **options)
        if "weight_decay" in optimizer.defaults:
            optimizer.param_groups[0]["weight_decay"] = 0.1  # norms may be of the decay alone
        for _ in range(2):
            for param in params:
                param.grad = torch.ones_like(param)
            optimizer.step()
        for param in params:
            for state in schema.states:
                value = optimizer.state[param].get(state.name)
                assert value is None or value.shape == state.shape_of(param.shape)


TRANSFORMS: Mapping[str, Callable[[Callable[[Tensor], Tensor]], object]] = {
    "grad": lambda function: torch.func.grad(function)(torch.ones(3)),
    "vmap": lambda function: torch.func.vmap(function)(torch.ones(2, 3)),
    "jvp": lambda function: torch.func.jvp(function, (torch.ones(3),), (torch.ones(3),)),
    "functionalize": lambda function: torch.func.functionalize(function)(torch.ones(3)),
}


def _step_within(cls: type[torch.optim.Optimizer], transform: str, **options: bool) -> torch.optim.Optimizer | str:
    """An optimizer of plain tensors that steps in a transformed function; what that raises, with nothing changed."""
    optimizer = cls(parameters(SHAPES), **options)
    gradients = _gradients(3)
    _steps(optimizer, gradients[:1])
    before = [param.detach().clone() for param in optimizer.param_groups[0]["params"]]

    def function(x: Tensor) -> Tensor:
        optimizer.step()
        return x.square().sum()

    for param, grad in zip(optimizer.param_groups[0]["params"], gradients[1], strict=True):
        param.grad = grad
    try:
        TRANSFORMS[transform](function)
    except RuntimeError as error:
        assert all(map(torch.equal, before, optimizer.param_groups[0]["params"]))
        return str(error).partition(" (aten::")[0]
    return optimizer


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("options", [EVERY["for-loop"], EVERY["foreach"], EVERY["fused"], {}], ids=str)
def test_a_step_within_a_transformed_function(options: Mapping[str, bool], transform: str) -> None:
    """The numbers of a step outside of it, or an error that torch's own steps raise there."""
    found = _step_within(ours("AdamW"), transform, **options)
    if isinstance(found, str):
        assert found in {_step_within(torch.optim.AdamW, transform, foreach=foreach) for foreach in (False, True)}
        return
    usual = ours("AdamW")(parameters(SHAPES), **options)
    _steps(usual, _gradients(3)[:2])
    assert_same_training(found, usual)
