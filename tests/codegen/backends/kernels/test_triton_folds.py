"""Triton kernels with several passes, made of fused rules that are written by hand, against NumPy's float64."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from tests.support.fused_by_hand import kernels_by_hand
from tests.support.triton_support import launch_kernels

pytestmark = pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")

Array = NDArray[np.float64]
Member = dict[str, Tensor]  # param, grad and the states that exist, by name
DTYPES = (torch.float32, torch.float64, torch.bfloat16)
UNITS = {torch.float32: 2.0**-23, torch.float64: 2.0**-51, torch.bfloat16: 2.0**-7}


def exact(tensor: Tensor) -> Array:
    return tensor.double().numpy()


def made(shape: Sequence[int], dtype: torch.dtype, seed: int) -> Tensor:
    """Numbers of many magnitudes and both signs, aligned."""
    generator = torch.Generator().manual_seed(seed)
    magnitudes = torch.exp2(4 * torch.rand(tuple(shape), generator=generator, dtype=torch.float64) - 2)
    return (magnitudes * torch.sign(torch.rand(tuple(shape), generator=generator) - 0.4)).to(dtype)


class Truth:
    """What members should be, in float64, and the largest value that each of their tensors has had."""

    def __init__(self, members: Sequence[Member]) -> None:
        self.members = [{key: exact(value).copy() for key, value in member.items()} for member in members]
        self._largest = [dict.fromkeys(member, 1e-30) for member in members]

    def note(self) -> None:
        """Take note of the values after a step: what is left after cancellation is as far off as what was cancelled."""
        for member, largest in zip(self.members, self._largest, strict=True):
            for name, value in member.items():
                largest[name] = max(largest[name], float(np.abs(value).max(initial=0)))

    def assert_near(self, members: Sequence[Member], units: float) -> None:
        """Every tensor is within some units in the last place of its largest value."""
        for index, (found, wanted) in enumerate(zip(members, self.members, strict=True)):
            for name in found.keys() - {"grad"}:
                far = float(np.abs(exact(found[name]) - wanted[name]).max(initial=0))
                far /= max(UNITS[found[key].dtype] for key in (name, "param")) * self._largest[index][name]
                what = f"{name} of {tuple(found['param'].shape)}"
                assert far <= units, f"{what}: {far:.3g} units in the last place of {found[name].dtype}"


LAMB_ROW = {"beta1": 0.9, "beta2": 0.99, "eps": 1e-6, "weight_decay": 0.03, "lr": 0.02}


def lamb_row(step: int, dtype: torch.dtype) -> dict[str, float]:
    beta1, beta2 = LAMB_ROW["beta1"], LAMB_ROW["beta2"]
    return {
        "one_minus_beta1": 1 - beta1,
        "beta2": beta2,
        "one_minus_beta2": 1 - beta2,
        "bias1": 1 - beta1**step,
        "bias2": 1 - beta2**step,
        "eps": LAMB_ROW["eps"],
        "weight_decay": LAMB_ROW["weight_decay"],
        "lr": LAMB_ROW["lr"],
    }


def lamb_by_numpy(state: dict[str, Array], grad: Array, step: int, *, decays: bool) -> None:
    """You et al., arXiv:1904.00962, algorithm 2, with phi the identity."""
    row = lamb_row(step, torch.float64)
    state["exp_avg"] = state["exp_avg"] * LAMB_ROW["beta1"] + row["one_minus_beta1"] * grad
    state["exp_avg_sq"] = state["exp_avg_sq"] * row["beta2"] + row["one_minus_beta2"] * grad * grad
    direction = state["exp_avg"] / row["bias1"] / (np.sqrt(state["exp_avg_sq"] / row["bias2"]) + row["eps"])
    if decays:
        direction = direction + row["weight_decay"] * state["param"]
    norm, other = np.sqrt(np.sum(state["param"] ** 2)), np.sqrt(np.sum(direction**2))
    trust = norm / other if norm > 0 and other > 0 else 1.0
    state["param"] = state["param"] - row["lr"] * trust * direction


SIZES = ((), (1,), (7, 3), (0,), (512,), (8191,), (8192,), (3, 8195), (20000,))


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize(
    ("dtype", "decays"),
    [(torch.float32, False), (torch.float32, True), (torch.float64, True), (torch.bfloat16, True)],
    ids=str,
)
def test_trust_ratios_of_many_tensors(dtype: torch.dtype, decays: bool) -> None:
    module = kernels_by_hand("Lamb")
    members = [
        {
            "param": made(size, dtype, 1),
            "grad": torch.zeros(size, dtype=dtype),
            "exp_avg": torch.zeros(size, dtype=dtype),
            "exp_avg_sq": torch.zeros(size, dtype=dtype),
        }
        for size in SIZES
    ]
    members[4]["param"].zero_()
    truth = Truth(members)
    for number in (1, 2):
        for index, member in enumerate(members):
            member["grad"].copy_(made(member["param"].shape, dtype, 10 * number + index))
            lamb_by_numpy(truth.members[index], exact(member["grad"]), number, decays=decays)
        truth.note()
        rows = [list(lamb_row(number, dtype).values())] * len(members)
        assert launch_kernels(module, {"decays": decays}, members, rows) == 3
    truth.assert_near(members, units=3)


def adafactor_row(shape: Sequence[int], step: int) -> dict[str, float]:
    size = float(np.prod(shape))
    rows, columns = (shape[-2] if len(shape) > 1 else 1), (shape[-1] if shape else 1)
    return {
        "weight": step**-0.8,
        "eps1": 1e-30,
        "eps1_squared": 0.0,
        "eps2": 1e-3,
        "root_size": size**0.5,
        "root_size_times_d": size**0.5,
        "rho": min(0.01, step**-0.5),
        "columns_of_param": columns,
        "rows_of_param": rows,
        "keep": 1 - 0.01 * 0.1,
    }


def adafactor_by_numpy(state: dict[str, Array], grad: Array, step: int) -> None:
    """Shazeer and Stern, arXiv:1804.04235, algorithms 4 and 5, as torch has them."""
    row = adafactor_row(grad.shape, step)
    alpha = max(row["eps2"], np.sqrt(np.mean(state["param"] ** 2))) * row["rho"]
    if grad.ndim > 1:
        state["row_var"] += row["weight"] * (np.mean(grad**2, axis=-1, keepdims=True) - state["row_var"])
        state["col_var"] += row["weight"] * (np.mean(grad**2, axis=-2, keepdims=True) - state["col_var"])
        estimate = state["row_var"] * state["col_var"] / np.maximum(state["row_var"].mean(-2, keepdims=True), 1e-30)
    else:
        state["variance"] += row["weight"] * (grad**2 - state["variance"])
        estimate = state["variance"]
    update = grad / np.sqrt(estimate)
    state["param"] = state["param"] * row["keep"] - alpha / max(1.0, np.sqrt(np.mean(update**2))) * update


MATRICES = (
    *((1, 1), (1, 300), (200, 1), (3, 3), (4, 128), (9, 132), (8, 257), (131, 136)),
    *((7, 5, 3, 3), (600, 1, 1), (2, 140, 7), (2, 5, 140)),
)
VECTORS = ((), (1,), (5,), (512,), (1300,))


@pytest.mark.parametrize("shapes", [MATRICES, VECTORS], ids=["matrices", "vectors"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_rows_and_columns(dtype: torch.dtype, shapes: Sequence[Sequence[int]]) -> None:
    module = kernels_by_hand("Adafactor")
    is_matrix = shapes is MATRICES
    shapes = shapes if dtype == torch.float32 else shapes[1::2]
    members = []
    for index, shape in enumerate(shapes):
        param = made(shape, dtype, index)
        member = {"param": param, "grad": torch.zeros_like(param)}
        if is_matrix:
            member["row_var"] = torch.zeros((*shape[:-1], 1), dtype=dtype)
            member["col_var"] = torch.zeros((*shape[:-2], 1, shape[-1]), dtype=dtype)
        else:
            member["variance"] = torch.zeros_like(param)
        members.append(member)
    truth = Truth(members)
    for number in (1, 2):
        for index, member in enumerate(members):
            member["grad"].copy_(made(member["param"].shape, dtype, 10 * number + index))
            adafactor_by_numpy(truth.members[index], exact(member["grad"]), number)
        truth.note()
        rows = [list(adafactor_row(shape, number).values()) for shape in shapes]
        started = launch_kernels(module, {"matrix": is_matrix}, members, rows)
        if dtype == torch.float32:
            assert started == 5 * (6 if is_matrix else 1), "five for each sort of tile"
    truth.assert_near(members, units=3)


def unusual_by_numpy(state: dict[str, Array], grad: Array, row: Mapping[str, float], *, fancy: bool) -> None:
    threshold = state["total"] + row["floor"]
    scaled = state["param"] * (1 if threshold > 1 else 2) + state["peaks"] * (2 if row["warm"] else 1) * 0.1
    state["peaks"] = np.maximum(state["peaks"], np.abs(scaled).max(-2, keepdims=True))
    state["total"] = 0.5 * state["total"] + np.abs(scaled).max()
    of_rows = scaled.sum(-1, keepdims=True) + scaled.max(-1, keepdims=True)
    state["means"] = state["means"] + 0.3 * (of_rows - state["means"])
    peak = state["peaks"].max(-1, keepdims=True)
    share = state["means"] / np.maximum(peak, 1)
    if fancy:
        share = share + scaled.sum((-1, -2), keepdims=True) * 0.01
    share = share * (0.5 if row["warm"] else 0.25 if fancy else 1)
    grand = state["means"].sum()
    level = state["peaks"].max() if row["warm"] else 1
    state["param"] = state["param"] - row["lr"] * (grad * share + grand * 0.01 + peak * 0.001 + level * 0.002)
    state["total"] = state["total"] + np.sqrt(np.abs(grand))


def unusual_members(shapes: Sequence[Sequence[int]], dtype: torch.dtype) -> list[Member]:
    return [
        {
            "param": made(shape, dtype, index),
            "grad": torch.zeros(tuple(shape), dtype=dtype),
            "peaks": made((*shape[:-2], 1, shape[-1]), dtype, 100 + index).abs(),
            "means": made((*shape[:-1], 1), dtype, 200 + index),
            "total": torch.tensor(0.75, dtype=torch.float64),
        }
        for index, shape in enumerate(shapes)
    ]


UNUSUAL_SHAPES = ((1, 1), (3, 5), (9, 136), (4, 3, 3), (2, 3, 140), (70, 1, 1))


@pytest.mark.parametrize("fancy", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_unusual_programs(dtype: torch.dtype, fancy: bool) -> None:
    module = kernels_by_hand("Unusual")
    members = unusual_members(UNUSUAL_SHAPES, dtype)
    truth = Truth(members)
    for number in (1, 2):
        row = {"lr": 0.05, "warm": number == 2, "floor": 0.1 * number}
        for index, member in enumerate(members):
            member["grad"].copy_(made(member["param"].shape, dtype, 10 * number + index))
            unusual_by_numpy(truth.members[index], exact(member["grad"]), row, fancy=fancy)
        truth.note()
        launch_kernels(module, {"fancy": fancy}, members, [list(row.values())] * len(members))
    truth.assert_near(members, units=8)


def test_a_maximum_is_nan_where_any_element_is() -> None:
    module = kernels_by_hand("Unusual")
    members = unusual_members(((3, 5), (4, 3, 3)), torch.float32)
    for member in members:
        member["param"].view(-1)[4] = float("nan")
    launch_kernels(module, {"fancy": False}, members, [[0.1, 0, 0]] * 2)
    flat, deep = members
    assert flat["peaks"].isnan().tolist() == [[False, False, False, False, True]]
    assert deep["peaks"].isnan().flatten(1).tolist() == [[False, True, False], *[[False] * 3] * 3]
    assert all(member["total"].isnan() for member in members)


def test_scaled_gradients_are_stored_once_and_clipped_in_every_sweep() -> None:
    """What all sweeps together do is what they do to gradients that were scaled before; a skipped step does nothing."""
    for name, rows, specialisations in (
        ("Adafactor", [list(adafactor_row((5, 132), 1).values())], {"matrix": True}),
        ("Unusual", [[0.1, 1, 0]], {"fancy": True}),
    ):
        module = kernels_by_hand(name)
        (member,) = unusual_members(((5, 132),), torch.float32)
        if name == "Adafactor":
            member = {key: member[key] for key in ("param", "grad")}
            member |= {"row_var": torch.ones(5, 1), "col_var": torch.ones(1, 132)}
        member["grad"] = made((5, 132), torch.float32, 3)
        plain = {key: value.clone() for key, value in member.items()}
        scaled = {key: value.clone() for key, value in member.items()}
        scaled["grad"] *= 8
        plain["grad"] *= 0.5
        scaling = {"grad_scale": torch.tensor(8.0), "clip_factor": torch.tensor(0.5), "found_inf": torch.tensor(0.0)}
        launch_kernels(module, specialisations, [plain], rows)
        launch_kernels(module, specialisations, [scaled], rows, {**scaling, "found_inf": torch.tensor(1.0)})
        assert all(torch.equal(scaled[key], value * (8 if key == "grad" else 1)) for key, value in member.items())
        launch_kernels(module, specialisations, [scaled], rows, scaling)
        assert torch.equal(scaled["grad"], member["grad"])
        for key in plain.keys() - {"grad"}:
            assert torch.equal(scaled[key], plain[key]), key


@pytest.mark.parametrize("name", ["Lamb", "Adafactor", "Unusual"])
def test_sums_do_not_depend_on_alignment_or_neighbours(name: str) -> None:
    """Tensors in one launch, some of which start where no 128-bit access may, against one launch each."""
    module = kernels_by_hand(name)
    shapes = ((8, 128), (5, 132), (3, 7), (131, 5))
    small, streams = module.SMALL, module.STREAMS
    specialisations = {"Lamb": {"decays": True}, "Adafactor": {"matrix": True}, "Unusual": {"fancy": True}}[name]
    members: list[Member] = []
    around: list[tuple[Tensor, Tensor]] = []
    for index, shape in enumerate(shapes):
        whole = unusual_members([shape], torch.float32)[0]
        whole |= {"grad": made(shape, torch.float32, 50 + index)}
        whole |= {"row_var": whole["means"].abs(), "col_var": whole["peaks"]}
        whole |= {stream: whole["param"].abs() for stream in ("exp_avg", "exp_avg_sq")}
        member = {}
        for key in (key for key in (*streams, *small) if key in whole):
            guard = torch.full((whole[key].numel() + 65,), -7.0, dtype=whole[key].dtype)
            inside = guard[index % 2 : index % 2 + whole[key].numel()].view(whole[key].shape)
            member[key] = inside.copy_(whole[key])
            around.append((inside, guard))
        members.append(member)
    rows = {
        "Lamb": [list(lamb_row(1, torch.float32).values())] * len(shapes),
        "Adafactor": [list(adafactor_row(shape, 2).values()) for shape in shapes],
        "Unusual": [[0.1, 1, 0]] * len(shapes),
    }[name]
    wanted = [{key: value.clone() for key, value in member.items()} for member in members]
    for alone, row in zip(wanted, rows, strict=True):
        launch_kernels(module, specialisations, [alone], [row])
    launch_kernels(module, specialisations, members, rows)
    for member, alone in zip(members, wanted, strict=True):
        for key, value in alone.items():
            assert torch.equal(member[key], value), f"{key} of {tuple(member['param'].shape)}"
    for inside, guard in around:
        outside = torch.ones_like(guard, dtype=torch.bool)
        outside[inside.storage_offset() : inside.storage_offset() + inside.numel()] = False
        assert (guard[outside] == -7).all(), "a kernel wrote beside a tensor"
