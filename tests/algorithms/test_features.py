"""Features on any rule (codegen/features/): each alone and with each other one, on several rules, in every form.

Compared with NumPy transcriptions of their sources (tests/references/features.py) in float64.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator, Mapping

import numpy as np
import pytest
import torch

import thetac
from tests.references.features import ORDER, RULES, Array, Memory, Values, agc, trained
from tests.support.runtime_helpers import run_kernels_of
from tests.support.step_helpers import IMPLEMENTATIONS, Options
from thetac.codegen.frontend.features import feature_files
from thetac.runtime.optimizer import Optimizer

STEPS = 12
SHAPES = ((3, 5), (7,), (2, 3, 2), (3, 2, 2, 2), ())
# Beside the defaults: what makes the most of a feature within a dozen steps.
VALUES: Mapping[str, tuple[Values, ...]] = {
    "agc": ({"clip": 0.3},),
    "cautious": ({"normalization": "none"}, {"normalization": "signs"}, {"normalization": "count"}),
    "update_clipping": ({"threshold": 0.3},),
    "trust_ratio": ({"coefficient": 0.5}, {"limit": 0.7}),
    "grokfast": ({"alpha": 0.7, "lamb": 3.0},),
    "lookahead": ({"k": 3, "alpha": 0.5},),
    "ema": ({"decay": 0.9},),
}
DIFFERENTIABLE = {"for-loop on tensors": {"differentiable": True}}
UNFUSED = {name: options for name, options in IMPLEMENTATIONS.items() if name != "fused"}


def settings() -> Iterator[tuple[str, str, Mapping[str, Values]]]:
    """Yield each feature with each of its values on every rule, then each pair of features on one of the rules."""
    for name, rule in itertools.product(ORDER, RULES):
        yield from ((rule, name, {name: values}) for values in ({}, *VALUES.get(name, ())))
    for pair, rule in zip(itertools.combinations(ORDER, 2), itertools.cycle(RULES), strict=False):
        yield rule, "-".join(pair), {name: VALUES.get(name, ({},))[-1] for name in pair}


SETTINGS = tuple(settings())


def composed(rule: str, features: Mapping[str, Values]) -> type[Optimizer]:
    return thetac.compose(rule, **{name: values or True for name, values in features.items()})


def inputs(shape: tuple[int, ...]) -> tuple[Array, list[Array]]:
    draw = np.random.default_rng(len(shape))
    return draw.standard_normal(shape), [draw.standard_normal(shape) + 0.3 for _ in range(STEPS)]


def run(made: type[Optimizer], rule: str, options: Options, shape: tuple[int, ...]) -> tuple[Optimizer, torch.Tensor]:
    start, grads = inputs(shape)
    param = torch.tensor(start)
    if not options.get("differentiable"):
        param = torch.nn.Parameter(param)
    optimizer = made([param], **RULES[rule].arguments, **options)  # type: ignore[arg-type]
    for grad in grads:
        param.grad = torch.tensor(grad)
        optimizer.step()
    return optimizer, param.detach()


def test_every_feature_has_a_transcription() -> None:
    """Those with a driver are compared in tests/runtime/drivers/."""
    here = tuple(name for name, file in feature_files().items() if not file.driver)
    assert here == ORDER, "in the order in which they attach"


@pytest.mark.usefixtures("quick_builds")
@pytest.mark.parametrize(("rule", "case", "features"), SETTINGS, ids=[f"{rule}-{case}" for rule, case, _ in SETTINGS])
def test_every_implementation_is_the_source(rule: str, case: str, features: Mapping[str, Values]) -> None:
    made = composed(rule, features)
    # Kernels of a feature alone are compiled for one rule: the others differ from it in what all rules have. Those of
    # pairs are compiled where both features reduce: the passes of one must not disturb the other's.
    reduces = all(not feature_files()[name].takes_complex for name in features)
    in_kernels = rule == "AdamW" if len(features) == 1 else reduces
    implementations = {**(IMPLEMENTATIONS if in_kernels else UNFUSED), **DIFFERENTIABLE}
    wanted = {shape: trained(rule, features, *inputs(shape)) for shape in SHAPES}
    for shape, (name, options) in itertools.product(SHAPES, implementations.items()):
        expected, memories = wanted[shape]
        optimizer, got = run(made, rule, options, shape)
        moved = np.linalg.norm(expected - inputs(shape)[0])
        assert np.linalg.norm(got.numpy() - expected) <= 1e-12 * moved, (case, rule, name, shape)
        if "ema" in features:
            (state,) = optimizer.state.values()
            average = memories["ema"].arrays["average"]
            assert np.linalg.norm(state["ema_average"].numpy() - average) <= 1e-12 * moved, (case, rule, name, shape)


def test_the_mean_of_parameters_is_that_of_torch() -> None:
    """torch.optim.swa_utils.AveragedModel, updated after each step."""
    model = torch.nn.Linear(4, 3).double()
    averaged = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9))
    optimizer = thetac.compose("AdamW", ema={"decay": 0.9})(model.parameters(), foreach=False)  # type: ignore[call-arg]
    for _ in range(5):
        optimizer.zero_grad()
        model(torch.randn(6, 4, dtype=torch.float64)).square().sum().backward()
        optimizer.step()
        averaged.update_parameters(model)
    for param, mean in zip(model.parameters(), averaged.module.parameters(), strict=True):
        torch.testing.assert_close(optimizer.state[param]["ema_average"], mean.detach(), rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("rule", ["AdamW", "SGD"])
def test_features_in_float32_kernels(rule: str) -> None:
    """float32, a tensor of several chunks, against the for-loop in float64."""
    made = composed(rule, {name: {} for name in ORDER})
    got = []
    for dtype, options in ((torch.float64, {"foreach": False}), (torch.float32, {"fused": True})):
        torch.manual_seed(3)
        param = torch.nn.Parameter(torch.randn(300, 257, dtype=torch.float64).to(dtype))
        optimizer = made([param], lr=1e-3, **options)  # type: ignore[call-arg]
        for _ in range(6):
            param.grad = torch.randn(300, 257, dtype=torch.float64).to(dtype)
            optimizer.step()
        got.append(param.detach().double())
    torch.testing.assert_close(got[1], got[0], rtol=1e-5, atol=1e-6)


def test_features_in_kernels_for_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of elements alone, in Triton's interpreter; float32 against the transcription."""
    run_kernels_of("Triton", monkeypatch)
    features: Mapping[str, Values] = {name: VALUES[name][-1] for name in ("grokfast", "lookahead", "ema")}
    param = torch.nn.Parameter(torch.tensor(inputs((7,))[0], dtype=torch.float32))
    optimizer = composed("AdamW", features)([param], **RULES["AdamW"].arguments, fused=True)  # type: ignore[arg-type]
    for grad in inputs((7,))[1]:
        param.grad = torch.tensor(grad, dtype=torch.float32)
        optimizer.step()
    expected, _ = trained("AdamW", features, *inputs((7,)))
    np.testing.assert_allclose(param.detach().numpy(), expected, rtol=1e-5, atol=1e-6)


