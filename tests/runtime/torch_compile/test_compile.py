"""`torch.compile` of the unwrapped step, as torch's own tests do it: the whole step in one graph."""

from __future__ import annotations

import copy
import gc
import itertools
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch._dynamo
from torch import Tensor
from torch._dynamo.exc import TensorifyScalarRestartAnalysis, Unsupported
from torch._dynamo.testing import CompileCounterWithBackend

from tests.support.comparing import assert_same_training
from tests.support.every_optimizer import one_in, ours, remembering, runs_kernels, torchs
from tests.support.generic_rules import HeavyBall
from tests.support.runtime_helpers import assert_unchanged, give_gradients, parameters, picture, run_kernels_of
from tests.support.stepping import every_class_that_evaluates_once
from thetac.runtime.optimizer import Optimizer
from thetac.runtime.stepping import assignments
from thetac.runtime.stepping.implementation import Choice
from thetac.runtime.tensor_facts.shape_numbers import shape_numbers_of

SHAPES = ((5, 3), (7,), ())
FORMS: dict[str, dict[str, bool]] = {
    "for-loop": {"foreach": False},
    "foreach": {"foreach": True},
    "fused": {"fused": True},
    "default": {},
}
# Counters are float32 in the graph, where the host computes in float64; torch's compiled steps are as close.
CLOSE = {"rtol": 2e-5, "atol": 2e-6}


@pytest.fixture(autouse=True)
def _nothing_compiled() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def compiled_step(optimizer: torch.optim.Optimizer, counter: object, *, fullgraph: bool = True) -> Callable[[], None]:
    """torch's tests unwrap twice: the first wrapper is the profiler's, the second breaks the graph on purpose."""
    step = type(optimizer).step.__wrapped__.__wrapped__
    return torch.compile(lambda: step(optimizer), backend=counter, fullgraph=fullgraph)


