"""Generated Triton kernels, in Triton's interpreter, against the definition of the spec and beside the for-loop."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.support.accuracy import (
    DTYPES,
    ELEMENTS_COMPARED,
    complaints,
    dtypes_of,
    gradients,
    numbers,
    parameters,
    unlike_the_for_loop,
)
from tests.support.every_optimizer import REPRESENTATIVES, of_every_class, one_in
from tests.support.triton_support import Training, combinations, every_spec, launch, shapes_of


def one_pass(dtype: torch.dtype) -> dict[str, int]:
    """One block for everything: the time of Triton's interpreter goes by operations, not by elements."""
    return {"chunk_size": ELEMENTS_COMPARED, "threads": ELEMENTS_COMPARED * dtype.itemsize // 16}


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("name", every_spec())
def test_kernels_are_as_close_to_the_definition_as_the_for_loop(name: str) -> None:
    compiled = every_spec()[name]
    found: list[str] = []
    every = [(shape, values) for shape in shapes_of(compiled) for values in combinations(compiled, shape)]
    for number, (shape, values) in enumerate(one_in(1 if name in REPRESENTATIVES else 2, every)):
        # Negating the gradient is exact in every dtype: one will do. Other dtypes change what is loaded and stored.
        in_all_dtypes = not values["maximize"] and (name in REPRESENTATIVES or number % 3 == 0)
        for dtype in dtypes_of(name) if in_all_dtypes else DTYPES[:1]:
            found += complaints(
                compiled,
                values,
                dtype,
                lambda kernel, grad, d=dtype: kernel.step_triton(grad, **one_pass(d)),
                shape=shape,
            )
    assert not found, "\n".join(found)


@pytest.mark.filterwarnings("ignore:(overflow|invalid value|divide by zero) encountered:RuntimeWarning")
@pytest.mark.parametrize("name", of_every_class(every_spec()))
def test_nan_and_infinity_propagate_as_in_the_for_loop(name: str) -> None:
    compiled = every_spec()[name]
    found: list[str] = []
    for values in combinations(compiled):
        for dtype in {torch.float32, torch.float64} & {*dtypes_of(name)}:
            found += unlike_the_for_loop(compiled, values, dtype, Training.step_triton)
    assert not found, "\n".join(found)


def guarded(tensor: Tensor, offset: int) -> tuple[Tensor, Tensor]:
    """A copy that starts `offset` elements behind an aligned address, and the memory around it."""
    around = torch.full((tensor.numel() + offset + 64,), -7.0, dtype=tensor.dtype)
    assert around.data_ptr() % 16 == 0
    inside = around[offset : offset + tensor.numel()]
    inside.copy_(tensor)
    return inside, around


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", ["AdamW", "SGD"])
def test_results_do_not_depend_on_chunks_alignment_or_neighbours(name: str, dtype: torch.dtype) -> None:
    """Tensors of many sizes in one launch, each with its own row, against one launch each in one block."""
    compiled = every_spec()[name]
    values = {**list(combinations(compiled))[-1], "maximize": False}
    chunk = 2048
    members, rows, wanted, around = [], [], [], []
    for index, size in enumerate((1, 7, 511, 512, 2047, 2048, 2049, 4096, 5000, 4096, 4100)):
        param, grad = parameters(dtype)[:size].clone(), gradients(dtype)[0][index : index + size].clone()
        alone = Training.start(compiled, values, param)
        for state in alone.states.values():
            if state.dim():
                state.copy_(numbers(index, -1, 1, dtype)[:size].abs())
        offset = index % 2 if size > 4096 else 0  # some start where no 128-bit access may
        states = {}
        for key, state in {**alone.states, "param": param, "grad": grad}.items():
            states[key], guard = guarded(state.reshape(-1), offset)
            around.append((states[key], guard))
        alone.created = False
        if "step" in alone.states:
            alone.states["step"].fill_(index)
        row, _ = alone.row()
        rows.append(row)
        members.append((states.pop("param"), states.pop("grad"), states))
        launch(compiled, values, [(alone.param, grad, alone.states)], [row], **one_pass(dtype))
        wanted.append(alone)
    launch(compiled, values, members, rows, chunk_size=chunk)
    for (param, _, states), alone in zip(members, wanted, strict=True):
        assert torch.equal(param, alone.param), f"parameter of {param.numel()} elements"
        for key, state in alone.states.items():
            if state.dim():
                assert torch.equal(states[key], state), f"{key} of {param.numel()} elements"
    for inside, guard in around:
        outside = torch.ones_like(guard, dtype=torch.bool)
        outside[inside.storage_offset() : inside.storage_offset() + inside.numel()] = False
        assert (guard[outside] == -7).all(), "a kernel wrote beside a tensor"
