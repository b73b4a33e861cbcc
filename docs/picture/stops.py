"""The stops of the two ways in docs/architecture.svg. tests/docs/test_picture.py checks that each exists."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stop:
    """A function, class or line that a value passes."""

    path: str  # of a file, from the root of the repository
    name: str  # a name in it: of a function, a class or `Class.method`
    what: str  # what happens there

    @property
    def shown(self) -> str:
        """The stop as the picture names it: the file without its suffix, and the name."""
        folder, _, file = self.path.rpartition("/")
        return f"{folder.rpartition('/')[2]}/{file.removesuffix('.py')}: {self.name}"


BETA2 = (
    Stop("specs/adam.yaml", "betas", "declared with its default and range"),
    Stop("codegen/frontend/yaml_tree.py", "read_tree", "a YAML node with its location"),
    Stop("codegen/frontend/entries.py", "read_hyperparameter", "checked: an element of a Hyperparameter"),
    Stop("codegen/frontend/lower.py", "lower_specs", "a name that the body of a Rule reads"),
    Stop("codegen/passes/hoist.py", "hoist", "beta2 and 1 - beta2 are entries of the scalar row"),
    Stop("codegen/backends/kernels/scalar_program.py", "render", "these entries are printed as Python"),
    Stop("generated/adam/optimizer.py", "Adam", "an argument of the constructor"),
    Stop("runtime/param_groups/groups.py", "check_values", "compared with its range"),
    Stop("runtime/stepping/guards.py", "GroupReading.read_host_scalars", "read from the group in every step"),
    Stop("runtime/implementations/scalar_rows.py", "ScalarRows.compute", "passed to the scalar program"),
    Stop("generated/adam/scalars.py", "scalars", "computed: the scalar row"),
    Stop("generated/adam/kernels.cpp", "row", "read by the kernel, once per tensor"),
)

GRADIENT = (
    Stop("runtime/optimizer.py", "Optimizer.step", "the user calls it; backward has set p.grad"),
    Stop("runtime/stepping/stepper.py", "Stepper.step", "a step from top to bottom"),
    Stop("runtime/param_groups/step_tensors.py", "Listing.tensors", "p.grad is listed with all tensors"),
    Stop("runtime/stepping/plan.py", "ReusablePlan.check", "is the plan of the last step valid?"),
    Stop("runtime/stepping/guards.py", "TensorGuard.check", "the guards of all tensors"),
    Stop("runtime/tensor_facts/tensor_reader.py", "TensorWatch.poll", "its layout is compared, its address read"),
    Stop("runtime/stepping/plan.py", "ReusablePlan.refresh", "a new address is taken over"),
    Stop("runtime/implementations/fused.py", "Bucket.put_addresses", "it is written to the table"),
    Stop("runtime/implementations/fused.py", "FusedExecutor.run", "the executor of the bucket runs"),
    Stop("runtime/implementations/launch_cpp.py", "CppLauncher.launch", "the table is passed to the kernel"),
    Stop("runtime/cpp/kernel.h", "ThetacLaunch", "threads take chunks of the table"),
    Stop("generated/adam/kernels.cpp", "grad_ptr", "read by the kernel, element by element"),
)
