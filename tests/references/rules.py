"""Every spec of this checkout, as a Rule that says everything."""

from __future__ import annotations

from functools import cache

from tests.support.paths import ROOT
from thetac.codegen.ir.nodes import Rule
from thetac.codegen.passes import features
from thetac.codegen.passes.group_values import resolve
from thetac.codegen.pipeline import Source, front_end

SPECS = ROOT / "specs"


@cache
def rules() -> dict[str, Rule]:
    """Rules after features, with what None and texts stand for, by the name of the class."""
    paths = sorted(SPECS.rglob("*.yaml"))
    sources = [Source(str(path.relative_to(SPECS)), path.read_text(encoding="utf-8")) for path in paths]
    return {rule.name: resolve(features.apply(rule)) for rule in front_end(sources)}