def test_a_run_continues_from_a_checkpoint_to_the_bit() -> None:
    made = composed("AdamW", {name: {} for name in ORDER})

    def steps(param: torch.nn.Parameter, optimizer: Optimizer, seeds: range) -> None:
        for seed in seeds:
            param.grad = torch.randn(40, generator=torch.Generator().manual_seed(seed))
            optimizer.step()

    param = torch.nn.Parameter(torch.ones(40))
    optimizer = made([param])
    steps(param, optimizer, range(4))
    other = torch.nn.Parameter(param.detach().clone())
    resumed = made([other])
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    steps(param, optimizer, range(4, 9))
    steps(other, resumed, range(4, 9))
    assert torch.equal(param, other)


def test_complex_parameters_are_pairs() -> None:
    """SGD alone computes with complex numbers; a feature does not."""
    made = composed(
        "SGD", {name: {} for name, file in feature_files().items() if file.takes_complex and not file.driver}
    )
    values = torch.randn(5, dtype=torch.complex128)
    param, pairs = torch.nn.Parameter(values.clone()), torch.nn.Parameter(torch.view_as_real(values).clone())
    optimizers = [made([one], foreach=False, **RULES["SGD"].arguments) for one in (param, pairs)]  # type: ignore[arg-type]
    for _ in range(6):
        param.grad = torch.randn(5, dtype=torch.complex128)
        pairs.grad = torch.view_as_real(param.grad)
        for optimizer in optimizers:
            optimizer.step()
    torch.testing.assert_close(torch.view_as_real(param.detach()), pairs.detach(), rtol=1e-14, atol=1e-15)