def params_of(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [param for group in optimizer.param_groups for param in group["params"]]


def make(name: str, cls: type[torch.optim.Optimizer] | None = None, **options: object) -> torch.optim.Optimizer:
    """With two groups."""
    first, second, third = parameters(SHAPES)
    lr = {} if "lr" in options else {"lr": 0.02}
    groups = [{"params": [first, third]}, {"params": [second], **lr}]
    return (cls or ours(name))(groups, **{"lr": 0.01, **remembering(name), **options})


class Graphs(CompileCounterWithBackend):
    """Counts the graphs that run.

    Where a float64 number on the host is an input, torch compiles the first graph, throws it away, and traces the step
    again.
    """

    def __call__(self, graph: torch.fx.GraphModule, inputs: list[Tensor], **arguments: Any) -> Any:
        try:
            return super().__call__(graph, inputs, **arguments)
        except TensorifyScalarRestartAnalysis:
            self.frame_count -= 1
            self.graphs.pop()
            raise


def does_something_once(name: str) -> bool:
    """Whether the rule asks if a state is new that its parameters have: that step has a graph of its own."""
    optimizer = make(name)
    return any(
        state.first and state.exists(group, shape_numbers_of(param))
        for group in optimizer.param_groups
        for param in group["params"]
        for state in ours(name).schema.states
    )


def calls_of_the_operator(counter: CompileCounterWithBackend) -> int:
    return sum("fused_step" in str(node.target) for node in counter.graphs[-1].graph.nodes)


def train_both(
    by_graph: torch.optim.Optimizer, by_hand: torch.optim.Optimizer, step: Callable[[], None], steps: range
) -> None:
    for seed in steps:
        for optimizer in (by_graph, by_hand):
            give_gradients(params_of(optimizer), seed)
        step()
        by_hand.step()


# Every optimizer.


@pytest.mark.feature("modes", "torch.compile of the unwrapped step with fullgraph: the same training, compiled once")
@pytest.mark.parametrize("form", ["for-loop", "fused"])
@every_class_that_evaluates_once
def test_the_whole_step_in_one_graph(name: str, form: str) -> None:
    """Counters and an lr that is a tensor change in every step, and nothing is compiled anew."""
    counter = Graphs("aot_eager")
    lr = torch.tensor(0.01)
    by_graph, by_hand = make(name, lr=lr, **FORMS[form]), make(name, lr=lr, **FORMS[form])
    step = compiled_step(by_graph, counter)
    for seed in range(5):
        lr.mul_(0.75)
        train_both(by_graph, by_hand, step, range(seed, seed + 1))
    by_kernels = form == "fused" and runs_kernels(name, FORMS[form])
    if by_kernels:
        assert_same_training(by_graph, by_hand)
    else:
        assert_same_training(by_graph, by_hand, **CLOSE)
    assert counter.frame_count == 1 + does_something_once(name)
    assert calls_of_the_operator(counter) == (2 if by_kernels else 0), "one per group"


@pytest.mark.parametrize("form", ["foreach", "default"])
@pytest.mark.parametrize("name", ["AdamW", "NAdam", "SGD"])
def test_what_else_is_asked_for_is_traced_too(name: str, form: str) -> None:
    """Counters are tensors in the graph, and list operations take numbers: the for-loop's equations are traced."""
    counter = CompileCounterWithBackend("aot_eager")
    by_graph, by_hand = make(name, **FORMS[form]), make(name, **FORMS[form])
    train_both(by_graph, by_hand, compiled_step(by_graph, counter), range(5))
    assert_same_training(by_graph, by_hand, **CLOSE)
    assert counter.frame_count == 1 + does_something_once(name)
    assert calls_of_the_operator(counter) == 0


@pytest.mark.parametrize("name", ["AdamW", "NAdam", "Adagrad", "SGD"])
def test_as_torchs_class(name: str) -> None:
    """Its own class under the same test: the same training, in no more graphs."""
    counters = CompileCounterWithBackend("eager"), CompileCounterWithBackend("eager")
    control = torchs(name)
    assert control is not None
    mine, theirs = make(name, foreach=False), make(name, control, foreach=False)
    steps = compiled_step(mine, counters[0]), compiled_step(theirs, counters[1])
    for seed in range(4):
        for optimizer, step in zip((mine, theirs), steps, strict=True):
            give_gradients(params_of(optimizer), seed)
            with torch.no_grad():  # torch's lacks it under the wrapper that was taken off
                step()
    assert_same_training(mine, theirs, **CLOSE)
    assert counters[0].frame_count <= counters[1].frame_count


@pytest.mark.thorough("minutes of a C++ compiler; the same graphs run in test_the_whole_step_in_one_graph")
@pytest.mark.parametrize(("name", "form"), [("AdamW", "for-loop"), ("SGD", "fused")])
def test_inductor(name: str, form: str) -> None:
    by_graph, by_hand = make(name, **FORMS[form]), make(name, **FORMS[form])
    train_both(by_graph, by_hand, compiled_step(by_graph, "inductor"), range(3))
    assert_same_training(by_graph, by_hand, **CLOSE)


@pytest.mark.parametrize("name", ["AdamW", "NAdam", "SGD"])
def test_kernels_of_triton(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run_kernels_of("Triton", monkeypatch)
    by_graph, by_hand = make(name, fused=True), make(name, fused=True)
    train_both(by_graph, by_hand, compiled_step(by_graph, "aot_eager"), range(3))
    assert_same_training(by_graph, by_hand)


# What comes between two steps.


@pytest.mark.parametrize(
    ("name", "form"), one_in(3, itertools.product(["AdamW", "SGD", "Adan"], ["for-loop", "fused"]))
)
def test_what_comes_between_two_steps(name: str, form: str) -> None:
    """Other gradients, another lr, a checkpoint, steps outside of graphs; what is done once is done once."""
    arguments = {"dampening": 0.5} if name == "SGD" else {}
    by_graph, by_hand = (make(name, **arguments, **FORMS[form]) for _ in range(2))
    step = compiled_step(by_graph, "aot_eager")
    for seed in range(8):
        for optimizer in (by_graph, by_hand):
            params = params_of(optimizer)
            give_gradients(params, seed)
            if seed < 2:
                params[2].grad = None
            if seed == 3:
                params[0].grad = None
            if seed == 4:
                optimizer.param_groups[1]["lr"] = 0.005
            if seed == 5:
                optimizer.load_state_dict(optimizer.state_dict())
        if seed == 6:
            by_graph.step()
        else:
            step()
        by_hand.step()
    exact = {} if form == "fused" else CLOSE
    assert_same_training(by_graph, by_hand, **exact)


@pytest.mark.parametrize("form", ["for-loop", "fused"])
def test_state_is_new_for_the_graph_that_runs(form: str) -> None:
    """Where an input is a float64 number on the host, torch traces the first step twice."""
    lr = torch.tensor(0.01, dtype=torch.float64)
    by_graph, by_hand = (make("SGD", lr=lr, momentum=0.9, dampening=0.5, **FORMS[form]) for _ in range(2))
    counter = Graphs("aot_eager")
    train_both(by_graph, by_hand, compiled_step(by_graph, counter), range(4))
    assert_same_training(by_graph, by_hand, **({} if form == "fused" else CLOSE))
    assert counter.frame_count == 2


@pytest.mark.parametrize("load", [False, True])
def test_state_is_new_after_a_graph_that_was_not_compiled(load: bool) -> None:
    """Dynamo has made the state by then. What a checkpoint brings instead is kept."""

    def fails(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable[..., object]:
        raise RuntimeError("no memory")

    by_graph, by_hand, saved = (make("SGD", dampening=0.5, fused=True) for _ in range(3))
    give_gradients(params_of(by_graph), 0)
    with pytest.raises(Exception, match="no memory"):
        compiled_step(by_graph, fails)()
    if load:
        train_both(saved, make("SGD"), saved.step, range(1))
        for optimizer in (by_graph, by_hand):
            optimizer.load_state_dict(copy.deepcopy(saved.state_dict()))
    train_both(by_graph, by_hand, by_graph.step, range(3))
    assert_same_training(by_graph, by_hand)


def test_a_tensor_in_place_of_any_number() -> None:
    """The operator takes it as it is, and new values of it compile nothing."""
    decay = torch.tensor(0.1)
    by_graph, by_hand = (make("AdamW", weight_decay=decay, fused=True) for _ in range(2))
    counter = CompileCounterWithBackend("aot_eager")
    step = compiled_step(by_graph, counter)
    for seed, value in enumerate((0.1, 0.2, 0.0, 0.3)):
        decay.fill_(value)
        train_both(by_graph, by_hand, step, range(seed, seed + 1))
    assert_same_training(by_graph, by_hand)
    assert counter.frame_count == 1


@pytest.mark.parametrize("name", ["Prodigy", "DoG"])
def test_shared_numbers_become_tensors_for_a_graph(name: str) -> None:
    """Also where steps were taken before; ordinary steps go on with them."""
    by_graph, by_hand = make(name), make(name)
    counter = Graphs("aot_eager")
    step = compiled_step(by_graph, counter)
    for run, seeds in (
        (by_graph.step, range(2)),
        (step, range(2, 5)),
        (by_graph.step, range(5, 7)),
        (step, range(7, 9)),
    ):
        train_both(by_graph, by_hand, run, seeds)
    assert_same_training(by_graph, by_hand, **CLOSE)
    assert counter.frame_count == 1
    kept = [group[shared.name] for group in by_graph.param_groups for shared in ours(name).schema.shared]
    assert all(isinstance(number, Tensor) and number.dtype == torch.float64 for number in kept)
    by_graph.load_state_dict(by_graph.state_dict())
    loaded = [group[shared.name] for group in by_graph.param_groups for shared in ours(name).schema.shared]
    assert all(type(number) is float for number in loaded)
    assert loaded == [number.item() for number in kept]


def test_a_graph_that_has_looked_at_shared_numbers_before_breaks_once() -> None:
    by_graph, by_hand = make("Prodigy"), make("Prodigy")
    step = type(by_graph).step.__wrapped__.__wrapped__

    def scheduled() -> float:
        lr = by_graph.param_groups[0]["lr"]
        step(by_graph)
        return lr

    train_both(by_graph, by_hand, torch.compile(scheduled, backend="eager"), range(4))
    assert_same_training(by_graph, by_hand, **CLOSE)
    assert not any(group["capturable"] for group in by_graph.param_groups)


def test_a_loss_from_a_closure() -> None:
    optimizer = make("AdamW", foreach=False)
    give_gradients(params_of(optimizer), 0)
    weight = torch.ones(3, requires_grad=True)
    step = type(optimizer).step.__wrapped__.__wrapped__
    run = torch.compile(lambda: step(optimizer, lambda: (weight * 2).sum()), backend="aot_eager", fullgraph=True)
    loss = run()
    assert loss == 6.0
    assert loss.requires_grad


def test_wrong_state_is_an_error_before_anything_is_written() -> None:
    optimizer = make("AdamW", foreach=False)
    train_both(optimizer, make("AdamW", foreach=False), optimizer.step, range(1))
    optimizer.state[params_of(optimizer)[0]]["exp_avg"] = torch.zeros(2)
    before = picture(optimizer)
    give_gradients(params_of(optimizer), 1)
    with pytest.raises(RuntimeError, match=r"`exp_avg` of parameter 0 of group 0 has the shape \(2,\)"):
        compiled_step(optimizer, "eager")()
    assert_unchanged(before, optimizer)


# What no graph holds.


def _scaled(optimizer: Optimizer) -> None:
    optimizer.grad_scale, optimizer.found_inf = torch.tensor(2.0), torch.tensor(0.0)


def _clipped(optimizer: Optimizer) -> None:
    for group in optimizer.param_groups:
        group["clip_grad_norm"] = 0.1


@pytest.mark.parametrize("change", [_scaled, _clipped])
def test_what_a_graph_cannot_hold_runs_outside_of_it(change: Callable[[Optimizer], None]) -> None:
    """Without fullgraph; with it that is an error of dynamo's."""
    by_graph, by_hand = make("AdamW", fused=True), make("AdamW", fused=True)
    for optimizer in (by_graph, by_hand):
        assert isinstance(optimizer, Optimizer)
        change(optimizer)
    train_both(by_graph, by_hand, compiled_step(by_graph, "eager", fullgraph=False), range(3))
    assert_same_training(by_graph, by_hand)
    assert (by_graph.grad_norm is not None) == (change is _clipped)
    torch._dynamo.reset()
    with pytest.raises(Unsupported, match="_step_outside_of_graphs"):
        compiled_step(by_graph, "eager")()


def test_a_rule_written_by_hand_runs_outside_of_graphs() -> None:
    by_graph, by_hand = HeavyBall(parameters(SHAPES)), HeavyBall(parameters(SHAPES))
    train_both(by_graph, by_hand, compiled_step(by_graph, "eager", fullgraph=False), range(3))
    assert_same_training(by_graph, by_hand)


def test_a_step_that_was_not_unwrapped_breaks_the_graph() -> None:
    """As torch's does; the step then is an ordinary one."""
    by_graph, by_hand = make("AdamW"), make("AdamW")
    train_both(by_graph, by_hand, torch.compile(by_graph.step, backend="eager"), range(3))
    assert_same_training(by_graph, by_hand)
    assert isinstance(by_graph, Optimizer)
    assert "C++" in by_graph.explain()


# The operator.


@pytest.mark.parametrize("name", ["AdamW", "SGD"])
def test_the_operator_writes_what_it_declares(name: str) -> None:
    """And nothing else, whatever torch's own checks of operators try with it."""
    optimizer = ours(name)(parameters(SHAPES), lr=torch.tensor(0.01), fused=True, **remembering(name))
    give_gradients(params_of(optimizer), 0)
    params: list[Tensor] = []
    grads: list[Tensor] = []
    kernels: list[int] = []
    states: list[list[Tensor | None]] = [[] for _ in optimizer.schema.states]
    (group,) = optimizer.param_groups
    optimizer._init_group(group, params, grads, [], kernels, *states)
    numbers = [0.0, *(0.5 for h in optimizer.schema.hyperparameters for _ in h.elements)][:-1]
    written = [tensor for column in states for tensor in column if tensor is not None]
    assert len(written) == (9 if name == "AdamW" else 3)
    torch.library.opcheck(
        torch.ops.thetac.fused_step.default,
        (kernels[0], [param.detach() for param in params], grads, written, numbers, [group["lr"]], [0]),
    )


def test_steps_of_a_graph_keep_a_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the graph writes to its inputs; it goes with the optimizer."""
    prepared: list[int] = []
    original = assignments.choose_all

    def counted(*arguments: Any) -> list[Choice]:
        prepared.append(1)
        return original(*arguments)

    monkeypatch.setattr(assignments, "choose_all", counted)
    by_graph = make("Adadelta", fused=True)
    step = compiled_step(by_graph, "eager")
    for seed in range(4):
        give_gradients(params_of(by_graph), seed)
        step()
    assert len(prepared) == 2, "once for each of the groups"
    assert isinstance(by_graph, Optimizer)
    assert by_graph._traced is not None
    kept = weakref.ref(by_graph._traced.kept)
    del by_graph, step
    torch._dynamo.reset()
    gc.collect()
    assert kept() is None


@pytest.mark.parametrize("options", [{"fused": True}, {"foreach": True}, {"foreach": False}], ids=str)
def test_a_step_that_breaks_the_graph_is_not_traced(options: dict[str, bool]) -> None:
    graphs: list[object] = []

    def backend(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable[..., object]:
        graphs.append(graph)
        return graph.forward

    optimizer = make("AdamW", **options)
    compiled = torch.compile(lambda: optimizer.step(), backend=backend)
    for seed in range(3):
        give_gradients(params_of(optimizer), seed)
        compiled()
    assert not graphs
