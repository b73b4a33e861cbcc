"""The front end on texts, and the specs that it is to refuse: what tests of the language share."""

from __future__ import annotations

from tests.support.paths import FRONTEND
from thetac.codegen.errors import Diagnostics
from thetac.codegen.frontend.load import load_spec
from thetac.codegen.frontend.lower import lower_specs
from thetac.codegen.ir.nodes import Rule
from thetac.codegen.passes.check.rule import check_all

INVALID = sorted(path for path in (FRONTEND / "invalid").iterdir() if path.suffix != ".txt")


def front_end(sources: dict[str, str]) -> tuple[Rule, ...]:
    """Texts by path to checked rules, as the compiler does it."""
    diagnostics = Diagnostics()
    rules = lower_specs([load_spec(text, path, diagnostics) for path, text in sources.items()], diagnostics)
    check_all(rules, diagnostics)
    diagnostics.raise_any()
    return rules
