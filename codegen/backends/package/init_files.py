"""The `__init__.py` of one optimizer's package and of the package that holds them all."""

from __future__ import annotations

from collections.abc import Mapping

import jinja2

from thetac import __contract__, __version__
from thetac.codegen.emit import header
from thetac.codegen.ir.nodes import Rule


def package_init(rule: Rule, environment: jinja2.Environment) -> str:
    """The text of `__init__.py`."""
    return environment.get_template("package.py.jinja").render(
        header=header(rule.source), name=rule.name, contract=__contract__, version=__version__
    )


def collection_init(members: Mapping[str, str], source: str, home: str, environment: jinja2.Environment) -> str:
    """The text of the outer `__init__.py`: `members` maps classes to their packages, which are found below `home`.

    An empty `home` stands for wherever the package lies. Ours has one, so that a class is the same class whether it
    is imported as `generated.AdamW`, in a checkout, or as `thetac.AdamW`.
    """
    return environment.get_template("collection.py.jinja").render(
        header=header(source), members=sorted(members.items()), home=f'"{home}"' if home else "__name__"
    )
