"""`python -m benchmarks [--quick | --again] [NAMES...]`: measure, then write results, table and pictures."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.plan import full, quick
from benchmarks.plots import plot
from benchmarks.report import markdown
from benchmarks.run import measure
from benchmarks.targets import targets

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "cpu.json"
PAGE = ROOT / "docs" / "performance.md"

Results = dict[str, Any]  # as in the JSON file


def with_cases_of_others(results: Results, known: Results) -> Results:
    """Return results with those of an earlier run that are of other optimizers.

    Raises:
        ValueError: The earlier ones are of another machine, or of other versions.
    """
    differing = [
        key
        for key, value in known["machine"].items()
        if not key.startswith("load") and results["machine"][key] != value
    ]
    if differing:
        raise ValueError(f"the known results differ in {', '.join(differing)}: measure everything")
    measured = {case["algorithm"] for case in results["cases"]}
    others = [case for case in known["cases"] if case["algorithm"] not in measured]
    return {**known, "cases": [*others, *results["cases"]]}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help="optimizers to measure; all of them if none is named")
    parser.add_argument("--quick", action="store_true", help="under two minutes; writes nothing but what --out names")
    parser.add_argument("--again", action="store_true", help="keep what is known of others, if the machine is the same")
    parser.add_argument("--out", type=Path, help="the JSON file; benchmarks/results/cpu.json for a full run")
    parser.add_argument("--table", action="store_true", help="no measuring: table and pictures from the results")
    options = parser.parse_args(arguments)
    out = options.out or (None if options.quick else RESULTS)
    if options.table:
        results = json.loads((out or RESULTS).read_text())
    else:
        results = measure((quick if options.quick else full)(options.names or None))
        if options.again:
            results = with_cases_of_others(results, json.loads((out or RESULTS).read_text()))
        if out is not None:
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(json.dumps(results, indent=1) + "\n")
    if out == RESULTS:
        plot(results, PAGE.parent / "performance")
        PAGE.write_text(markdown(results, "../benchmarks/results/cpu.json"))
    for target in targets(results["cases"]):
        if target.value is not None:
            print(target.line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
