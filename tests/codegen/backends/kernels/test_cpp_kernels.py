"""What generated C++ kernels promise beside accuracy: vector code, the same bits everywhere, scale and clipping."""

from __future__ import annotations

import ctypes
import importlib
import re
import shutil
import subprocess
from collections import Counter
from functools import cache, partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

import thetac
from tests.references.rules import SPECS
from tests.support.accuracy import DTYPES, complaints, gradients, numbers, parameters, special
from tests.support.cpp_support import HEADERS, Build, CppTraining, Options, launch_cpp, levels
from tests.support.every_optimizer import REPRESENTATIVES, of_every_class
from tests.support.triton_support import (
    Values,
    combinations,
    described,
    every_spec,
    everything,
    resolved,
    rule_of,
    specialised,
    step_together,
)
from thetac.codegen.backends.kernels.cpp_tables import RESERVED
from thetac.codegen.ir.reserved_names import why_not
from thetac.codegen.passes.analysis.combinations import kernels_are_few
from thetac.codegen.pipeline import Compiled, Source, compile_specs


def built(compiled: Compiled, dtype: torch.dtype, level: str = "") -> Build:
    columns = len(compiled.fused.streams) + len(compiled.fused.small)
    alone = None if kernels_are_few(compiled.fused) else tuple(specialised(compiled.fused, last_of(compiled)).values())
    return Build(compiled.files["kernels.cpp"], (dtype,) * columns, level, holds=alone)


# ---------------------------------------------------------------------------------------------------- what is compiled


def loops(compiled: Compiled, dtype: torch.dtype) -> tuple[Counter[str], list[str]]:
    """How often the compiler made vectors of each loop over elements, and what it says of those it did not."""
    _, report = built(compiled, dtype).made()
    text = compiled.files["kernels.cpp"].splitlines()
    done: Counter[str] = Counter()
    missed = []
    for place, file, line, verdict in re.findall(r"^((\S+?):(\d+):\d+): (.*)$", report, re.MULTILINE):
        source = (text if file.endswith("kernels.cpp") else (HEADERS / Path(file).name).read_text().splitlines())[
            int(line) - 1
        ]
        if "; i < count; ++i)" not in source:
            continue
        if verdict.startswith("optimized: loop vectorized"):
            done[Path(file).name] += 1
        elif verdict.startswith("missed: couldn't vectorize loop"):
            missed.append(f"{place}: {source.strip()}")
    return done, missed


EVERY = every_spec()
NAMED = [(name, torch.float32) for name in EVERY]
NAMED += [(name, torch.float64) for name in EVERY if name in REPRESENTATIVES]
NAMED += [(name, dtype) for name in ("AdamW", "Everything") for dtype in (torch.bfloat16, torch.float16)]


@pytest.mark.parametrize(("name", "dtype"), NAMED, ids=str)
def test_every_loop_over_elements_is_vector_code(name: str, dtype: torch.dtype) -> None:
    """What is between the conversions of 16-bit dtypes is the code of float32."""
    compiled = EVERY.get(name) or everything()
    done, missed = loops(compiled, dtype)
    assert not missed, "\n".join(missed)
    assert done["kernels.cpp"] >= kernels_needed(compiled)
    assert done["dtypes.h"] > 0


def kernels_needed(compiled: Compiled) -> int:
    """The number of kernels that differ: what the conditions of the row leave is not counted."""
    fused = compiled.fused
    if not kernels_are_few(fused):
        return 1  # an object is made for one value of the conditions
    found = (specialised(fused, values) for values in combinations(compiled))
    return len({resolved(fused, constants) for constants in found})


