"""`thetac new`: a commented spec to start from."""

from __future__ import annotations

from pathlib import Path

from thetac.codegen.cli.library import UsageError
from thetac.codegen.emit import environment
from thetac.codegen.errors import make_printable, quote
from thetac.codegen.folder import FolderError
from thetac.codegen.pipeline import Source, compile_specs


def new(name: str, out: Path | None) -> int:
    """Write a spec to a new file and return the exit status.

    Args:
        name: The name of the optimizer's class.
        out: The file; None for the name in lower case.

    Raises:
        UsageError: If it is not a name for a class.
        SpecError: If it is reserved.
        FolderError: If the file exists or cannot be written.
    """
    path = Path(f"{name.lower()}.yaml") if out is None else out
    if out is None and Path(name).name != name:
        raise UsageError(f"`{name}` is no name for a class; say with --out where the file goes")
    text = environment().get_template("new_spec.yaml.jinja").render(name=name, path=make_printable(str(path)))
    (one,) = compile_specs([Source(str(path), text)])  # raises an error if the name is wrong
    if one.class_name != name:  # only a part of it was read as the name
        raise UsageError(f"{quote(name)} is no name for a class")
    try:
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError:
        raise FolderError(f"{path} is there already; give another file with --out, or move it away") from None
    except OSError as error:
        raise FolderError(f"{path} cannot be written: {error.strerror}") from error
    print(f"{path}: a spec to start from; `thetac show {path}` shows what it says")
    return 0
