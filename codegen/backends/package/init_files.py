"""The `__init__.py` of one optimizer's package and of the package that holds them all.

In: a Rule, or the names of all packages. Out: texts. Must not know what the packages hold.
"""

from __future__ import annotations

from collections.abc import Mapping

import jinja2

from thetac import __contract__, __version__
from thetac.codegen.emit import header
from thetac.codegen.ir.nodes import Rule


def package_init(rule: Rule, environment: jinja2.Environment) -> str:
    """Return the text of one optimizer's `__init__.py`."""
    return environment.get_template("package.py.jinja").render(
        header=header(rule.source), name=rule.name, contract=__contract__, version=__version__
    )


def piece_init(piece: str, rule: Rule, environment: jinja2.Environment) -> str:
    """Return the text of the `__init__.py` of a piece."""
    return environment.get_template("piece.py.jinja").render(header=header(rule.source), name=rule.name, piece=piece)


def collection_init(members: Mapping[str, str], source: str, home: str, environment: jinja2.Environment) -> str:
    """Return the text of the outer `__init__.py`.

    Args:
        members: the package of each class.
        source: the folder of specs, for the header.
        home: the name below which the packages are imported; empty: the package's own. thetac's has one, so that a
            class is the same whether it is imported as `generated.AdamW`, in a checkout, or as `thetac.AdamW`.
        environment: of the templates.
    """
    return environment.get_template("collection.py.jinja").render(
        header=header(source), members=sorted(members.items()), home=f'"{home}"' if home else "__name__"
    )
