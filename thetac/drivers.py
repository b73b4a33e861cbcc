"""The drivers that optimizers may have, and the pieces of a rule that they call: one row each.

A piece is a further body of a spec beside `update`, which is compiled like it. A driver is a class of the runtime that
decides when a piece runs. The compiler reads here which pieces there are and what they may do, the runtime which class
drives them. Neither may import the other, so the tables lie where both can read them. They import nothing of either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PieceKind:
    """What a piece of some name may do."""

    name: str
    doc: str  # what it is for
    takes_grad: bool = True  # whether it may read the gradient
    must_assign: str = ""  # the name that it is there to assign; empty: some state
    # Names that its driver puts in scope: vectors, numbers. A piece that has such names is computed for all parameters
    # together, as one flat vector of reals, and has no other implementation than torch operations on it.
    vectors: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()  # LaTeX of these vectors and numbers; those of vectors get an index for the step

    @property
    def is_flat(self) -> bool:
        """Whether it sees all parameters as one vector."""
        return bool(self.vectors)


@dataclass(frozen=True, slots=True)
class Driver:
    """A class of the runtime that decides when pieces of a rule run."""

    name: str  # as specs write it
    path: str  # "module:Class" of the class that generated ones derive from
    piece: str  # that it calls
    doc: str
    needs_closure: bool  # whether steps need one
    reads: tuple[str, ...] = ()  # integer hyperparameters that it reads, the same in all groups; a spec declares them
    counts_steps: bool = False  # whether it counts the steps of the optimizer, in its groups
    needs: tuple[str, ...] = ()  # hyperparameters of any kind that it reads; a spec declares them
    replaces_update: bool = False  # whether a rule with it has no update


_PIECES = (
    PieceKind("perturb", "moves the parameters to where the gradient is taken", must_assign="param"),
    PieceKind("estimate", "updates states from another gradient than that of the step"),
    PieceKind(
        "direction",
        "finds where a minimization goes next",
        must_assign="d",
        vectors=("d", "prev_flat_grad"),
        numbers=("t", "n_iter"),
        symbols=("d", "g", r"\eta_{t-1}", "t"),
    ),
    PieceKind("train", "takes the parameters back to where training goes on", takes_grad=False, must_assign="param"),
    PieceKind("eval", "takes the parameters to where the model is evaluated", takes_grad=False, must_assign="param"),
)
_DRIVERS = (
    Driver(
        "two_point",
        "thetac.runtime.drivers.two_point:TwoPoint",
        "perturb",
        "evaluate the closure, perturb, evaluate it again, restore, update",
        needs_closure=True,
    ),
    Driver(
        "curvature",
        "thetac.runtime.drivers.curvature:Curvature",
        "estimate",
        "estimate the diagonal of the Hessian with random probes, then update",
        needs_closure=False,
        reads=("seed", "update_each"),
        counts_steps=True,
    ),
    Driver(
        "minimize",
        "thetac.runtime.drivers.minimize:Minimize",
        "direction",
        "find a direction, search along it, and go on until a test ends the step",
        needs_closure=True,
        needs=("lr", "max_iter", "max_eval", "tolerance_grad", "tolerance_change", "line_search_fn"),
        replaces_update=True,
    ),
)

PIECES: Mapping[str, PieceKind] = {piece.name: piece for piece in _PIECES}
DRIVERS: Mapping[str, Driver] = {driver.name: driver for driver in _DRIVERS}
MODES = ("train", "eval")  # a rule has both of them or none
TRAIN_MODE = "train_mode"  # the key of parameter groups that says whether the optimizer is in the first of them
MODES_PATH = "thetac.runtime.drivers.modes:Modes"  # the class behind optimizers that have them
STEPS_TAKEN = "steps_taken"  # the key of parameter groups in which a driver counts steps
ENTRY_PIECE = "estimate"  # what a method that `entry` names runs
ENTRY_PATH = "thetac.runtime.drivers.entry:Entry"  # the class behind optimizers with such a method
