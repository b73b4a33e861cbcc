"""Classes of schemas, and a few optimizers that represent all of them.

The runtime is driven by schemas and knows no algorithm. A test of the runtime that holds for an optimizer of each class
therefore holds for all of them; `pytest --all` tries all of them nevertheless.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tests.references.rules import rules
from thetac.codegen.ir.nodes import ComplexMode
from thetac.drivers import MODES
from thetac.runtime.schema import Schema, State

Class = Callable[[Schema], bool]


def _has(*tests: Callable[[State], object]) -> Class:
    """Return the class of schemas with a state that passes all the tests."""
    return lambda schema: any(all(test(state) for test in tests) for state in schema.states)


def _counts(schema: Schema) -> bool:
    return any(state.kind == "counter" for state in schema.states)


def _complex_mode(mode: ComplexMode) -> Class:
    return lambda schema: rules()[schema.name].complex_mode is mode


# What the runtime, or a backend, does differently for some schemas than for others.
CLASSES: Mapping[str, Class] = {
    "no state": lambda schema: not schema.states,
    "a counter": _counts,
    "state and no counter": lambda schema: bool(schema.states) and not _counts(schema),
    "a scalar state": _has(lambda state: state.kind == "scalar"),
    "a scalar state beside no counter": lambda schema: not _counts(schema) and CLASSES["a scalar state"](schema),
    "a counter or scalar on the device of the parameter": _has(lambda state: state.on_param_device),
    "state that exists only under a condition": _has(lambda state: state.when),
    "state that tells its first step": _has(lambda state: state.first),
    "conditional state that tells its first step": _has(lambda state: state.when, lambda state: state.first),
    "state that tells its first step and always exists": _has(lambda state: not state.when, lambda state: state.first),
    "state that starts from a number": _has(lambda state: state.init, lambda state: state.kind == "tensor"),
    "state that starts as a copy of the parameter": _has(lambda state: state.copies_param),
    "state made at construction": lambda schema: schema.state_at_construction,
    "sparse gradients, row by row": lambda schema: schema.sparse == "rows",
    "sparse gradients, as they are": lambda schema: schema.sparse == "native",
    "no sparse gradients": lambda schema: schema.sparse == "unsupported",
    "half precision in float32": lambda schema: schema.half_precision == "float32",
    "half precision in half precision": lambda schema: schema.half_precision == "native",
    "requirements between values": lambda schema: bool(schema.requirements),
    "flags of its own": lambda schema: bool(schema.flags),
    "a tuple of numbers": lambda schema: any(h.is_tuple for h in schema.hyperparameters),
    "tensors for other numbers than lr": lambda schema: any(
        h.tensor and h.name != "lr" for h in schema.hyperparameters
    ),
    "no weight decay": lambda schema: all(h.name != "weight_decay" for h in schema.hyperparameters),
    "weight decay": lambda schema: any(h.name == "weight_decay" for h in schema.hyperparameters),
    "values that no argument sets": lambda schema: bool(schema.fixed),
    "clipping": lambda schema: "clip_grad_norm" in schema.options,
    "no capturable": lambda schema: "capturable" not in schema.options,
    "no fused in torch": lambda schema: "fused" not in schema.options,
    "kernels for three conditions or more": lambda schema: len(schema.specialisations) > 3,
    "a kernel of its own for each value of a condition": lambda schema: schema.separate_kernels,
    "a counter that is an integer": lambda schema: schema.has_integers,
    "a scalar state in float64": _has(lambda state: state.float64),
    "state that keeps its first value": _has(lambda state: state.constant),
    "state of rows or columns": _has(lambda state: state.kind == "tensor" and not state.like_param),
    "a number computed from elements": _has(lambda state: state.kind == "number"),
    "state that only some shapes have": _has(lambda state: state.when_shape),
    "sums over parameters": lambda schema: schema.reduces and not schema.has_axes,
    "sums over rows or columns": lambda schema: schema.has_axes,
    "sums over all parameters": lambda schema: schema.waits,
    "a number that the parameters of a group share": lambda schema: any(one.scope == "group" for one in schema.shared),
    "a number that all parameters share": lambda schema: any(one.scope == "optimizer" for one in schema.shared),
    "values that agree in all groups": lambda schema: bool(schema.uniform),
    "modes": lambda schema: bool({*MODES} & {*schema.pieces}),
    "a shared number and no sum over all parameters": lambda schema: bool(schema.shared) and not schema.reduces,
    "numbers of the shape": lambda schema: bool(schema.shape_numbers),
    "an integer as a hyperparameter": lambda schema: any(h.integer for h in schema.hyperparameters),
    "a hyperparameter that may be None": lambda schema: any(
        any(n is not None for n in h.none) for h in schema.hyperparameters
    ),
    "a text as a hyperparameter": lambda schema: bool(schema.choices),
    "requirements of shapes": lambda schema: bool(schema.shape_requirements),
    **{f"complex parameters: {mode.value}": _complex_mode(mode) for mode in ComplexMode},
}


def classes_of(schema: Schema) -> frozenset[str]:
    """Return the names of the classes that the schema belongs to."""
    return frozenset(name for name, holds in CLASSES.items() if holds(schema))


def representatives(schemas: Sequence[Schema]) -> tuple[str, ...]:
    """Return names of optimizers that belong together to every class that any of the schemas belongs to.

    Takes, again and again, the optimizer with most classes that are not represented yet; of equals, the first.
    """
    classes = {schema.name: classes_of(schema) for schema in schemas}
    missing = set().union(*classes.values())
    chosen: list[str] = []
    while missing:
        best = max(classes, key=lambda name: len(classes[name] & missing))
        chosen.append(best)
        missing -= classes[best]
    return tuple(name for name in classes if name in chosen)
