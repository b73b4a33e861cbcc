"""Replace the flags that users cannot set by their values, and remove the branches that they decide.

In: a checked Rule. Out: the Rule without its fixed flags, and without what only their other value would reach. Their
keys stay in parameter groups and checkpoints: the class (backends/package/optimizer_class.py) is made from the rule
as written.
"""

from __future__ import annotations

from dataclasses import replace

from thetac.codegen.ir.known_flags import decide, decide_cases, decide_expression, decide_requirements, decide_states
from thetac.codegen.ir.nodes import Rule


def decide_fixed_flags(rule: Rule) -> Rule:
    """Return the rule with every flag that users cannot set replaced by its value."""
    values = {flag.name: flag.default for flag in rule.flags if flag.fixed}
    values |= {n: choice.default == text for choice in rule.choices if choice.fixed for n, text in choice.comparisons}
    if not values:
        return rule
    return replace(
        rule,
        hyperparameters=tuple(
            replace(one, none=tuple(None if none is None else decide_expression(none, values) for none in one.none))
            for one in rule.hyperparameters
        ),
        flags=tuple(flag for flag in rule.flags if not flag.fixed),
        choices=tuple(choice for choice in rule.choices if not choice.fixed),
        states=decide_states(rule.states, values),
        shared=tuple(replace(one, init=decide_expression(one.init, values)) for one in rule.shared),
        requirements=decide_requirements(rule.requirements, values),
        decay=decide_cases(rule.decay, values),
        body=decide(rule.body, values),
        features=tuple(feature.changed(lambda body: decide(body, values)) for feature in rule.features),
    )
