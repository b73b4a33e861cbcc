"""The stops of the two ways in docs/architecture.svg. tests/docs/test_picture.py checks that each exists."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stop:
    """A function, class or line that a value passes."""

    path: str  # of a file, from the root of the repository
    name: str  # a name in it
    what: str  # what happens there

    @property
    def shown(self) -> str:
        """The stop as the picture names it: the file without its suffix, and the name."""
        folder, _, file = self.path.rpartition("/")
        return f"{folder.rpartition('/')[2]}/{file.removesuffix('.py')}: {self.name}"


BETA2 = (
    Stop("specs/adam.yaml", "betas", "the spec names it, with default and range"),
    Stop("codegen/frontend/yaml_tree.py", "read_tree", "a YAML node with its location"),
    Stop("codegen/frontend/entries.py", "hyperparameter", "checked: an element of a Hyperparameter"),
    Stop("codegen/frontend/lower.py", "lower_specs", "a name that the Rule's body may read"),
    Stop("codegen/passes/hoist.py", "hoist", "beta2 and 1 - beta2 become entries of the scalar row"),
    Stop("codegen/backends/kernels/scalar_program.py", "render", "the entries as lines of Python"),
    Stop("generated/adam/optimizer.py", "Adam", "an argument of the constructor"),
    Stop("runtime/param_groups/groups.py", "check_values", "compared with its range"),
    Stop("runtime/param_groups/groups.py", "numbers_of", "read from the group, a Python float"),
    Stop("generated/adam/scalars.py", "scalars", "computed: the scalar row of the group"),
    Stop("runtime/implementations/launch_cpp.py", "launch", "the row's address is handed over"),
    Stop("generated/adam/kernels.cpp", "row", "read as row[3]"),
)

GRADIENT = (
    Stop("runtime/optimizer.py", "step", "the user's call; backward has set p.grad"),
    Stop("runtime/stepping/stepper.py", "step", "one step from top to bottom"),
    Stop("runtime/param_groups/step_tensors.py", "grads", "listed with the other gradients"),
    Stop("runtime/implementations/fused.py", "run", "its executor"),
    Stop("runtime/implementations/launch_cpp.py", "launch", "the table's address is handed over"),
    Stop("runtime/cpp/kernel.h", "ThetacLaunch", "the loop over chunks and blocks"),
    Stop("generated/adam/kernels.cpp", "grad", "read as grad"),
)
