"""LaTeX symbols for the names of a rule.

In: a Rule. Out: for each name a symbol that no other name has: the spec's own, or one made from the name. Symbols
of a spec were checked when it was read (frontend/symbol_syntax.py); names are letters, digits and underscores.
"""

from __future__ import annotations

import re

from thetac.codegen.ir.nodes import Assign, Expr, Rule, StateKind, Stmt, names_of, names_read, walk_statements
from thetac.options import OPTIONS

_GREEK = {
    *("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu"),
    *("nu", "xi", "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega"),
}
_COMMAND = re.compile(r"\\[A-Za-z]+|\\.|[^{}]")


class Symbols:
    """The symbols of one rule: no two names have the same."""

    def __init__(self, rule: Rule) -> None:
        self._symbols = {"param": r"\theta", "grad": "g"}
        self._symbols |= zip((*rule.vectors, *rule.numbers), rule.given_symbols, strict=True)
        given = [pair for h in rule.hyperparameters for pair in zip(h.value_names, h.symbols, strict=True)]
        given += [(state.name, state.symbol) for state in rule.states if state.kind is not StateKind.COUNTER]
        given += [(one.name, one.symbol) for one in rule.shared]
        given += [(flag.name, rf"\textit{{{words(flag.name)}}}") for flag in rule.flags]
        for choice in rule.choices:
            symbol = rf"\textit{{{words(choice.name)}}}"
            given += [(choice.name, symbol)]
            given += [(name, rf"{symbol} = \text{{{words(text)}}}") for name, text in choice.comparisons]
        given += [(option, rf"\textit{{{words(option)}}}") for option in OPTIONS]
        locals_ = [s.target for s in walk_statements(rule.body) if isinstance(s, Assign)]
        of_locals = dict(rule.symbols)
        given += [(name, of_locals.get(name, "")) for name in dict.fromkeys(locals_)]
        for name, symbol in given:
            if name not in self._symbols:
                self._symbols[name] = self._free(name, symbol)
        self._counters = {state.name for state in rule.states if state.kind is StateKind.COUNTER}
        self._constant = _constant_locals(rule)

    def _free(self, name: str, symbol: str) -> str:
        for candidate in (symbol, _made_from(name)):
            if candidate and candidate not in self._symbols.values():
                return candidate
        return rf"\mathrm{{{words(name, chr(92) + ',')}}}"

    def bare(self, name: str) -> str:
        """Return the symbol of a value that does not change from step to step."""
        return "t" if name in self._counters else self._symbols[name]

    def at(self, name: str, step: str) -> str:
        """Return the symbol of a value that changes, with a step as its index."""
        return with_subscript(self._symbols[name], step)

    def in_step(self, name: str) -> str:
        """Return the symbol of anything but a state within step t."""
        changes = name == "grad" or (
            name in self._symbols and name not in self._constant and name not in self._counters
        )
        return self.at(name, "t") if changes else self.bare(name)


def words(name: str, blank: str = " ") -> str:
    """Return a name with spaces for underscores: it needs no escape anywhere in LaTeX."""
    return name.replace("_", blank)


def _made_from(name: str) -> str:
    """Return a symbol for a name: a Greek letter or single letter, with a subscript if any, else upright letters."""
    first, *rest = name.split("_")
    stem, digits = re.fullmatch(r"(.*?)(\d*)", first, re.DOTALL).groups()  # type: ignore[union-attr]  # matches anything
    letter = rf"\{stem}" if stem in _GREEK else stem if len(stem) == 1 and stem.isalpha() else ""
    if not letter:
        return rf"\mathrm{{{words(name, chr(92) + ',')}}}"
    below = [*([digits] if digits else []), *(rf"\mathrm{{{part}}}" for part in rest if part)]
    return rf"{letter}_{{{','.join(below)}}}" if below else letter


def with_subscript(symbol: str, index: str) -> str:
    """Return the symbol with an index below, after one that it has already: `m_1` at t is `m_{1,t}`."""
    depth = 0
    position = 0
    while position < len(symbol):
        character = symbol[position]
        if character == "\\":
            position += len(_command(symbol, position))
            continue
        depth += {"{": 1, "}": -1}.get(character, 0)
        if character == "_" and depth == 0:
            start = position + 1 + len(symbol[position + 1 :]) - len(symbol[position + 1 :].lstrip())
            below = _argument(symbol, start)
            inner = below[1:-1] if below.startswith("{") else below
            return f"{symbol[:position]}_{{{inner},{index}}}{symbol[start + len(below) :]}"
        position += 1
    if "^" in symbol or "'" in symbol:
        return f"{{{symbol}}}_{{{index}}}"
    return f"{symbol}_{{{index}}}" if len(index) > 1 else f"{symbol}_{index}"


def _command(symbol: str, position: int) -> str:
    found = _COMMAND.match(symbol, position)
    assert found is not None
    return found.group()


def _argument(symbol: str, start: int) -> str:
    """Return the argument of a LaTeX operator: a group in braces, a command with the group after it, or a character."""
    if symbol[start] != "{":
        text = _command(symbol, start)
        follows = start + len(text)
        return text + (
            _argument(symbol, follows) if text.startswith("\\") and symbol[follows : follows + 1] == "{" else ""
        )
    depth = 0
    for end in range(start, len(symbol)):
        depth += {"{": 1, "}": -1}.get(symbol[end], 0)
        if depth == 0:
            return symbol[start : end + 1]
    raise AssertionError(f"unbalanced {symbol}")


def _constant_locals(rule: Rule) -> set[str]:
    """Return the locals and inputs that are the same in every step: they depend on hyperparameters and flags alone."""
    fixed = {name for h in rule.hyperparameters for name in h.value_names} | {flag.name for flag in rule.flags}
    fixed |= {name for choice in rule.choices for name in (choice.name, *(pair[0] for pair in choice.comparisons))}
    fixed |= {*OPTIONS, *rule.numbers}
    changing = {"grad", "param", *names_of(rule.kept)}
    assignments = [s for s in walk_statements(rule.body) if isinstance(s, Assign)]
    conditions = _conditions_of(rule.body, ())
    grown = True
    while grown:
        grown = False
        for assignment in assignments:
            reads = {n for e in (assignment.value, *conditions[assignment]) for n in names_read(e)}
            if reads & changing and assignment.target not in changing:
                changing.add(assignment.target)
                grown = True
    return fixed | {assignment.target for assignment in assignments} - changing


def _conditions_of(body: tuple[Stmt, ...], outer: tuple[Expr, ...]) -> dict[Assign, tuple[Expr, ...]]:
    found: dict[Assign, tuple[Expr, ...]] = {}
    for statement in body:
        if isinstance(statement, Assign):
            found[statement] = (*found.get(statement, ()), *outer)
        else:
            inner = (*outer, statement.condition)
            for part in (statement.then, statement.orelse):
                for assign, conditions in _conditions_of(part, inner).items():
                    found[assign] = (*found.get(assign, ()), *conditions)
    return found
