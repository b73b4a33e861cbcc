"""Check what a rule means, and report all errors at once.

In: a Rule as the front end makes it. Out: diagnostics. If there are none, later passes may rely on this: names are
bound, kinds fit, and states are used only where they exist.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from thetac.codegen.errors import Diagnostic, Diagnostics, Location, quote
from thetac.codegen.ir import reserved_names
from thetac.codegen.ir.nodes import (
    DECAY_READS,
    UNREADABLE,
    ComplexMode,
    Expr,
    Hyperparameter,
    Ref,
    Rule,
    Shared,
    State,
    StateKind,
    assigned,
    compared,
    names_in_body,
    names_of,
    names_read,
)
from thetac.codegen.ir.ops import OPS, Shape
from thetac.codegen.ir.value_kinds import ELEMENT, HOST_NUMBER, HOST_TRUTH, Kind
from thetac.codegen.passes.check import names
from thetac.codegen.passes.check.body import BodyCheck
from thetac.codegen.passes.check.directions import check_directions
from thetac.codegen.passes.check.expressions import ExpressionCheck
from thetac.codegen.passes.check.linear import check_complex_param, check_linear, check_reductions_of_complex
from thetac.codegen.passes.check.pieces import check_driver, check_piece
from thetac.codegen.passes.check.shapes import check_shapes
from thetac.codegen.passes.check.totals import check_totals
from thetac.codegen.passes.pieces import rule_of
from thetac.drivers import DRIVERS
from thetac.options import OPTIONS
from thetac.shape_numbers import PARAM_FACTS


def check_all(rules: Sequence[Rule], diagnostics: Diagnostics) -> None:
    """Note all errors in the meaning of rules, which may inherit from each other or from other rules.

    An error in an inherited part that is one for the rule further up too is reported there alone. Otherwise the heir
    made the mistake: the message blames the entry of the heir that the inherited line reads, or the heir's name.
    """
    found: list[tuple[Rule, Diagnostics]] = []
    for rule in rules:
        found.append((rule, own := Diagnostics()))
        check(rule, own)
    by_name = {rule.name: own for rule, own in found}
    for rule, own in found:
        reported = {diagnostic for name in rule.family for diagnostic in by_name.get(name, ())}
        for diagnostic in own:
            if diagnostic in reported:
                continue
            if diagnostic.location.path == rule.location.path:
                diagnostics.add(diagnostic.location, diagnostic.cause, diagnostic.remedy)
            else:
                place = f"{diagnostic.location.path}:{diagnostic.location.line}"
                cause = f"{diagnostic.cause}, in what is inherited from {place}"
                diagnostics.add(_find_to_blame(rule, diagnostic), cause, diagnostic.remedy)


def _find_to_blame(rule: Rule, diagnostic: Diagnostic) -> Location:
    """Return the location of that entry of an heir by which an inherited line became wrong, or that of its name."""
    entries: list[tuple[str, Location]] = [
        *((name, one.location) for one in rule.hyperparameters for name in (one.name, *one.elements)),
        *((flag.name, flag.location) for flag in rule.flags),
        *((state.name, state.location) for state in rule.kept),
    ]
    own = {name: location for name, location in entries if location.path == rule.location.path}
    here = diagnostic.location
    stretch = here.text[here.column - 1 : here.column - 1 + here.length]
    for text in (*re.findall(r"`([^`]*)`", diagnostic.cause), stretch, here.text):
        for name in re.findall(r"[A-Za-z]\w*", text):
            if name in own:
                return own[name]
    return rule.location


def check(rule: Rule, diagnostics: Diagnostics) -> None:
    """Note all errors in the meaning of a rule, some parts of which may have been unreadable.

    Args:
        rule: The rule.
        diagnostics: Gets the errors; those in it before are kept.
    """
    before = len(diagnostics)
    _check_names(rule, diagnostics)
    declared = _Declarations(rule, diagnostics)
    declared.check()
    given = {**declared.values, **_states(rule), "param": ELEMENT, "grad": ELEMENT}
    body = BodyCheck(rule, given, frozenset(declared.unsure), diagnostics)
    body.run()
    if rule.driver:
        body.read |= {*DRIVERS[rule.driver].needs}
    if body.complete and declared.complete and len(diagnostics) == before:
        check_totals(rule, diagnostics)
    for piece in rule.pieces:
        in_scope = rule_of(rule, piece)
        known = given | dict.fromkeys(in_scope.vectors, ELEMENT) | dict.fromkeys(in_scope.numbers, HOST_NUMBER)
        own = BodyCheck(in_scope, known, frozenset(declared.unsure), diagnostics)
        own.run()
        check_piece(rule, piece, diagnostics)
        body.read |= own.read
        body.written |= own.written - {"param"}
        body.complete &= own.complete
        if own.complete and declared.complete and len(diagnostics) == before:
            check_totals(rule_of(rule, piece), diagnostics)
    check_directions(rule, diagnostics)
    body.read |= check_driver(rule, diagnostics)
    for feature in rule.features:  # which are right by themselves; a rule need not use what they declare
        body.read |= {compared(name) for name in names_in_body(feature.body)}
        body.written |= set(assigned(feature.body)) - {"param"}
    if declared.complete:
        check_shapes(rule, diagnostics)
        for piece in rule.pieces:
            check_shapes(rule_of(rule, piece), diagnostics)
    if body.complete and declared.complete:
        _check_use(rule, body, declared.read, diagnostics)
    if body.complete and len(diagnostics) == before:
        for one in (rule, *(rule_of(rule, piece) for piece in rule.pieces)):
            _check_complex(one, diagnostics)


def _check_complex(rule: Rule, diagnostics: Diagnostics) -> None:
    """Note an error where a body computes with complex elements what the rule's way of taking them does not allow."""
    before = len(diagnostics)
    match rule.complex_mode:
        case ComplexMode.NATIVE:
            check_linear(rule, diagnostics)
        case ComplexMode.PAIRS_EXCEPT_PARAM:
            check_complex_param(rule, diagnostics)
    if rule.complex_mode is not ComplexMode.UNSUPPORTED and len(diagnostics) == before:
        check_reductions_of_complex(rule, diagnostics)


