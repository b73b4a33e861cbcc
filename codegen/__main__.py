"""Run the compiler's part of the `thetac` command; `python -m thetac.codegen` is this part alone.

Exit status: 0 for success; 1 for errors in specs, files that cannot be written, or a failed check; 2 for a wrong
call. Errors go to the standard error, all of them at once, and never as a stack trace.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from thetac.codegen.cli import generate, language, new, overview, show
from thetac.codegen.cli.library import SPECS, Output, UsageError, our_output, users_output
from thetac.codegen.errors import SpecError
from thetac.codegen.folder import FolderError
from thetac.drivers import PIECES


class Command(Protocol):
    """A subcommand that another package adds."""

    name: str
    help: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the subcommand's arguments to its parser."""
        ...

    def run(self, options: argparse.Namespace) -> int:
        """Run the subcommand and return the exit status; raise UsageError if the call is wrong."""
        ...


def main(arguments: Sequence[str] | None = None, others: Sequence[Command] = ()) -> int:
    """Run one command and return the exit status.

    Args:
        arguments: The words of the command line; None for those of this process.
        others: Subcommands of other packages.

    Raises:
        SystemExit: If the call is wrong.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a spec may hold characters that this terminal cannot encode
    parser = _parser(others)
    options = parser.parse_args(arguments)
    try:
        other = next((other for other in others if other.name == options.command), None)
        status = _run(options, parser) if other is None else other.run(options)
        sys.stdout.flush()
    except UsageError as error:
        parser.error(str(error))
    except (SpecError, FolderError) as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:  # of the standard output: those of files are raised as SpecError or FolderError
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python flushes again when it exits
        if isinstance(error, BrokenPipeError):  # the reader, such as `head`, has seen enough
            return 0
        print(f"thetac: {error}", file=sys.stderr)
        return 1
    return status


def _run(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    match options.command:
        case "generate" | "check" as command:
            specs, output = _folders(options.specs, options.out, parser)
            return generate.generate(specs, output) if command == "generate" else generate.check(specs, output)
        case "list":
            return overview.print_table()
        case "show":
            return show.show(options.name, options.backend, options.stage, options.piece)
        case "language":
            return language.print_reference()
        case "new":
            return new.new(options.name, options.out)
        case command:
            raise AssertionError(f"no such command: {command}")


def _folders(specs: Path | None, out: Path | None, parser: argparse.ArgumentParser) -> tuple[Path, Output]:
    if (specs is None) != (out is None):
        parser.error("--specs and --out go together: your specs go into a package of your own")
    return (SPECS, our_output()) if specs is None or out is None else (specs, users_output(out))


def _parser(others: Sequence[Command]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="thetac", description="Compile specs of optimizers into torch.optim.Optimizer classes."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in (
        ("generate", "write the package that the specs give"),
        ("check", "say whether the package is exactly what the specs give"),
    ):
        command = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        command.add_argument("--specs", type=Path, metavar="DIR", help="folder of your specs (default: thetac's own)")
        command.add_argument("--out", type=Path, metavar="DIR", help="folder of your package (default: thetac's own)")
    commands.add_parser("list", help="list thetac's optimizers", description="List thetac's optimizers.")
    command = commands.add_parser(
        "show",
        help="show what a spec compiles to, at any stage",
        description="Show what the compiler makes of a spec: the rule at a stage, or what one backend writes.",
    )
    command.add_argument("name", metavar="NAME", help="an optimizer of thetac's, or the path of a spec")
    command.add_argument("--piece", choices=tuple(PIECES), help="show this piece in place of the update")
    what = command.add_mutually_exclusive_group()
    what.add_argument("--backend", choices=show.BACKENDS, help="show what this backend writes")
    what.add_argument("--stage", choices=show.STAGES, help="show the rule after this stage (default: checked)")
    command = commands.add_parser(
        "new", help="write a commented spec to start from", description="Write a commented spec to start from."
    )
    command.add_argument("name", metavar="NAME", help="name of the optimizer's class, such as MyOptimizer")
    command.add_argument("--out", type=Path, metavar="FILE", help="the file (default: NAME in lower case, .yaml)")
    text = "print the reference of the spec language"
    commands.add_parser("language", help=text, description=f"{text[0].upper()}{text[1:]}.")
    for other in others:
        other.add_arguments(commands.add_parser(other.name, help=other.help, description=f"{other.help.capitalize()}."))
    return parser


if __name__ == "__main__":
    sys.exit(main())
