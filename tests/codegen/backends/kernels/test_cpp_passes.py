"""C++ kernels of several passes: accurate, the same bits everywhere, few starts of threads, little memory."""

from __future__ import annotations

import ctypes
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from tests.support.cpp_support import HEADERS, Build, CppTraining, Options, levels
from tests.support.passes_by_hand import EXTREMES, FACTORED, TRUST, USUAL, launch, source
from tests.support.triton_support import rule_of
from thetac.codegen.ir.fused import Fused, elements_assigned
from thetac.codegen.pipeline import Source, compile_specs
from thetac.runtime.implementations.cpp_interface import Launch

Array = NDArray[np.float64]
Member = dict[str, Tensor]

SHAPES: tuple[tuple[int, ...], ...] = (
    *((), (0,), (1,), (5,), (700,), (40_000,), (3, 3), (3, 0), (0, 4), (5000, 3), (1, 700), (70, 513), (2049, 331)),
    *((129, 1030), (2, 3, 4, 5), (40, 2, 3, 3), (2, 70, 600)),
)
VECTORS = tuple(shape for shape in SHAPES if len(shape) < 2)
MATRICES = tuple(shape for shape in SHAPES if len(shape) > 1)
STEPS = 4


def random(shape: tuple[int, ...], seed: int, dtype: torch.dtype, scale: float = 1.0) -> Tensor:
    return (torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * scale).to(dtype)


def gradient(shape: tuple[int, ...], step: int, dtype: torch.dtype) -> Tensor:
    return random(shape, 100 + step, dtype, 2.0**step)


