"""The `__init__.py` of one optimizer's package, and the package's name."""

from __future__ import annotations

import jinja2

from thetac.codegen.emit import header
from thetac.codegen.ir.nodes import Rule


def module_name(class_name: str) -> str:
    """The package that holds a class: its name in lower case."""
    return class_name.lower()


def package_init(rule: Rule, environment: jinja2.Environment) -> str:
    """The text of `__init__.py`."""
    return environment.get_template("package.py.jinja").render(header=header(rule.source), name=rule.name)