def _states(rule: Rule) -> dict[str, Kind]:
    return {state.name: state.value_kind for state in rule.states} | {one.name: HOST_NUMBER for one in rule.shared}


def _check_names(rule: Rule, diagnostics: Diagnostics) -> None:
    """Note an error where a name is declared twice."""
    places: list[tuple[str, Location]] = []
    for hyperparameter in rule.hyperparameters:
        own = (hyperparameter.name,) if hyperparameter.name not in hyperparameter.elements else ()
        places += [(name, hyperparameter.location) for name in (*own, *hyperparameter.elements)]
    places += [(flag.name, flag.location) for flag in rule.flags]
    places += [(choice.name, choice.location) for choice in rule.choices]
    places += [(one.name, one.location) for one in rule.kept]
    first: dict[str, Location] = {}
    for name, location in places:
        if name != UNREADABLE and first.setdefault(name, location) is not location:
            cause = f"{quote(name)} is already the name of something in line {first[name].line}"
            diagnostics.add(location, cause, "hyperparameters, their elements, flags and states have different names")


class _Declarations:
    """Checks the expressions outside the update: initial values, conditions, requirements, cases of decay."""

    def __init__(self, rule: Rule, diagnostics: Diagnostics) -> None:
        self._rule = rule
        self._diagnostics = diagnostics
        # The kind of a hyperparameter whose default cannot be read is unknown.
        known = [h for h in rule.hyperparameters if h.default != ()]
        self.values: dict[str, Kind] = {name: HOST_NUMBER for h in known for name in h.value_names}
        self.values |= {flag.name: HOST_TRUTH for flag in rule.flags}
        self.values |= {name: HOST_TRUTH for choice in rule.choices for name, _ in choice.comparisons}
        self.read: set[str] = set()
        self._incomplete = names.is_incomplete(rule)
        self.complete = not self._incomplete  # nothing was unreadable
        self.unsure: set[str] = set()  # states whose conditions are wrong
        self._tensors = {name for h in rule.hyperparameters if h.tensor for name in h.value_names}
        self._plain = ExpressionCheck(self._value, self._refuse_predicate, diagnostics)
        self._with_shapes = ExpressionCheck(self._value, self._check_of_param, diagnostics)

    def check(self) -> None:
        """Check the expressions; `values`, `read`, `complete` and `unsure` are valid afterwards."""
        for state in self._rule.states:
            if state.name == "step" and state.kind is not StateKind.COUNTER:
                cause = "torch takes a state `step` for a counter, and loads it from a checkpoint as one"
                self._diagnostics.add(state.location, cause, "make it a `counter`, or choose another name")
            self._check_initial(state)
            if state.when is not None:
                self._check_existence(state, state.when)
        for shared in self._rule.shared:
            self._check_initial_of_shared(shared)
        for hyperparameter in self._rule.hyperparameters:
            self._check_none(hyperparameter)
        for condition, style in self._rule.decay:
            if condition is not None and self._plain.check_condition(condition, "a case of `weight_decay`"):
                self._check_fixed(condition, "the case of `weight_decay`")
            self.read.update(DECAY_READS[style])
        in_requirements = ExpressionCheck(self._value_or_option, self._check_in_requirement, self._diagnostics)
        read = set(self.read)
        for requirement in self._rule.requirements:
            in_requirements.check_condition(requirement.condition, "a requirement")
        self.read = read  # a name that only a requirement reads has no effect on the update

    def _check_none(self, hyperparameter: Hyperparameter) -> None:
        """Check what None stands for: a number, of a parameter too, that needs no value which may be None itself."""
        optional = {name for h in self._rule.hyperparameters for name in h.may_be_none}
        for name, none in zip(hyperparameter.value_names, hyperparameter.none, strict=False):
            if none is None or not self._with_shapes.check_number(none, f"what None stands for in `{name}`"):
                continue
            for read in sorted(optional & set(names_read(none))):
                remedy = "read values that are always numbers"
                self._diagnostics.add(none.location, f"`{read}` may be None itself", remedy)

    def _check_existence(self, state: State, when: Expr) -> None:
        if not self._with_shapes.check_condition(when, f"the condition of `{state.name}`"):
            self.unsure.add(state.name)
        self._check_fixed(when, f"whether `{state.name}` exists")

    def _check_initial(self, state: State) -> None:
        match state.init:
            case Ref(name="grad" | "param" as name) as ref if not state.is_like_param:
                what = "scalar state" if state.kind is StateKind.SCALAR else "state"
                self._diagnostics.add(
                    ref.location,
                    f"{what} `{state.name}` starts from `{name}`, which has many elements",
                    "start from a number",
                )
            case Ref(name="grad") as ref if self._rule.state_at_construction:
                remedy = "delete `state_created: construction`"
                self._diagnostics.add(
                    ref.location, "there is no gradient yet when states are made at construction", remedy
                )
            case Ref(name="grad" | "param"):
                pass
            case _:
                self._plain.check_number(state.init, f"the initial value of `{state.name}`")

    def _check_initial_of_shared(self, shared: Shared) -> None:
        if shared.name == "step":
            cause = "torch takes a state `step` for a counter of one parameter"
            self._diagnostics.add(shared.location, cause, "choose another name")
        self._plain.check_number(shared.init, f"the initial value of `{shared.name}`")

    def _check_fixed(self, condition: Expr, what: str) -> None:
        meanings = {n: m for h in self._rule.hyperparameters for n, m in zip(h.value_names, h.none, strict=False)}
        read = names_read(condition)
        behind = (other for name in read if (none := meanings.get(name)) is not None for other in names_read(none))
        for name in dict.fromkeys((*read, *behind)):
            if name in self._tensors:
                remedy = "conditions read flags and hyperparameters that are never tensors"
                self._diagnostics.add(
                    condition.location, f"{what} would depend on `{name}`, which may be a tensor", remedy
                )

    def _value(self, ref: Ref) -> Kind | None:
        if ref.name == UNREADABLE:
            self.complete = False
            return None
        self.read |= {ref.name, compared(ref.name)}
        if (kind := self.values.get(ref.name)) is not None:
            return kind
        if not self._incomplete:
            self._diagnostics.add(ref.location, *self._unknown(ref.name, self.values))
        return None

    def _value_or_option(self, ref: Ref) -> Kind | None:
        if ref.name in OPTIONS:
            if ref.name in (*self._rule.positional, *self._rule.keyword_only):
                return HOST_TRUTH
            self._diagnostics.add(
                ref.location, f"`{ref.name}` is no argument of this optimizer", "add it to the signature"
            )
            return None
        return self._value(ref)

    def _unknown(self, name: str, known: dict[str, Kind]) -> tuple[str, str]:
        if self._rule.state(name) is not None or name in names_of(self._rule.shared) or name in ("param", "grad"):
            return f"`{name}` is not known here", "only hyperparameters and flags are"
        if name in OPTIONS:
            return f"`{name}` is an option", "only `require` can ask for it"
        return names.explain_unknown(self._rule, name, known, "only hyperparameters and flags are known here")

    def _refuse_predicate(self, predicate: str, ref: Ref) -> bool:
        remedy = "only the update can ask it" if predicate == "first" else "only `require` can ask it"
        if OPS[predicate].shape is Shape.OF_PARAM:
            remedy = "the update, `when` and `require` can ask it"
        self._diagnostics.add(ref.location, f"`{predicate}` has no answer here", remedy)
        return False

    def _check_of_param(self, predicate: str, ref: Ref) -> bool:
        if OPS[predicate].shape is not Shape.OF_PARAM:
            return self._refuse_predicate(predicate, ref)
        self.complete &= ref.name != UNREADABLE
        return True

    def _check_in_requirement(self, predicate: str, ref: Ref) -> bool:
        if predicate in PARAM_FACTS:
            return self._check_is_param(predicate, ref)
        if predicate != "is_tensor":
            return self._check_of_param(predicate, ref)
        if ref.name in self._tensors:
            return True
        if ref.name not in self.values:
            if not self._incomplete:
                self._diagnostics.add(ref.location, *self._unknown(ref.name, self.values))
        else:
            self._diagnostics.add(ref.location, f"`{ref.name}` is never a tensor", "allow it with `tensor: true`")
        return False

    def _check_is_param(self, predicate: str, ref: Ref) -> bool:
        self.complete &= ref.name != UNREADABLE
        if ref.name in ("param", UNREADABLE):
            return True
        self._diagnostics.add(ref.location, f"`{predicate}` is asked of `param` alone", f"write `{predicate}(param)`")
        return False


