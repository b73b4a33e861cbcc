"""What implementations require of a device, a dtype, a package and the memory of tensors.

In: an implementation, and the tensors of a member. Out: what is missing, in words that errors and `explain()` use.
Kernels for the CPU are built here, so that one that cannot be built is known before anything is written. Must not know
what a group asks for.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime.building.compiled_objects import BuildError
from thetac.runtime.implementations.fused import specialisations_of, streams
from thetac.runtime.implementations.generated_modules import has_triton_kernels, kernel_source
from thetac.runtime.implementations.graph_capture import is_captured
from thetac.runtime.implementations.launch_cpp import load_kernel, load_norm
from thetac.runtime.implementations.sparse_rows import why_not_by_rows
from thetac.runtime.implementations.widened import mixes_dtypes
from thetac.runtime.param_groups.groups import option
from thetac.runtime.param_groups.members import Member, small_states, tensor_states
from thetac.runtime.schema import Group, Schema
from thetac.runtime.stepping.implementation import FUSED, Implementation
from thetac.runtime.tensor_facts.memory import is_dense, is_plain, significant_strides

FUSED_DEVICES = ("cpu", "cuda")
FUSED_DTYPES = frozenset(
    {torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.complex64, torch.complex128}
)


class Kernels:
    """The C++ kernels of one optimizer, built when they are first asked for."""

    def __init__(self, schema: Schema, groups: Sequence[Group]) -> None:
        self._schema = schema
        self._groups = groups
        # By group and shape class, where they make a difference.
        self._specialisations: dict[tuple[int, tuple[float, ...]], tuple[bool, ...]] = {}
        self._errors: dict[tuple[bool, tuple[torch.dtype, ...], tuple[bool, ...]], BuildError | None] = {}

    def error(self, member: Member) -> BuildError | None:
        """Build the kernel of a member if needed, and return the error if that fails; None if there is a kernel."""
        dtypes = _stream_dtypes(self._schema, member)
        is_clipped = option(self._groups[member.group], "clip_grad_norm") is not None
        kernel = (is_clipped, dtypes, self._conditions(member))
        if kernel not in self._errors:
            try:
                load_kernel(self._schema, *kernel[1:])
                if is_clipped:
                    load_norm(dtypes[1])
                self._errors[kernel] = None
            except BuildError as error:
                self._errors[kernel] = error
        return self._errors[kernel]

    def _conditions(self, member: Member) -> tuple[bool, ...]:
        """Return the specialisations that the kernel of a member is compiled for; none if one object has all."""
        if not self._schema.separate_kernels:
            return ()
        known = (member.group, self._schema.shape_class(member.shape))
        if known not in self._specialisations:
            values = specialisations_of(self._schema, self._groups[member.group], member.shape)
            self._specialisations[known] = tuple(values.values())
        return self._specialisations[known]


def fused_implementation(device: torch.device) -> Implementation:
    """Return the implementation whose kernels run on a device; raise RuntimeError for an unknown one."""
    if device.type != "cpu":
        return Implementation.TRITON
    kernels = os.environ.get("THETAC_CPU_KERNELS", "") or "cpp"
    if kernels not in ("cpp", "triton"):
        raise RuntimeError(f"THETAC_CPU_KERNELS is {kernels!r}; it can be 'cpp', or 'triton' for Triton's interpreter")
    return Implementation.CPP if kernels == "cpp" else Implementation.TRITON


def missing_for(schema: Schema, implementation: Implementation, param: Tensor) -> str:
    """Return what a fused implementation requires and does not have, as the end of a sentence; empty if nothing."""
    on_cpu = param.device.type == "cpu"
    if implementation is Implementation.CPP:
        if kernel_source(schema.package) is None:
            return f"requires the C++ kernels of {schema.package}, which has none"
    elif param.device.type in ("cpu", "cuda") and not has_triton_kernels(schema.package):
        return f"requires triton and the kernels of {schema.package}, of which one is not installed"
    elif on_cpu and not triton_interprets():
        return "with THETAC_CPU_KERNELS=triton requires TRITON_INTERPRET=1: Triton compiles no kernels for a CPU"
    if param.device.type not in FUSED_DEVICES or param.dtype not in FUSED_DTYPES:
        return (
            "requires all the params to be floating point or complex Tensors of "
            f"supported devices: {list(FUSED_DEVICES)} but {param.dtype} and {param.device.type}"
        )
    if is_captured(param.device):
        return "cannot run under graph capture without capturable=True: its numbers come from the host"
    return ""


def obstacle_of(schema: Schema, implementation: Implementation, member: Member) -> str:
    """Return why a member cannot run in an implementation; empty if it can."""
    if implementation in FUSED:
        if member.grad.is_sparse and implementation is Implementation.CPP:
            return _rows_obstacle(schema, member)
        return _fused_obstacle(schema, member)
    if implementation is Implementation.FOREACH:
        if member.grad.is_sparse:
            return "the gradient is sparse"
        if mixes_dtypes(schema, member):
            return "state and parameter have different dtypes"
    return ""


def _fused_obstacle(schema: Schema, member: Member) -> str:
    """Return why a kernel that runs over storage order through raw addresses cannot take a member."""
    of_elements = (member.param, member.grad, *tensor_states(schema, member))
    tensors = (*of_elements, *small_states(schema, member))
    if member.grad.is_sparse:
        return "the gradient is sparse"
    if not all(is_plain(tensor) for tensor in tensors):
        return "a tensor is of another type than Tensor and Parameter, or lazily negated or conjugated"
    if not is_dense(member.param):
        return "the parameter is not dense in memory"
    strides = significant_strides(member.param)
    if any(significant_strides(tensor) != strides for tensor in of_elements):
        return "parameter, gradient and state lie in memory in different orders"
    if not all(map(Tensor.is_contiguous, small_states(schema, member))):
        return "a state of numbers per parameter, row or column is not contiguous"
    if schema.has_axes and not member.param.is_contiguous():
        return "the parameter is not contiguous, and the rule computes numbers per row or column"
    if schema.view == "both" and member.param.dim() > 2:
        return "the rule sees a parameter of more than two axes now as one matrix, now as many"
    if schema.reread and any(tensor.dtype is torch.float16 for tensor in _reread(schema, member)):
        return "float16 does not hold the small numbers that a pass hands on to the next in a state"
    if not all(tensor.dtype in FUSED_DTYPES for tensor in tensors):
        return "a state has a dtype that kernels do not take"
    if not all(tensor.data_ptr() for tensor in tensors if tensor.numel()):
        return "a tensor has no memory"
    return ""


def _rows_obstacle(schema: Schema, member: Member) -> str:
    """Return why a C++ kernel cannot update the rows that a sparse gradient stores."""
    tensors = (member.param, *tensor_states(schema, member))
    if not all(is_plain(tensor) for tensor in tensors) or type(member.grad) is not Tensor:
        return "a tensor is of another type than Tensor and Parameter, or lazily negated or conjugated"
    if not all(tensor.dtype in FUSED_DTYPES for tensor in tensors):
        return "a state has a dtype that kernels do not take"
    return why_not_by_rows(schema, tensors, member.grad)


def _reread(schema: Schema, member: Member) -> list[Tensor]:
    """Return the states that a pass of a kernel reads as an earlier one has stored them, as far as they exist."""
    pairs = zip(schema.states, member.states, strict=True)
    return [tensor for state, tensor in pairs if state.name in schema.reread and tensor is not None]


def _stream_dtypes(schema: Schema, member: Member) -> tuple[torch.dtype, ...]:
    """Return the dtype of each stream, for which a kernel is built; a missing state has the parameter's."""
    found = (member.param if stream is None else stream for stream in streams(schema, member).values())
    return tuple(tensor.dtype.to_real() if tensor.is_complex() else tensor.dtype for tensor in found)


def triton_interprets() -> bool:
    """Return whether Triton runs kernels in its interpreter, on the CPU: for tests."""
    return os.environ.get("TRITON_INTERPRET", "0").lower() in ("1", "true", "yes", "on", "y")
