"""Check the LaTeX of a symbol.

A symbol is printed into documentation by programs that run LaTeX or MathJax. In: a symbol. Out: what is wrong with
it. Only commands on a list are allowed, because some commands of LaTeX read files or define other commands.
"""

from __future__ import annotations

import re

from thetac.codegen.errors import did_you_mean

LONGEST = 60

_GREEK = (
    "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi pi varpi rho varrho "
    "sigma varsigma tau upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega"
)
_ACCENTS = "hat widehat bar overline tilde widetilde vec dot ddot check breve acute grave underline mathring"
_FONTS = "mathrm mathbf mathit mathsf mathcal mathbb mathfrak boldsymbol text textrm operatorname"
_SIGNS = (
    "ell prime star ast dagger infty nabla partial max min sqrt sum prod odot circ cdot times pm top perp parallel hbar"
)
COMMANDS = frozenset(f"{_GREEK} {_ACCENTS} {_FONTS} {_SIGNS}".split())
_TAKES = "|".join((*_ACCENTS.split(), *_FONTS.split(), "sqrt"))  # commands with an argument

_TOKEN = re.compile(r"\\(?P<command>[A-Za-z]+|.|$)|(?P<brace>[{}])|(?P<other>.)")
_LACKING = re.compile(rf"\\(?P<command>{_TAKES})(?![A-Za-z])\s*(?:$|[_^}}\[])")
_OTHER = re.compile(r"[A-Za-z0-9 _^+\-*/=<>.,:;|'()!\[\]]")


def why_not(symbol: str) -> tuple[str, str] | None:
    """Return why a symbol cannot be printed, as cause and remedy; None if it can."""
    if len(symbol) > LONGEST:
        return f"a symbol of {len(symbol)} characters", f"at most {LONGEST}"
    depth = 0
    for token in _TOKEN.finditer(symbol):
        command, brace, other = token.group("command", "brace", "other")
        if command is not None:
            if command in COMMANDS or command in (",", ";", " ", "!"):
                continue
            return f"unknown LaTeX command `\\{command}` in a symbol", _remedy(command)
        if brace is not None:
            depth += 1 if brace == "{" else -1
            if depth < 0:
                return "a `}` without a `{` in a symbol", "open it, or delete it"
        elif _OTHER.fullmatch(other) is None:
            return (
                f"`{other}` in a symbol",
                "a symbol is letters, digits, `_`, `^`, braces and commands such as `\\beta`",
            )
    if depth:
        return "a `{` without a `}` in a symbol", "close it"
    if (lacking := _LACKING.search(symbol)) is not None:
        command = f"\\{lacking['command']}"
        return f"`{command}` with nothing to stand on in a symbol", f"such as `{command}{{g}}`"
    if re.search(r"[_^]\s*(?:[_^}]|$)", symbol):
        return "nothing to raise or lower behind `_` or `^` in a symbol", "such as `\\beta_1`"
    if re.search(r"(_[^_^{}]+_|\^[^_^{}]+\^)", symbol):
        return "two subscripts or two superscripts in a row in a symbol", "put braces around what belongs together"
    return None


def _remedy(command: str) -> str:
    close = did_you_mean(command, COMMANDS)
    return close.replace("`", "`\\", 1) if close else "Greek letters, accents such as `\\hat`, fonts such as `\\mathrm`"
