"""In float64 every optimizer stays beside an independent implementation, step for step, whatever its flags say.

Both choose their gradients by their own parameters, so that a difference grows from step to step.
"""

from __future__ import annotations

import pytest
import torch

import thetac
from tests.oracles.adam_mini import AdamMini
from tests.oracles.closed_loop import LIMIT, deviation
from tests.oracles.compare import IMPLEMENTATIONS, deviations, deviations_of_pairs, double_precision, single_changes
from tests.oracles.oracles import ORACLES
from tests.references.rules import rules
from tests.support.every_optimizer import MINIMIZERS, every_optimizer, everything


def test_every_optimizer_has_an_oracle() -> None:
    """Minimizations have theirs in test_minimizers.py, and torch in tests/runtime/drivers/test_minimize.py."""
    without = rules().keys() - ORACLES.keys() - set(MINIMIZERS)
    assert not without, f"add a row to tests/oracles/oracles.py, or a reference, for {sorted(without)}"


@every_optimizer
def test_the_for_loop_computes_what_the_oracle_computes(name: str) -> None:
    with double_precision():
        for oracle in ORACLES[name]:
            found = dict(pair for case in single_changes(name) for pair in deviations(name, oracle, "for-loop", case))
            if everything() and oracle is ORACLES[name][0]:
                found |= deviations_of_pairs(name, oracle)
            apart = {what: value for what, value in found.items() if not value <= LIMIT}
            assert not apart, "\n".join(f"{what}: {value:.1e} of the distance moved" for what, value in apart.items())


@every_optimizer
@pytest.mark.parametrize("implementation", [one for one in IMPLEMENTATIONS if one != "for-loop"])
def test_implementations_compute_what_the_oracle_computes(name: str, implementation: str) -> None:
    """All changes in kernels; some in foreach, which has the bits of the for-loop (test_foreach_parity.py)."""
    every = everything() and implementation != "foreach"
    with double_precision():
        for case in single_changes(name)[:: 1 if every else 5]:
            oracle = next(one for one in ORACLES[name] if not one.undefined(case) or one is ORACLES[name][-1])
            for what, value in deviations(name, oracle, implementation, case):
                assert value <= LIMIT, f"{what}: {value:.1e} of the distance moved"


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_heads_have_one_second_moment_each(implementation: str, late: bool) -> None:
    """No other test has them: all parameters can be divided into them, and are matrices."""
    options, settings = IMPLEMENTATIONS[implementation], {"blocks": "head", "n_heads": 2, "weight_decay": 0.1}
    with double_precision():
        apart = deviation(
            lambda parameters: thetac.AdamMini(parameters, **settings, **options),  # type: ignore[arg-type]
            lambda parameters: AdamMini().start(parameters, settings),
            late=late,
            shapes=((8, 4), (2, 16), (4, 2, 2, 2)),
        )
    assert apart <= LIMIT, f"{apart:.1e} of the distance moved"


@pytest.mark.parametrize(("shape", "message"), [((8,), r"\(\[8\]\), and no rows"), ((6, 4), "equally among n_heads")])
def test_rows_that_heads_cannot_share_are_refused(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        thetac.AdamMini([torch.nn.Parameter(torch.ones(shape))], blocks="head", n_heads=4)


@pytest.mark.parametrize("kind", ["matrix", "embedding", "bias", "gain"])
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_a_gradient_with_a_nan_shrinks_what_tiger_trains(implementation: str, kind: str) -> None:
    """No other test has such gradients: the mean stays, and all elements shrink, not only those of the NaN."""
    generator = torch.Generator().manual_seed(5)
    parameter = torch.randn((4, 3), generator=generator, dtype=torch.float64)
    start, gradients = parameter.numpy().copy(), []
    optimizer = thetac.Tiger([parameter], kind=kind, **IMPLEMENTATIONS[implementation])
    for step in range(4):
        gradient = torch.randn((4, 3), generator=generator, dtype=torch.float64)
        if step == 2:
            gradient[1, 2] = float("nan")
        gradients.append(gradient.numpy())
        parameter.grad = gradient
        optimizer.step()
    wanted, memory = ORACLES["Tiger"][0].reference(start, gradients, kind=kind)
    torch.testing.assert_close(parameter, torch.tensor(wanted), rtol=1e-14, atol=0)
    torch.testing.assert_close(optimizer.state[parameter]["m"], torch.tensor(memory["m"]), rtol=1e-14, atol=1e-17)
