"""How wrong is `clipbatch plan`?

    .venv/bin/python benchmarks/plan.py [--sizes 100 400 1393]

Plans and audits that many real photographs with the default configuration, each in processes of
its own, and prints forecast, actual and error (forecast / actual - 1) of each run row. The load of
the machine when each began stands beside it: a neighbour that comes or goes shows as error.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from clipbatch.index import runs

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


def main() -> None:
    """Print one line for each size and number."""
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--sizes", type=int, nargs="+", default=[100, 400, 1393])
    print("| pictures | load | what | forecast | actual | error |\n|---|---|---|---|---|---|")
    for count in arguments.parse_args().sizes:
        load = os.getloadavg()[0]
        with tempfile.TemporaryDirectory(prefix="clipbatch-plan-") as folder:
            told = trial(Path(folder), count)
        for name in told["error"]:
            error = told["error"][name] or 0.0
            print(
                f"| {count} | {load:.1f} | {name} | {told['forecast'][name]:,.1f} | "
                f"{told['actual'][name]:,.1f} | {error:+.1%} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
