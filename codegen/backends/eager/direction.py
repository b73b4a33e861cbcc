"""Write a flat piece: torch operations on one vector of reals that stands for all parameters.

In: the Rule of a flat piece. Out: the text of `forloop.py`, whose function returns what the piece assigns to the first
vector in its scope. The operations are those of the for-loop; sums over the vector are asked of the driver, since other
processes may have parts of it. Nothing that is given is overwritten but states.
"""

from __future__ import annotations

import jinja2

from thetac.codegen.backends.eager.forloop import ForLoop, tree_text
from thetac.codegen.backends.eager.inplace import Reduce, Step
from thetac.codegen.backends.eager.lines import comment_lines, imported
from thetac.codegen.backends.eager.op_trees import Apply
from thetac.codegen.backends.printing.arguments import tensor_names, typed_values
from thetac.codegen.backends.printing.escaping import reads, uses
from thetac.codegen.emit import header
from thetac.codegen.ir.nodes import Rule, StateKind, names_in_body
from thetac.codegen.ir.ops import OF_HISTORIES

WHOLE = "whole"  # the argument by which sums are asked for
_OF_HISTORIES = tuple(op.name for op in OF_HISTORIES)


def render(rule: Rule, piece: str, functions: tuple[str, ...], environment: jinja2.Environment) -> str:
    """Return the text of `forloop.py`.

    Args:
        rule: The piece's.
        piece: Its name, which the function has too.
        functions: The names of those of runtime/tensors.py that the for-loop may call.
        environment: Of the templates.
    """
    lines = _Direction(rule).render()
    called, (lines,) = imported(functions, rule, lines)
    history, (lines,) = imported(_OF_HISTORIES, rule, lines)
    read = names_in_body(rule.body)
    tensors = tensor_names(rule)
    states = [
        (tensors.get(state.name, state.name), "History" if state.kind is StateKind.HISTORY else "Tensor")
        for state in rule.states
    ]
    given = [
        *((name, "Tensor") for name in rule.vectors if name in read),
        *((name, "float") for name in rule.numbers if name in read),
        *states,
        *typed_values(rule),
        *([(WHOLE, "Sums")] if reads(WHOLE, lines) else []),
    ]
    return environment.get_template("direction.py.jinja").render(
        header=header(rule.source),
        optimizer=rule.name,
        piece=piece,
        arguments=given,
        result=rule.vectors[0],
        body=lines,
        functions=called,
        history=[*(["History"] if any(kind == "History" for _, kind in states) else []), *sorted(history)],
        needs_sums=reads(WHOLE, lines),
        needs_torch=uses("torch", lines),
        uses_scalar_math=uses("scalar_math", lines),
    )


class _Direction(ForLoop):
    """The lines of a flat piece."""

    def step(self, step: Step) -> list[str]:
        """Return the lines of one step; a reduction is one over the whole vector."""
        if not isinstance(step, Reduce):
            return super().step(step)
        statement, tree = step.statement, step.tree
        assert isinstance(tree, Apply), "a reduction is an operation"
        value = f"{WHOLE}.{tree.op}({tree_text(tree.args[0])}).item()"
        return [*comment_lines(statement), f"{statement.target} = {value}"]