def small_shape(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return tuple(1 if index == len(shape) + axis else size for index, size in enumerate(shape))


# ------------------------------------------------------------------------------------------------------- trust ratios


def trust_row(step: int) -> list[float]:
    return [0.1, 0.999, 0.001, 1 - 0.9**step, 1 - 0.999**step, 0.1, 0.01, 0.01]


def trust_members(dtype: torch.dtype, shapes: Sequence[tuple[int, ...]] = SHAPES) -> list[Member]:
    return [
        {
            "param": random(shape, index, dtype),
            "grad": torch.zeros(shape, dtype=dtype),
            "exp_avg": torch.zeros(shape, dtype=dtype),
            "exp_avg_sq": torch.zeros(shape, dtype=dtype),
        }
        for index, shape in enumerate(shapes)
    ]


def train_trust(dtype: torch.dtype, options: Options = USUAL) -> list[Member]:
    members = trust_members(dtype)
    for step in range(1, STEPS + 1):
        for member in members:
            member["grad"].copy_(gradient(tuple(member["param"].shape), step, dtype))
        launch(TRUST, members, [trust_row(step)] * len(members), options)
    return members


def true_trust(shape: tuple[int, ...], index: int, dtype: torch.dtype) -> Array:
    """The same steps in NumPy, in float64."""
    param = random(shape, index, dtype).double().numpy()
    first, second = np.zeros(shape), np.zeros(shape)
    for step in range(1, STEPS + 1):
        weight1, beta2, weight2, correction1, correction2, eps, decay, lr = trust_row(step)
        grad = gradient(shape, step, dtype).double().numpy()
        first = first + weight1 * (grad - first)
        second = beta2 * second + weight2 * grad * grad
        direction = first / correction1 / (np.sqrt(second / correction2) + eps) + decay * param
        of_param, of_direction = np.linalg.norm(param), np.linalg.norm(direction)
        trust = of_param / of_direction if of_param > 0 and of_direction > 0 else 1.0
        param = param - lr * trust * direction
    return np.asarray(param)


# ------------------------------------------------------------------------------------------- factored second moments


def factored_row(shape: tuple[int, ...], step: int) -> list[float]:
    columns, rows = (shape[-1] if shape else 1), (shape[-2] if len(shape) > 1 else 1)
    return [0.999, step**-0.8, min(0.01, step**-0.5), columns, rows, max(int(np.prod(shape)), 1), 0.05]


def train_factored(dtype: torch.dtype, options: Options = USUAL) -> list[Member]:
    members: list[Member] = []
    for shapes in (VECTORS, MATRICES):
        tall = shapes is MATRICES
        own: list[Member] = []
        for index, shape in enumerate(shapes):
            member = {"param": random(shape, index, dtype), "grad": torch.zeros(shape, dtype=dtype)}
            states = {"row_var": small_shape(shape, -1), "col_var": small_shape(shape, -2)} if tall else {}
            states = states or {"variance": shape}
            own.append(member | {name: torch.zeros(size, dtype=dtype) for name, size in states.items()})
        for step in range(1, STEPS + 1):
            for member in own:
                member["grad"].copy_(gradient(tuple(member["param"].shape), step, dtype))
            rows = [factored_row(tuple(member["param"].shape), step) for member in own]
            launch(FACTORED, own, rows, options, tall=tall)
        members += own
    return members


def true_factored(shape: tuple[int, ...], index: int, dtype: torch.dtype) -> Array:
    param = random(shape, index, dtype).double().numpy()
    tall = len(shape) > 1
    row, column, variance = 0.0, 0.0, 0.0
    for step in range(1, STEPS + 1):
        decay, weight, rate, *_, eps = factored_row(shape, step)
        grad = gradient(shape, step, dtype).double().numpy()
        scale = max(1e-3, float(np.sqrt(np.mean(param**2)))) * rate
        if tall:
            row = row + weight * (np.mean(grad**2, -1, keepdims=True) - row)
            column = column + weight * (np.mean(grad**2, -2, keepdims=True) - column)
            estimate = row * column / np.maximum(np.mean(row, -2, keepdims=True), eps)
        else:
            estimate = variance = variance + weight * (grad**2 - variance)
        update = grad / np.sqrt(np.maximum(estimate, eps * eps))
        param = param * decay - scale / max(1.0, float(np.sqrt(np.mean(update**2)))) * update
    return np.asarray(param)


@pytest.mark.parametrize(
    ("dtype", "bound"),
    [(torch.float32, 6e-7), (torch.float64, 1e-15), (torch.bfloat16, 2e-2), (torch.float16, 2e-3)],
    ids=str,
)
def test_steps_are_those_of_numpy(dtype: torch.dtype, bound: float) -> None:
    """Of every shape: 0-d, empty, narrow, wide, of several tiles along each axis, and batches of matrices."""
    for train, truth in ((train_trust, true_trust), (train_factored, true_factored)):
        counts: dict[bool, int] = {}
        for member in train(dtype):
            shape = tuple(member["param"].shape)
            tall = len(shape) > 1 and train is train_factored
            index = counts.get(tall, 0)
            counts[tall] = index + 1
            if member["param"].numel():
                far = np.abs(member["param"].double().numpy() - truth(shape, index, dtype))
                assert np.sqrt(np.mean(far**2)) < bound, f"{train.__name__}: {shape}"


# ------------------------------------------------------------------------------------------------------ the same bits


def bits(members: Sequence[Mapping[str, Tensor]]) -> list[Tensor]:
    return [tensor.reshape(-1).view(torch.uint8) for member in members for tensor in member.values()]


def test_threads_and_levels_do_not_change_a_bit() -> None:
    for train in (train_trust, train_factored):
        for dtype in (torch.float32, torch.bfloat16):
            usual = bits(train(dtype))
            for options in (*(Options(threads=n) for n in (2, 3, 5)), *(Options(level=one) for one in levels())):
                different = [not torch.equal(*pair) for pair in zip(usual, bits(train(dtype, options)), strict=True)]
                assert not any(different), f"{train.__name__}, {dtype}: {options}"


def test_chunks_do_not_change_a_bit(tmp_path: Path) -> None:
    """Where there are no axes, a tile is a chunk, and their sums are joined as the tree of all blocks has it."""
    usual = bits(train_trust(torch.float32))
    for size in (512, 4096, 131_072):
        headers = tmp_path / str(size)
        shutil.copytree(HEADERS, headers)
        text = (headers / "launch.h").read_text()
        assert "CHUNK = 32768;" in text
        (headers / "launch.h").write_text(text.replace("CHUNK = 32768;", f"CHUNK = {size};"))
        assert all(map(torch.equal, usual, bits(train_trust(torch.float32, Options(headers=headers, threads=3)))))


# ------------------------------------------------------------------------------------------------- maxima, small states


def extremes(param: Tensor, grad: Tensor, known: float, lr: float) -> tuple[Tensor, float]:
    """What the rule means, in torch's reductions."""
    if grad.numel() == 0:
        return param, max(0.5 * known, float("-inf"))
    grad = grad.double()
    matrix = grad if grad.dim() > 1 else grad.reshape(1, -1)
    most = matrix.amax()
    known = torch.maximum(torch.tensor(0.5 * known, dtype=torch.float64), most).item()
    found = matrix.amax(-1, keepdim=True) + 2 * matrix.amax(-2, keepdim=True) + 3 * matrix.amax((-2, -1), keepdim=True)
    found = found + 4 * most + 5 * matrix.sum((-2, -1), keepdim=True) - lr * known
    return param.double() + found.reshape(grad.shape), known


@pytest.mark.parametrize("nan", [False, True])
def test_maxima_of_rows_columns_and_matrices(*, nan: bool) -> None:
    """NaN wins; a number per parameter is a state that is read and stored."""
    members = []
    for index, shape in enumerate(SHAPES):
        grad = random(shape, 50 + index, torch.float64)
        if nan and grad.numel() > 7:
            grad.view(-1)[grad.numel() // 2] = float("nan")
        members.append(
            {
                "param": random(shape, index, torch.float64),
                "grad": grad,
                "known": torch.tensor(2.5, dtype=torch.float64),
            }
        )
    wanted = [extremes(member["param"], member["grad"], 2.5, 0.1) for member in members]
    launch(EXTREMES, members, [[0.1]] * len(members), Options(threads=2))
    for member, (param, known) in zip(members, wanted, strict=True):
        torch.testing.assert_close(member["param"], param, rtol=1e-12, atol=1e-11, equal_nan=True)
        torch.testing.assert_close(
            member["known"], torch.tensor(known, dtype=torch.float64), rtol=0, atol=0, equal_nan=True
        )


# ------------------------------------------------------------------------------------------------- scale and clipping


@pytest.mark.parametrize("write_back", [False, True])
def test_gradients_are_unscaled_once_and_clipped_in_every_pass(*, write_back: bool) -> None:
    """By powers of two, so exactly: what is stored is unscaled and not clipped."""
    for dtype in (torch.float32, torch.bfloat16):
        plain, scaled = trust_members(dtype, MATRICES), trust_members(dtype, MATRICES)
        for ours, theirs in zip(plain, scaled, strict=True):
            theirs["grad"].copy_(gradient(tuple(ours["param"].shape), 2, dtype))
            ours["grad"].copy_(theirs["grad"] / 8 * 0.5)
        given = [member["grad"].clone() for member in scaled]
        launch(TRUST, plain, [trust_row(1)] * len(plain))
        launch(TRUST, scaled, [trust_row(1)] * len(scaled), Options(grad_scale=8, clip=0.5, write_back=write_back))
        for ours, theirs, grad in zip(plain, scaled, given, strict=True):
            assert all(torch.equal(ours[name], theirs[name]) for name in ("param", "exp_avg", "exp_avg_sq"))
            assert torch.equal(theirs["grad"], grad / 8 if write_back else grad)


def test_every_pass_that_reads_a_gradient_reads_it_unscaled() -> None:
    shape = (70, 513)
    results = []
    for options in (Options(), Options(grad_scale=4, write_back=True), Options(grad_scale=4), Options(clip=0.25)):
        grad = gradient(shape, 1, torch.float32)
        if options.grad_scale != 1 or options.clip != 1:
            grad = grad * 4
        states = {name: torch.zeros(small_shape(shape, axis)) for name, axis in (("row_var", -1), ("col_var", -2))}
        member = {"param": random(shape, 0, torch.float32), "grad": grad, **states}
        launch(FACTORED, [member], [factored_row(shape, 1)], options, tall=True)
        results.append(member["param"])
    assert all(torch.equal(results[0], other) for other in results[1:])


# -------------------------------------------------------------------------------------------------------- vector code


@pytest.mark.parametrize("fused", [TRUST, FACTORED, EXTREMES], ids=["trust", "factored", "extremes"])
def test_sweeps_broadcasts_and_folds_are_vector_code(fused: Fused) -> None:
    """Loops over the elements of a block, `; i < count` and `; i < columns`; and folds, which have lanes."""
    text = {"kernels.cpp": source(fused).splitlines()}
    columns = len(fused.streams) + len(fused.small)
    _, report = Build(source(fused), (torch.float32,) * columns).made()
    verdicts: dict[tuple[str, str], set[str]] = {}
    for file, line, verdict in re.findall(r"^(\S+?):(\d+):\d+: (optimized|missed): .*loop.*$", report, re.MULTILINE):
        name = Path(file).name
        if name not in text:
            text[name] = (HEADERS / name).read_text().splitlines()
        verdicts.setdefault((name, text[name][int(line) - 1].strip()), set()).add(verdict)
    wanted = [key for key in verdicts if "; i < count; ++i)" in key[1] or "; i < columns; ++i)" in key[1]]
    assert {"kernels.cpp", "fold.h", "tile_folds.h"} <= {name for name, _ in wanted}
    for key in wanted:
        assert "optimized" in verdicts[key], key


def test_later_passes_read_a_number_as_it_is_stored() -> None:
    """The number is rounded to float32 between passes, as in Triton's kernels: it is no longer what was computed."""
    text = """
optimizer: Thirds
summary: Made for a test.
references: [none]
hyperparameters:
  lr: {default: 1}
state:
  third: {shape: number, init: zeros}
complex: unsupported
update: |
  third = sum(grad) / 3
  spread = sum(grad - third)
  rest = third * 3 - 1 + 0 * spread
  param = param - lr * rest
"""
    (compiled,) = compile_specs([Source("thirds.yaml", text)])
    assert sum("third" in elements_assigned(one.before) for one in compiled.fused.passes[:-1]) == 1
    training = CppTraining.start(compiled, {"lr": 1.0, "maximize": False}, torch.zeros(1))
    training.step_cpp(torch.ones(1))
    assert training.param.item() == 1 - torch.tensor(1 / 3).item() * 3 != 0


def test_a_state_may_be_computed_in_a_pass_that_neither_reads_nor_writes_it() -> None:
    """A branch gives it its value for a sum; it is computed again, and stored, in the pass after that."""
    lines = ["if size(param) > 5:", "  seen = grad * 2", "else:", "  seen = grad * 3", "length = norm(seen)"]
    compiled = rule_of("\n".join([*lines, "param = param - lr * seen / length"]))
    for size in (5, 6):
        start = CppTraining.start(compiled, {"lr": 0.5, "maximize": False}, torch.zeros(size))
        start.step_cpp(torch.full((size,), 4.0))
        torch.testing.assert_close(start.param, torch.full((size,), -0.5 / size**0.5))
        assert torch.equal(start.states["seen"], torch.full((size,), 8.0 if size > 5 else 12.0))


# ----------------------------------------------------------------------------------------------------- threads, memory


def test_threads_are_started_once_per_pass() -> None:
    """Tensor programs are run where the tensor's last tile is done."""
    started: list[int] = []

    @ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint)
    def parallel(function: int, data: int, threads: int, flags: int) -> None:
        started.append(threads)
        ctypes.CFUNCTYPE(None, ctypes.c_void_p)(function)(data)

    @ctypes.CFUNCTYPE(ctypes.c_int)
    def number() -> int:
        return 0

    def call(step: object, given: Launch) -> None:
        given.parallel = ctypes.cast(parallel, ctypes.c_void_p)
        given.thread_number = ctypes.cast(number, ctypes.c_void_p)
        step(ctypes.byref(given))  # type: ignore[operator]

    members = trust_members(torch.float32, [(300, 400)])
    launch(TRUST, members, [trust_row(1)], Options(threads=4, call=call))
    assert started == [4, 4]
    started.clear()
    launch(TRUST, trust_members(torch.float32, [(10,)]), [trust_row(1)], Options(threads=4, call=call))
    assert not started


def test_a_step_may_stop_between_passes() -> None:
    whole, parts = (trust_members(torch.float32, [(300, 400), (7,)]) for _ in range(2))
    for members in (whole, parts):
        for member in members:
            member["grad"].copy_(gradient(tuple(member["param"].shape), 1, torch.float32))
    launch(TRUST, whole, [trust_row(1)] * 2)
    before = [member["param"].clone() for member in parts]
    launch(TRUST, parts, [trust_row(1)] * 2, end_pass=1)
    assert all(torch.equal(member["param"], old) for member, old in zip(parts, before, strict=True))
    assert all(torch.equal(one["exp_avg"], other["exp_avg"]) for one, other in zip(parts, whole, strict=True))


def test_memory_beside_parameters_is_little() -> None:
    """4% of the parameters and 1 MiB, for the shapes of a large model."""
    shapes = [(4096, 4096), (4096, 11_008), (32_000, 1024), (4096,)]
    for fused, count in ((TRUST, 4), (FACTORED, 3)):
        members = []
        for shape in shapes[:count]:
            one = torch.empty(shape, device="cpu")
            members.append({"param": one, "grad": one})
        of_params = sum(member["param"].nbytes for member in members)
        size = launch(fused, members, [[0.0] * 8] * count, end_pass=0, tall=fused is FACTORED)
        assert size < 0.04 * of_params + 2**20
