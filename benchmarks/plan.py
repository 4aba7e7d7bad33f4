"""How wrong is `clipbatch plan`?

    .venv/bin/python benchmarks/plan.py [--sizes 100 400 1393] [--analyses]

Plans and audits that many real photographs with the default configuration, each in processes of
its own, and prints forecast, actual and error (forecast / actual - 1) of each run row. The load of
the machine when each began stands beside it: a neighbour that comes or goes shows as error. With
--analyses also what each one took by the clock, beside its declared seconds of one core.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from clipbatch import schema
from clipbatch.index import runs, table

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests import groceries


def trial(root: Path, count: int) -> dict:
    """Plan and audit, and return what the run row says."""
    source = groceries.folder(root / "pictures", count)
    given = [str(source), "--db", str(root / "db")]
    for command, more in (("plan", []), ("audit", ["--out", str(root / "report")])):
        arguments = [sys.executable, "-m", "clipbatch.cli", command, *given, *more]
        done = subprocess.run(arguments, capture_output=True, text=True, check=False)
        if done.returncode not in (0, 1):  # an audit may fail its checks and still have been timed
            raise SystemExit(done.stderr)
    return runs.find(str(root / "db")).counts["forecast"]


def of_analyses(root: Path) -> dict[str, tuple[float, float]]:
    """Return analysis -> its declared seconds of one core, and those of the clock."""
    database = str(root / "db")
    (plan,) = table.open_table(database, schema.PLANS).to_table().to_pylist()
    declared = json.loads(plan["forecast"])["analyses"]
    found = table.open_table(database, schema.FINDINGS).to_table(
        columns=["analysis", "seconds"], filter="unit = ''"
    )
    took = dict(zip(*(column.to_pylist() for column in found.columns), strict=True))
    return {name: (cost["seconds"], took[name]) for name, cost in declared.items() if name in took}


def main() -> None:
    """Print one line for each size and number."""
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--sizes", type=int, nargs="+", default=[100, 400, 1393])
    arguments.add_argument("--analyses", action="store_true")
    asked = arguments.parse_args()
    print("| pictures | load | what | forecast | actual | error |\n|---|---|---|---|---|---|")
    for count in asked.sizes:
        load = os.getloadavg()[0]
        with tempfile.TemporaryDirectory(prefix="clipbatch-plan-") as folder:
            told = trial(Path(folder), count)
            analyses = of_analyses(Path(folder)) if asked.analyses else {}
        for name in told["error"]:
            error = told["error"][name]  # None where nothing came
            print(
                f"| {count} | {load:.1f} | {name} | {told['forecast'][name]:,.1f} | "
                f"{told['actual'][name]:,.1f} | {'-' if error is None else f'{error:+.1%}'} |",
                flush=True,
            )
        for name, (declared, took) in analyses.items():
            print(f"| {count} | | {name} | {declared:.1f} of one core | {took:.1f} | |", flush=True)


if __name__ == "__main__":
    main()