def test_no_kernel_is_compiled_twice() -> None:
    """AdaBelief has 9 conditions, and 2**9 = 512 combinations of them."""
    compiled = every_spec()["AdaBelief"]
    made, _ = built(compiled, torch.float32).made()
    symbols = subprocess.run(["nm", "-C", str(made)], capture_output=True, text=True, check=True).stdout
    decay = 1 + 1 + 1 + 2  # none, in the gradient, decoupled, fixed (which asks whether lr is 0)
    rectified = 1 + 2 + 1  # yes, not yet (with or without a step), not at all
    assert len(set(re.findall(r"Rule::Kernel<(\d+)ul>::update", symbols))) == 2 * decay * 2 * rectified


def test_only_the_interface_is_visible() -> None:
    """A process loads many objects, and symbols of one must not stand in for those of another."""
    made, _ = built(every_spec()["AdamW"], torch.float32).made()
    symbols = subprocess.run(["nm", "-D", "--defined-only", str(made)], capture_output=True, text=True, check=True)
    assert {line.split()[-1] for line in symbols.stdout.splitlines()} == {"thetac_abi", "thetac_chunk", "thetac_step"}
    needed = subprocess.run(["nm", "-D", "--undefined-only", str(made)], capture_output=True, text=True, check=True)
    assert "omp" not in needed.stdout.lower()


def test_names_of_cpp_may_be_names_of_a_spec() -> None:
    """As hyperparameters, states and locals: what they compute is what it is under other names."""
    usable = sorted(name for name in RESERVED if why_not(name) is None)
    assert {"template", "double", "new", "count", "row", "i", "update", "mask"} <= set(usable)
    lines = ["value = grad"]
    lines += [line for name in usable for line in (f"{name} = value * 0.5", f"value = value + {name} * lr")]
    lines += ["param = param - lr * value"]
    odd, plain = rule_of("\n".join(lines)), rule_of("\n".join(lines).replace("template", "other"))
    results = []
    for compiled in (odd, plain):
        values: Values = {"lr": 0.1, "maximize": False}
        training = CppTraining.start(compiled, values, parameters(torch.float32))
        training.step_cpp(gradients(torch.float32)[0])
        results.append(training.param)
    assert torch.equal(*results)
    assert not torch.equal(results[0], parameters(torch.float32))


NASTY = ["a \\", "\\", "??/", "*/ }; int x = 1; /*", '"', "{{ jinja }} {% raw %}", "#error"]


def test_remarks_of_a_spec_stay_in_their_comments() -> None:
    """Without its comments, a file is what it is for other remarks; and it compiles."""
    update = ["rate = lr", "change = rate * grad  # {}", "if lr > 2:  # {}", "  rate = rate / 2  # {}"]
    update += ["if maximize_more:  # {}", "  change = change * 2  # {}", "param = param - change  # {}"]
    lines = ["optimizer: Nasty", "summary: Made for a test.", "references: [none]", "hyperparameters:"]
    lines += [
        "  lr: {{default: 0.1}}",
        "  maximize_more: {{default: false, doc: more}}",
        "update: |",
        *(f"  {u}" for u in update),
    ]
    template = "\n".join(lines) + "\n"
    codes = set()
    for remark in ["plain", *NASTY]:
        text = template.replace("{}", remark).replace("{{", "{").replace("}}", "}")
        (compiled,) = compile_specs([Source("nasty.yaml", text, name=remark)])
        codes.add(re.sub(r"//.*", "", compiled.files["kernels.cpp"]))
        assert not [line for line in compiled.files["kernels.cpp"].splitlines() if line.rstrip().endswith("\\")]
    assert len(codes) == 1
    built(compiled, torch.float32).made()


def test_a_spec_that_is_loaded_has_a_kernel_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    optimizer = thetac.load(SPECS / "adamw.yaml")
    package = importlib.import_module(optimizer.__module__.rpartition(".")[0])
    assert package.__file__ is not None
    ours = every_spec()["AdamW"].files["kernels.cpp"].splitlines()
    assert (Path(package.__file__).parent / "kernels.cpp").read_text().splitlines()[1:] == ours[1:]


