"""Rows of sparse gradients, in the for-loop and in C++ kernels, beside torch's SparseAdam and a rule without one."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

import thetac
from tests.references.training import like, values
from thetac.runtime.implementations.sparse_rows import find_rows

Options = Mapping[str, bool]
FOR_LOOP: Options = {"foreach": False}
KERNELS: Options = {"fused": True}
SETTINGS: tuple[dict[str, Any], ...] = (
    {},
    {"lr": 0.01},
    {"maximize": True},
    {"betas": (0.5, 0.0), "eps": 1e-3},
    {"lr": torch.tensor(0.01, dtype=torch.float64)},
)
KINDS = ("rows", "elements", "cancelling", "empty", "coalesced")


def starts(dtype: torch.dtype) -> list[Tensor]:
    """Vectors, matrices and more axes; without elements, transposed, stepped through, permuted."""
    generator = torch.Generator().manual_seed(1)
    found = [values(shape, dtype, generator, 1.0) for shape in ((), (1,), (9,), (7, 5), (4, 3, 2), (0, 4), (3, 0))]
    found += [values((6, 8), dtype, generator, 1.0).t(), values((29, 2), dtype, generator, 1.0)[:, 0]]
    found += [
        values((10, 4), dtype, generator, 1.0)[::2],
        values((5, 4, 3, 2), dtype, generator, 1.0).permute(2, 0, 1, 3),
    ]
    return found


def sparse(param: Tensor, kind: str, generator: torch.Generator) -> Tensor:
    """A gradient with entries of the same index, some of which cancel, with none, or coalesced."""
    dims = param.dim() if kind == "elements" else min(param.dim(), 1)
    count = 0 if kind == "empty" or not param.numel() else 6
    indices = torch.stack(
        [torch.randint(0, max(size, 1), (count,), generator=generator) for size in param.shape[:dims]]
        or [torch.zeros((0, count), dtype=torch.int64)]
    ).view(dims, count)
    found = values((count, *param.shape[dims:]), param.dtype, generator, 1.0)
    if kind == "cancelling":
        indices, found = torch.cat([indices, indices[:, :2]], 1), torch.cat([found, -found[:2]])
    made = torch.sparse_coo_tensor(indices, found, param.shape, check_invariants=True)
    return made.coalesce() if kind == "coalesced" else made


def bits(tensor: Tensor) -> Tensor:
    return tensor.detach().contiguous().view({2: torch.int16, 4: torch.int32, 8: torch.int64}[tensor.element_size()])


Make = Callable[[list[dict[str, Any]]], torch.optim.Optimizer]


def both(settings: dict[str, Any], options: Options) -> tuple[Make, Make]:
    return (
        lambda groups: torch.optim.SparseAdam(groups, **settings),
        lambda groups: thetac.SparseAdam(groups, **settings, **options),
    )


def run(
    makes: tuple[Make, Make], dtype: torch.dtype, compare: Callable[[Tensor, Tensor], None], exchanged: bool = False
) -> None:
    """Ten steps of two optimizers, in two groups; `exchanged` hands each the checkpoint of the other after every third.

    State, counters and the order of both are compared after every step.
    """
    generator = torch.Generator().manual_seed(3)
    begin = starts(dtype)
    sides = [[like(param) for param in begin] for _ in makes]
    new = [
        lambda side=side, make=make: make([{"params": side[::2]}, {"params": side[1::2], "lr": 0.03}])
        for side, make in zip(sides, makes, strict=True)
    ]
    optimizers = [make() for make in new]
    for step in range(10):
        if step == 5:
            for optimizer in optimizers:
                for entry in optimizer.state.values():
                    entry["step"] = 68
        if exchanged and step % 3 == 2:
            saved = [through_a_file(optimizer.state_dict()) for optimizer in optimizers]
            optimizers = [make() for make in new]
            for optimizer, state in zip(optimizers, reversed(saved), strict=True):
                optimizer.load_state_dict(state)
        for index, pair in enumerate(zip(*sides, strict=True)):
            if index == 3 and step < 3:
                continue
            grad = sparse(begin[index], KINDS[(step + index) % len(KINDS)], generator)
            for param in pair:
                param.grad = grad.clone()
        for optimizer in optimizers:
            optimizer.step()
        for expected, found in zip(*sides, strict=True):
            compare(found, expected)
            wanted, state = (o.state.get(p, {}) for o, p in zip(optimizers, (expected, found), strict=True))
            assert list(wanted) == list(state)
            for key, value in wanted.items():
                if key == "step":
                    assert type(state[key]) is int
                    assert value == state[key]
                else:
                    compare(state[key], value)


def through_a_file(saved: dict[str, Any]) -> dict[str, Any]:
    file = io.BytesIO()
    torch.save(saved, file)
    file.seek(0)
    found: dict[str, Any] = torch.load(file, weights_only=True)
    return found


def same_bits(found: Tensor, expected: Tensor) -> None:
    assert found.stride() == expected.stride()
    assert torch.equal(bits(found), bits(expected))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_the_for_loop_has_torchs_bits(settings: dict[str, Any], dtype: torch.dtype) -> None:
    if isinstance(settings.get("lr"), Tensor) and dtype in (torch.bfloat16, torch.float16):
        pytest.skip("torch rounds a tensor for lr to the dtype of the elements before it multiplies by it")
    run(both(settings, FOR_LOOP), dtype, same_bits)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("options", [FOR_LOOP, KERNELS, {}], ids=["for-loop", "C++", "default"])
def test_checkpoints_are_exchanged_with_torch_in_the_middle_of_a_run(options: Options, dtype: torch.dtype) -> None:
    compare = same_bits if options is FOR_LOOP else close
    run(both({}, options), dtype, compare, exchanged=True)


def close(found: Tensor, expected: Tensor) -> None:
    assert found.stride() == expected.stride()
    limit = 1e-13 if found.dtype is torch.float64 else 1.3e-6
    torch.testing.assert_close(found, expected, rtol=limit, atol=limit)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("options", [KERNELS, {}], ids=["C++", "default"])
def test_kernels_compute_what_torch_computes(options: Options, settings: dict[str, Any], dtype: torch.dtype) -> None:
    run(both(settings, options), dtype, close)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_kernels_compute_halves_in_float32(dtype: torch.dtype) -> None:
    """As a step of the same values in float32, rounded once."""
    start, grad = starts(dtype)[3], sparse(starts(dtype)[3], "coalesced", torch.Generator().manual_seed(4))
    half, single = like(start), start.float()
    half.grad, single.grad = grad, grad.float()
    for param in (half, single):
        thetac.SparseAdam([param], fused=True).step()
    assert torch.equal(half, single.to(dtype))


def test_kernels_are_what_runs() -> None:
    params = [torch.zeros(5, 3), torch.zeros(4, 8).t()]
    optimizer = thetac.SparseAdam(params)
    for param in params:
        param.grad = sparse(param, "rows", torch.Generator().manual_seed(2))
    optimizer.step()
    assert "group 0: C++ for 1 parameter" in optimizer.explain()
    assert "for-loop for 1 parameter" in optimizer.explain()
    assert "the elements of a row are not side by side in memory" in optimizer.explain()


def test_rows_that_no_gradient_stores_are_not_touched() -> None:
    """Not even read: whatever they hold."""
    param = torch.full((6, 4), float("nan"))
    param[[1, 4]] = 1.0
    optimizer = thetac.SparseAdam([param], lr=0.5)
    param.grad = torch.sparse_coo_tensor(torch.tensor([[4, 1]]), torch.ones(2, 4), (6, 4), check_invariants=True)
    optimizer.step()
    assert param.isnan().sum() == 16
    assert torch.allclose(param[[1, 4]], torch.tensor(0.5))
    assert not optimizer.state[param]["exp_avg"][[0, 2, 3, 5]].any()


@pytest.mark.parametrize("options", [FOR_LOOP, KERNELS], ids=["for-loop", "C++"])
def test_adagrads_rows(options: Options) -> None:
    """A rule that takes dense gradients, too, and has state from construction on."""
    sides = [like(param) for param in starts(torch.float64)[2:5]], [like(param) for param in starts(torch.float64)[2:5]]
    optimizers = torch.optim.Adagrad(sides[0], foreach=False), thetac.Adagrad(sides[1], **options)
    generator = torch.Generator().manual_seed(5)
    for step in range(6):
        for expected, found in zip(*sides, strict=True):
            grad = sparse(expected, KINDS[step % len(KINDS)], generator)
            expected.grad, found.grad = grad, grad.clone()
        for optimizer in optimizers:
            optimizer.step()
        for expected, found in zip(*sides, strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("options", [FOR_LOOP, KERNELS, {}], ids=["for-loop", "C++", "default"])
def test_the_scaler_unscales_entries_and_clipping_counts_sums(options: Options) -> None:
    generator = torch.Generator().manual_seed(6)
    plain, scaled, clipped = (torch.ones(6, 3) for _ in range(3))
    grad = sparse(plain, "rows", generator)
    norm = grad.coalesce().values().norm()
    thetac.SparseAdam([plain], **options)
    for param, extra in ((plain, {}), (scaled, {}), (clipped, {"clip_grad_norm": float(norm) / 2})):
        optimizer = thetac.SparseAdam([param], eps=1.0, **options, **extra)
        if param is scaled:
            param.grad = grad * 4
            scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
            scaler.scale(torch.ones(()))
            scaler.step(optimizer)
        else:
            param.grad = grad.clone()
            optimizer.step()
    assert torch.equal(plain, scaled)
    halved = torch.ones(6, 3)
    halved.grad = grad * (0.5 * norm / (norm + 1e-6))
    thetac.SparseAdam([halved], eps=1.0, **options).step()
    torch.testing.assert_close(clipped, halved, rtol=1e-6, atol=1e-6)


def test_an_infinite_gradient_is_skipped() -> None:
    param = torch.ones(3, 2)
    optimizer, scaler = thetac.SparseAdam([param], fused=True), torch.amp.GradScaler("cpu", init_scale=4.0)
    scaler.scale(torch.ones(()))
    param.grad = torch.sparse_coo_tensor(
        torch.tensor([[1, 1]]), torch.full((2, 2), float("inf")), (3, 2), check_invariants=True
    )
    scaler.step(optimizer)
    assert torch.equal(param, torch.ones(3, 2))
    assert not optimizer.state


def gradients() -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(7)
    for size in (1, 3, 40, 1000):
        for kind in KINDS:
            yield sparse(torch.zeros(size, 5), kind, generator)
        for count in (2, 500):  # many of the same
            indices = torch.randint(0, size, (1, count), generator=generator)
            yield torch.sparse_coo_tensor(indices, torch.randn(count, 5, generator=generator), (size, 5))


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")
def test_entries_are_added_up_as_by_coalesce() -> None:
    """Each row once, and the addresses point to it; torch sorts more than 16 in any order of equal ones."""
    for grad in gradients():
        rows, expected = find_rows(grad), grad.coalesce()
        assert torch.equal(rows.indices, expected.indices())
        assert rows.elements == expected.values()[:1].numel() or not len(expected.values())
        held = {v.data_ptr() + 4 * rows.elements * i: v[i] for v in rows.values for i in range(len(v))}
        for address, wanted in zip(rows.addresses.tolist(), expected.values(), strict=True):
            if grad._nnz() <= 16:
                assert torch.equal(held[address], wanted)
            else:
                torch.testing.assert_close(held[address], wanted, rtol=1e-5, atol=1e-4)
