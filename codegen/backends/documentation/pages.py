"""The documentation of thetac's optimizers: one page of Markdown each, and an index.

In: Rules as their specs write them. Out: file names and texts. Every text of a spec is escaped, so that a page shows
exactly what was written.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from thetac.codegen.backends.documentation.algorithm_box import algorithm
from thetac.codegen.backends.documentation.docstring import (
    FLOAT32,
    argument,
    arguments,
    half_precision,
    kind,
    size_per_element,
    start,
    state_size,
)
from thetac.codegen.backends.documentation.symbols import Symbols
from thetac.codegen.backends.printing.escaping import module_name, one_line
from thetac.codegen.emit import environment, header
from thetac.codegen.ir.nodes import Hyperparameter, Rule, Shared, State, StateKind
from thetac.codegen.ir.printer import expression_text
from thetac.codegen.passes.fixed_flags import decide_fixed_flags

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|!~$&])")
_BLOCK_START = re.compile(r"^(\d+)([.)])|^([-+=])")


def markdown(text: str) -> str:
    """Return a text of a spec as Markdown that shows exactly that text, in a paragraph, a list or a table."""
    escaped = _MARKDOWN.sub(r"\\\1", one_line(text))
    return _BLOCK_START.sub(lambda m: f"{m[1]}\\{m[2]}" if m[1] else f"\\{m[3]}", escaped)


def pages(rules: Sequence[Rule]) -> dict[str, str]:
    """Return the pages by file name: one per optimizer, and an index."""
    texts = {f"{module_name(rule.name)}.md": _page(rule) for rule in rules}
    index = [
        (f"[{rule.name}]({module_name(rule.name)}.md)", markdown(rule.summary), markdown(state_size(rule)))
        for rule in sorted(rules, key=lambda rule: rule.name.lower())
    ]
    texts["README.md"] = environment().get_template("index.md.jinja").render(header=header("specs/"), rows=index)
    return texts


def _page(rule: Rule) -> str:
    rule = decide_fixed_flags(rule)
    symbols = Symbols(rule)
    return (
        environment()
        .get_template("page.md.jinja")
        .render(
            header=header(re.sub(r"[<>]", "", rule.source)),
            name=rule.name,
            summary=markdown(rule.summary),
            source=markdown(rule.source),
            link=re.sub(r"[^\w./-]", "", rule.source),
            algorithm=algorithm(rule),
            arguments=[_argument_row(rule, symbols, name) for name in arguments(rule)],
            size=markdown(state_size(rule)),
            states=[
                *(_state_row(symbols, state) for state in rule.states),
                *(_shared_row(symbols, one) for one in rule.shared),
                *(_kept_row(symbols, h) for h in rule.hyperparameters if h.starts_as),
            ],
            half_precision=markdown(half_precision(rule)),
            notes=[markdown(note) for note in rule.notes],
            references=[markdown(reference) for reference in rule.references],
        )
    )


def _argument_row(rule: Rule, symbols: Symbols, name: str) -> list[str]:
    form, default, interval, meaning = argument(rule, name)
    values = next((h.value_names for h in rule.hyperparameters if h.name == name), ())
    return [
        f"`{name}`",
        ", ".join(_inline(symbols.bare(value)) for value in values),
        form,
        f"`{default}`",
        markdown(interval),
        markdown(meaning),
    ]


def _state_row(symbols: Symbols, state: State) -> list[str]:
    return [
        f"`{state.name}`",
        _inline(symbols.bare(state.name)),
        kind(state),
        f"{size_per_element(state)} per element"
        if state.kind in (StateKind.TENSOR, StateKind.HISTORY)
        else str(FLOAT32),
        {StateKind.COUNTER: "0", StateKind.HISTORY: "nothing"}.get(state.kind, markdown(start(state))),
        "always" if state.when is None else f"if `{expression_text(state.when)}`",
        markdown(state.doc),
    ]


def _kept_row(symbols: Symbols, kept: Hyperparameter) -> list[str]:
    return [
        f"`{kept.name}`",
        _inline(symbols.bare(kept.name)),
        "a key of parameter groups",
        "8",
        f"`{kept.starts_as}` of the constructor",
        "always",
        markdown(kept.doc),
    ]


def _shared_row(symbols: Symbols, shared: Shared) -> list[str]:
    return [
        f"`{shared.name}`",
        _inline(symbols.bare(shared.name)),
        f"a key of parameter groups, one number per {shared.scope.value}",
        "8",
        f"`{expression_text(shared.init)}`",
        "always",
        markdown(shared.doc),
    ]


def _inline(symbol: str) -> str:
    """Return a symbol within a line; signs that Markdown would interpret are written as commands."""
    return f"${symbol.replace('|', chr(92) + 'vert ').replace('*', chr(92) + 'ast ')}$"