def test_branches_masks_and_constants_of_every_kind() -> None:
    """A rule with all of the language in it, in all dtypes, against the definition."""
    found: list[str] = []
    for values in combinations(everything()):
        for dtype in DTYPES:
            if dtype is torch.float32 or not values["maximize"]:
                found += complaints(everything(), values, dtype, CppTraining.step_cpp, CppTraining.start)
    assert not found, "\n".join(found)


# ------------------------------------------------------------------------------------------------------ the same bits


def with_chunk(size: int, folder: Path) -> Path:
    """The headers, with another number of elements per chunk."""
    shutil.copytree(HEADERS, folder)
    header = folder / "launch.h"
    text, changes = re.subn(r"constexpr int64 CHUNK = \d+;", f"constexpr int64 CHUNK = {size};", header.read_text())
    assert changes == 1
    header.write_text(text)
    return folder


@cache
def awkward(dtype: torch.dtype, size: int, seed: int) -> Tensor:
    """Random numbers of all magnitudes, with every special value in between, as many as asked for."""
    info = torch.finfo(dtype)
    ordinary = numbers(seed, -3, 3, dtype).repeat(-(-size // 16384))[:size]
    tiny = numbers(seed + 1, -70, -40, torch.float64).to(dtype).repeat(-(-size // 16384))[:size]
    edges = torch.cat([special(dtype), torch.tensor([info.max, info.tiny / 8, -info.tiny * info.eps], dtype=dtype)])
    generator = torch.Generator().manual_seed(seed)
    kind = torch.randint(0, 8, (size,), generator=generator)
    chosen = edges[torch.randint(0, len(edges), (size,), generator=generator)]
    by_rows = torch.arange(size) // 2048 % 3 == 1  # where everything is tiny
    return torch.where(kind == 0, chosen, torch.where(by_rows | (kind == 1), tiny, ordinary))


def trained(compiled: Compiled, values: Values, dtype: torch.dtype, options: Options) -> list[Tensor]:
    """Several tensors of many sizes, two steps each, all of them in the same launches: the bits of everything."""
    sizes = (1, 7, 512, 1000, 40_000, 131)
    members = []
    for index, size in enumerate(sizes):
        members.append(CppTraining.start(compiled, values, awkward(dtype, size, index)))
        for state in members[-1].states.values():
            if state.dim():
                state.copy_(awkward(dtype, state.numel(), 50 + index).abs())
    for step in (100, 200):
        grads = [awkward(dtype, size, step + index) for index, size in enumerate(sizes)]
        step_together(members, grads, partial(launch_cpp, compiled, values, options=options))
    integers = {2: torch.int16, 4: torch.int32, 8: torch.int64}
    every = [tensor for member in members for tensor in (member.param, *member.states.values())]
    return [tensor.view(integers[tensor.element_size()]) for tensor in every]


def assert_same(expected: list[Tensor], found: list[Tensor], what: str) -> None:
    for index, (one, other) in enumerate(zip(expected, found, strict=True)):
        differ = one != other
        assert not differ.any(), f"{what}: {int(differ.sum())} of {one.numel()} elements of tensor {index} differ"


def last_of(compiled: Compiled) -> Values:
    """The combination that comes last: the most flags are on."""
    return {**list(combinations(compiled))[-1], "maximize": False}


@pytest.mark.parametrize("name", EVERY)
def test_threads_and_order_do_not_change_a_bit(name: str) -> None:
    compiled = EVERY[name]
    for values in (next(combinations(compiled)), last_of(compiled)):
        alone = trained(compiled, values, torch.float32, Options())
        for options in (Options(threads=2), Options(threads=3, backwards=True)):
            found = trained(compiled, values, torch.float32, options)
            assert_same(alone, found, f"{options.threads} threads ({described(compiled.rule, values)})")


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_chunks_do_not_change_a_bit(dtype: torch.dtype, tmp_path: Path) -> None:
    compiled = every_spec()["AdamW"]
    values = last_of(compiled)
    usual = trained(compiled, values, dtype, Options())
    for size in (512, 8192):
        headers = with_chunk(size, tmp_path / str(size))
        assert_same(usual, trained(compiled, values, dtype, Options(headers=headers)), f"chunks of {size}")


@pytest.mark.parametrize("name", of_every_class(EVERY))
def test_levels_of_the_processor_do_not_change_a_bit(name: str) -> None:
    """float32 and the lowest level for every rule; conversions, and what is between, are the same code for all."""
    compiled = EVERY[name]
    thorough = name == "AdamW"
    for dtype in DTYPES if thorough else (torch.float32,):
        for values in (next(combinations(compiled)), last_of(compiled)):
            best = trained(compiled, values, dtype, Options())
            for level in levels()[:-1] if thorough else levels()[:1]:
                options = Options(level=level, optimised=name in REPRESENTATIVES)
                found = trained(compiled, values, dtype, options)
                assert_same(best, found, f"{level}, {dtype} ({described(compiled.rule, values)})")


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_conversions_are_torchs(dtype: torch.dtype) -> None:
    """`param - lr * grad` at lr 0 stores what it has read; at lr 1 it rounds a difference as torch rounds float32."""
    compiled = every_spec()["GradientDescent"]
    patterns = torch.arange(-(2**15), 2**15, dtype=torch.int16)
    every = patterns.view(dtype) if dtype.itemsize == 2 else awkward(dtype, 65536, 1)
    zeros = torch.zeros_like(every)
    training = CppTraining.start(compiled, {"lr": 0.0, "maximize": False}, every)
    training.step_cpp(zeros)
    assert torch.equal(training.param.nan_to_num(7.0, posinf=None), every.nan_to_num(7.0, posinf=None))
    assert torch.equal(training.param.signbit() & ~every.isnan(), every.signbit() & ~every.isnan())
    other = every[torch.randperm(len(every), generator=torch.Generator().manual_seed(3))]
    training = CppTraining.start(compiled, {"lr": 1.0, "maximize": False}, every)
    training.step_cpp(other)
    math = torch.float64 if dtype is torch.float64 else torch.float32
    expected = (every.to(math) - other.to(math)).to(dtype)
    torch.testing.assert_close(training.param, expected, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("state_dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_streams_may_have_dtypes_of_their_own(dtype: torch.dtype, state_dtype: torch.dtype) -> None:
    """16-bit parameters beside float32 gradients and wider states: float32, rounded where it is stored."""
    compiled = every_spec()["AdamW"]
    values = next(combinations(compiled))
    wide = CppTraining.start(compiled, values, parameters(dtype).float())
    mixed = CppTraining.start(compiled, values, parameters(dtype))
    mixed.states = {key: s.to(state_dtype) if s.dim() else s for key, s in mixed.states.items()}
    for grad in gradients(torch.float32)[:3]:
        wide.param = mixed.param.float()
        wide.step_cpp(grad)
        mixed.step_cpp(grad)
        assert torch.equal(mixed.param, wide.param.to(dtype))
    for key, state in wide.states.items():
        assert torch.equal(mixed.states[key].float(), state)


def test_what_stands_beside_a_tensor_is_left_alone() -> None:
    compiled = every_spec()["AdamW"]
    values = last_of(compiled)
    for dtype in DTYPES:
        for size, offset in ((1, 0), (31, 1), (511, 3), (1025, 0), (4096, 1)):
            training = CppTraining.start(compiled, values, parameters(dtype)[:size])
            alone = CppTraining.start(compiled, values, parameters(dtype)[:size])
            grad = gradients(dtype)[0][:size]
            alone.step_cpp(grad)
            around = []
            for key, tensor in {"param": training.param, "grad": grad, **training.states}.items():
                guard = torch.full((size + offset + 64,), -7.0, dtype=tensor.dtype)
                if tensor.dim():
                    inside = guard[offset : offset + size].copy_(tensor)
                    around.append((inside, guard))
                    if key in training.states:
                        training.states[key] = inside
            training.param = around[0][0]
            training.step_cpp(around[1][0])
            assert torch.equal(training.param, alone.param)
            assert torch.equal(around[1][0], grad)
            for _, guard in around:
                assert (guard[:offset] == -7).all()
                assert (guard[offset + size :] == -7).all()


# ------------------------------------------------------------------------------------------------- scale and clipping


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("scale", "clip"), [(4.0, 1.0), (1.0, 0.25), (8.0, 0.5)])
def test_gradients_are_unscaled_and_clipped_first(dtype: torch.dtype, scale: float, clip: float) -> None:
    compiled = every_spec()["AdamW"]
    values = {**next(combinations(compiled)), "weight_decay": 0.01}
    grad = gradients(dtype)[0]
    expected = CppTraining.start(compiled, values, parameters(dtype))
    expected.step_cpp(grad / scale * clip)  # by powers of two: exact
    for write_back in (False, True):
        training = CppTraining.start(compiled, values, parameters(dtype))
        own = grad.clone()
        training.step_cpp(own, Options(grad_scale=scale, clip=clip, write_back=write_back))
        assert torch.equal(training.param, expected.param)
        assert all(torch.equal(training.states[key], state) for key, state in expected.states.items())
        assert torch.equal(own, grad / scale if write_back else grad)


def test_a_scaled_gradient_is_not_rounded_on_the_way() -> None:
    """bfloat16 gradients times 1/3: the product has float32's digits when it comes into the rule."""
    compiled = every_spec()["GradientDescent"]
    param, grad = parameters(torch.bfloat16), gradients(torch.bfloat16)[0]
    training = CppTraining.start(compiled, {"lr": 1.0, "maximize": False}, param)
    training.step_cpp(grad, Options(clip=1 / 3))
    factor = torch.tensor(1 / 3, dtype=torch.float32)
    assert torch.equal(training.param, (param.float() - grad.float() * factor).bfloat16())


# ----------------------------------------------------------------------------------------------------------- small work


def test_work_that_is_small_or_none_stays_on_one_thread() -> None:
    compiled = every_spec()["AdamW"]
    values = next(combinations(compiled))

    @ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint)
    def parallel(function: int, data: int, threads: int, flags: int) -> None:
        asked.append(threads)
        ctypes.CFUNCTYPE(None, ctypes.c_void_p)(function)(data)

    @ctypes.CFUNCTYPE(ctypes.c_int)
    def number() -> int:
        return 0

    def call(step: object, launch: object) -> None:
        launch.parallel = ctypes.cast(parallel, ctypes.c_void_p)  # type: ignore[attr-defined]
        launch.thread_number = ctypes.cast(number, ctypes.c_void_p)  # type: ignore[attr-defined]
        step(ctypes.byref(launch))  # type: ignore[operator, arg-type]

    asked: list[int] = []
    for size, wanted in ((0, []), (1000, []), (16384, []), (40_000, [3]), (200_000, [4])):
        asked.clear()
        alone = CppTraining.start(compiled, values, torch.ones(size))
        training = CppTraining.start(compiled, values, torch.ones(size))
        alone.step_cpp(torch.ones(size))
        training.step_cpp(torch.ones(size), Options(threads=4, call=call))
        assert asked == wanted, f"{size} elements"
        assert torch.equal(training.param, alone.param), "one thread does what others do not come for"


def test_a_bit_of_the_mask_is_a_specialisation_in_the_schemas_order() -> None:
    for compiled in EVERY.values():
        source = compiled.files["kernels.cpp"]
        named = re.findall(r"static constexpr bool (\w+) = (?:mask >> |holds\[)(\d+)(?: & 1|\]);", source)
        schema = [one.name for one in compiled.fused.specialisations]
        assert [name.removesuffix("_") for name, _ in named[: len(schema)]] == schema
        assert [int(bit) for _, bit in named] == list(range(len(named)))
