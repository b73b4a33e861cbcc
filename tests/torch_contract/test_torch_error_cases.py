"""torch's own error cases on every optimizer, and sparse gradients; torch's classes beside them."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch.nn import Parameter

from tests.references.training import values
from tests.support.comparing import assert_same_training
from tests.support.every_optimizer import both, every_class, ours
from tests.support.torch_cases import Record, errors_of, make_mistake


@pytest.mark.feature("torch's own cases", "errors: type and text")
@every_class
def test_errors(name: str, record_property: Record) -> None:
    count = 0
    for case in errors_of(name):
        given = case.optimizer_error_input
        messages = []
        for cls in both(name):
            params = [Parameter(torch.randn(2, 3))] if given.params is None else given.params
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                with pytest.raises(case.error_type, match=case.error_regex) as caught:
                    make_mistake(case, cls, params)
            messages.append(str(caught.value))
        assert len(set(messages)) == 1, f"{given.desc}: {messages}"
        count += 1
    assert count >= 6, "those of all optimizers were not found"
    record_property("cases", count)


@pytest.mark.feature("torch's own cases", "errors: type and text")
@every_class
def test_errors_of_a_gpu(name: str) -> None:
    """The cases that torch has for GPUs need none: options that exclude each other are errors of constructors."""
    for arguments, text in (
        ({"foreach": True, "fused": True}, "`fused` and `foreach` cannot be `True` together."),
        ({"fused": True, "differentiable": True}, "`fused` does not support `differentiable`"),
    ):
        for cls in both(name):
            if "fused" not in inspect.signature(cls).parameters:
                continue  # torch's class does not have it; ours does
            with pytest.raises(RuntimeError) as caught:
                cls([torch.empty(())], **arguments)
            assert str(caught.value) == text


@pytest.mark.feature("torch's own cases", "sparse gradients")
@every_class
def test_sparse_gradients(name: str, record_property: Record) -> None:
    """Where torch's class takes them, the same; elsewhere its error, or one that says the same."""

    def step(cls: Callable[..., torch.optim.Optimizer]) -> torch.optim.Optimizer:
        param = Parameter(values((5, 3), torch.float32, torch.Generator().manual_seed(1)).clone())
        optimizer = cls([param], lr=0.1)
        for rows in ([0, 3, 0], [1, 1, 4], [2, 2, 2]):
            numbers = torch.linspace(-1, 1, 9).reshape(3, 3) * (1 + rows[0])
            param.grad = torch.sparse_coo_tensor(torch.tensor([rows]), numbers, (5, 3), check_invariants=True)
            optimizer.step()
        return optimizer

    makes = [partial(cls, foreach=False) for cls in both(name)]
    if ours(name).schema.sparse == "native":
        assert_same_training(*(step(make) for make in makes))
        return
    if ours(name).schema.sparse == "rows":
        assert_same_training(*(step(make) for make in makes), rtol=1.3e-6, atol=1e-5)
        record_property("why not", "to rounding; with dense gradients, bit for bit")
        return
    texts = []
    for make in makes:
        with pytest.raises(RuntimeError) as caught:
            step(make)
        texts.append(str(caught.value))
    assert len(set(texts)) == 1
    assert "sparse gradients" in texts[0]
    record_property("why not", "refused" + (", as by torch, in its words" if len(texts) == 2 else ""))