def test_features_that_reduce_take_no_complex_parameters() -> None:
    made = thetac.compose("AdamW", trust_ratio=True)
    param = torch.nn.Parameter(torch.ones(3, dtype=torch.complex64))
    param.grad = torch.ones(3, dtype=torch.complex64)
    with pytest.raises(RuntimeError, match=r"^TrustedAdamW does not support complex parameters"):
        made([param]).step()


@pytest.mark.parametrize("layout", ["channels last", "transposed", "with gaps"])
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("feature", ["agc", "centralization"])
def test_units_of_parameters_in_any_layout(feature: str, implementation: str, layout: str) -> None:
    start, grads = inputs((3, 2, 2, 2))
    expected, _ = trained("AdamW", {feature: {}}, start, grads)
    memory = {
        "channels last": torch.empty(3, 2, 2, 2, dtype=torch.float64).to(memory_format=torch.channels_last),
        "transposed": torch.empty(2, 2, 2, 3, dtype=torch.float64).permute(3, 1, 0, 2),
        "with gaps": torch.empty(3, 2, 4, 2, dtype=torch.float64)[:, :, ::2],
    }[layout]
    param = torch.nn.Parameter(memory)
    with torch.no_grad():
        param.copy_(torch.tensor(start))
    optimizer = composed("AdamW", {feature: {}})([param], **RULES["AdamW"].arguments, **IMPLEMENTATIONS[implementation])  # type: ignore[arg-type]
    for grad in grads:
        param.grad = torch.empty_like(param).copy_(torch.tensor(grad))
        optimizer.step()
    moved = np.linalg.norm(expected - start)
    assert np.linalg.norm(param.detach().numpy() - expected) <= 1e-12 * moved


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("rule", ["Adafactor", "SM3"])
def test_units_beside_a_rule_with_rows_and_columns_of_the_last_two_axes(rule: str, implementation: str) -> None:
    shapes, options = ((3, 5), (3, 2, 2, 2)), IMPLEMENTATIONS[implementation]
    starts, grads = zip(*(inputs(shape) for shape in shapes), strict=True)
    ours, plain = ([torch.nn.Parameter(torch.tensor(start)) for start in starts] for _ in range(2))
    both = composed(rule, {"agc": {"clip": 0.3}})(ours, **options)  # type: ignore[arg-type]
    alone = getattr(thetac, rule)(plain, foreach=False)
    for step in range(STEPS):
        for index, (one, other) in enumerate(zip(ours, plain, strict=True)):
            one.grad = torch.tensor(grads[index][step])
            clipped = agc(Memory(), grads[index][step], other.detach().numpy(), clip=0.3)
            other.grad = torch.tensor(clipped)
        both.step()
        alone.step()
    for one, other, start in zip(ours, plain, starts, strict=True):
        moved = (other.detach() - torch.tensor(start)).norm()
        assert (one - other).norm() <= 1e-12 * moved
    if implementation == "fused":
        assert "the rule sees a parameter of more than two axes now as one matrix, now as many" in both.explain()


def test_sparse_gradients_are_refused() -> None:
    param = torch.nn.Parameter(torch.ones(4))
    param.grad = torch.ones(4).to_sparse()
    with pytest.raises(RuntimeError, match=r"^LookaheadSGD does not support sparse gradients$"):
        thetac.compose("SGD", lookahead=True)([param]).step()
