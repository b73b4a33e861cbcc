"""What `optimizer.explain()` says.

In: an optimizer's groups, its state and what its last step did. Out: text. Decides nothing: reasons come from where the
decisions were made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from thetac.runtime.implementations.fused import specialisations_of
from thetac.runtime.implementations.widened import HALF, dtype_holding
from thetac.runtime.param_groups.shape_classes import shape_of
from thetac.runtime.param_groups.state import Entry
from thetac.runtime.schema import Group, Schema
from thetac.runtime.stepping.choice import choose
from thetac.runtime.stepping.implementation import FUSED, Choice
from thetac.runtime.stepping.stepper import Stepper
from thetac.runtime.tensor_facts.dtensors import get_local


def explanation(schema: Schema, groups: Sequence[Group], state: Mapping[Tensor, Entry], stepper: Stepper | None) -> str:
    """Return the whole text, one line per group and implementation."""
    lines = [f"{schema.name}, {len(groups)} parameter group{'s' if len(groups) != 1 else ''}"]
    served = {} if stepper is None else {(one.group, one.position): one.choice for one in stepper.served}
    if not served:
        lines.append("no step yet; what follows is what the parameters and options ask for")
    moved = 0
    for index, group in enumerate(groups):
        found: dict[tuple[Choice, str], list[Tensor]] = {}
        idle = 0
        for position, param in enumerate(group["params"]):
            if served and (index, position) not in served:
                idle += 1
                continue
            choice = served[index, position] if served else choose(schema, group, param)
            computed = _computed(schema, choice, param, state.get(param, {}))
            found.setdefault((choice, computed), []).append(param)
        for (choice, computed), params in found.items():
            size = sum(bytes_per_step(schema, group, param, state.get(param, {})) for param in params)
            moved += size
            what = f"{choice.implementation.value} for {_count(params)} ({choice.reason}){computed}"
            lines.append(f"group {index}: {what}, {size:,} bytes per step")
        if idle:
            lines.append(f"group {index}: {idle} without a gradient in the last step that was re-planned")
    lines.append(f"{moved:,} bytes read and written per step")
    if stepper is not None and stepper.served:
        lines += _plans(stepper)
    return "\n".join(lines)


def bytes_per_step(schema: Schema, group: Group, param: Tensor, entry: Entry) -> int:
    """Return what kernels of this process load and store in all passes of a step; counters and scalars are left out."""
    found = {**entry, "param": param, "grad": param if param.grad is None else param.grad}
    size = 0
    for name, accesses in schema.traffic(specialisations_of(schema, group, shape_of(schema, param))).items():
        if isinstance(value := found.get(name), Tensor):
            of_elements = get_local(param if name == "grad" else value)
            size += accesses * of_elements.numel() * value.element_size()
    return size


def _computed(schema: Schema, choice: Choice, param: Tensor, entry: Entry) -> str:
    """Return what half precision is computed in where it is not by kernels, which compute in float32."""
    if choice.implementation in FUSED or param.dtype not in HALF:
        return ""
    found = (entry.get(declared.name) for declared in schema.states if declared.follows_dtype)
    grads = [] if param.grad is None else [param.grad]
    dtype = dtype_holding(schema, [param, *grads, *(value for value in found if isinstance(value, Tensor))])
    return f", computed in {str(dtype).removeprefix('torch.')}"


def _count(params: list[Tensor]) -> str:
    """Return how many parameters and elements there are, in words."""
    elements = sum(param.numel() for param in params)
    return f"{len(params)} parameter{'s' if len(params) != 1 else ''} of {elements:,} elements"


def _plans(stepper: Stepper) -> list[str]:
    """Return lines on the launches of the step plan, and on how often plans were made and why."""
    lines = []
    if launches := stepper.launches:
        fused = sum(served.choice.implementation in FUSED for served in stepper.served)
        lines.append(f"step plan: {launches} launch{'es' if launches != 1 else ''} per step for {fused} parameters")
    for cause, count in stepper.plans_made.items():
        lines.append(f"plan made {count} time{'s' if count != 1 else ''}: {cause}")
    return lines