def _check_use(rule: Rule, body: BodyCheck, read: set[str], diagnostics: Diagnostics) -> None:
    """Note unused declarations, and an update that does not change the parameter."""
    if "param" not in body.written and not (rule.driver and DRIVERS[rule.driver].replaces_update):
        diagnostics.add(
            rule.location,
            "the update never assigns `param`",
            "a step ends with something like `param = param - lr * ...`",
        )
    for state in rule.states:
        if state.kind is StateKind.COUNTER:
            continue  # torch keeps counters that no update reads, and checkpoints hold them
        starts_itself = isinstance(state.init, Ref) and state.init.name in ("grad", "param")
        if state.name not in body.read:
            diagnostics.add(state.location, f"state `{state.name}` is never read", _unused_remedy(state.name, body))
        elif state.name not in body.written and not starts_itself and not names_read(state.init):
            diagnostics.add(
                state.location, f"state `{state.name}` is never assigned", "a value that never changes is no state"
            )
    for shared in rule.shared:
        if shared.name not in body.read:
            diagnostics.add(shared.location, f"`{shared.name}` is never read", _unused_remedy(shared.name, body))
    for choice in rule.choices:
        if not choice.fixed and choice.name not in body.read | read:
            remedy = f"compare it, such as `if {choice.comparisons[0][0]}:`, or delete it"
            diagnostics.add(choice.location, f"`{choice.name}` is never used", remedy)
    for name, location in _arguments(rule):
        if name in body.read or name in read or reserved_names.why_not(name) is not None:
            continue
        remedy = "use it in the update, or delete it"
        if name == "weight_decay":
            remedy = "say how parameters decay, such as `weight_decay: decoupled`, or use it in the update"
        diagnostics.add(location, f"`{name}` is never used", remedy)


def _unused_remedy(name: str, body: BodyCheck) -> str:
    if name not in body.written:
        return "use it in the update, or delete it"
    return "a value that only lives within a step needs no declaration"


def _arguments(rule: Rule) -> Iterator[tuple[str, Location]]:
    """Yield every value of a hyperparameter and every flag that users can choose, with its location."""
    for hyperparameter in rule.hyperparameters:
        unnamed = isinstance(hyperparameter.default, tuple) and not hyperparameter.elements
        if not hyperparameter.fixed and not unnamed:
            yield from ((name, hyperparameter.location) for name in hyperparameter.value_names)
    for flag in rule.flags:
        if not flag.fixed:
            yield flag.name, flag.location
