"""The `thetac` command, also `python -m thetac`: the commands of the compiler, `build` and `cache`.

Exit status as in `thetac.codegen.__main__`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from thetac.build_command import BuildCommand
from thetac.cache_command import CacheCommand
from thetac.codegen import __main__ as compiler


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, of `sys.argv` if no arguments are given; return the exit status."""
    return compiler.main(arguments, (BuildCommand(), CacheCommand()))


if __name__ == "__main__":
    sys.exit(main())
