"""``python -m tests.torture``: run series, append one JSON line each; exit 1 where one is wrong."""

import argparse
import json
import shlex
import shutil
import sys
import time
from pathlib import Path

from tests.torture import control, session
from tests.torture.plan import KILLS, KINDS, PHASES, plan
from tests.torture.series import Series
from tests.torture.stores import NAMES

MIX = ("actor", "node", "point", "driver")


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    top.add_argument(
        "--seed", type=int, default=1, help="of the first series; the next is one more"
    )
    top.add_argument("--series", type=int, default=99, help="at most so many, of each store")
    top.add_argument("--minutes", type=float, default=15.0, help="in all; a begun series is ended")
    top.add_argument("--store", choices=(*NAMES, "all"), default="all")
    top.add_argument(
        "--kind", choices=KINDS, nargs="+", default=MIX, help="what is killed, series by series"
    )
    top.add_argument("--kills", type=int, help="of each phase; else as many as suit the kind")
    top.add_argument("--phases", type=int, default=PHASES, help="of a series' collection")
    top.add_argument("--control", action="store_true", help="plain Ray Data into lance-ray instead")
    top.add_argument("--keep", type=Path, help="where tables and logs of a wrong series go")
    top.add_argument("--out", type=Path, help="a file to append to")
    return top


def main() -> int:
    given = parser().parse_args()
    stores = NAMES if given.store == "all" else (given.store,)
    end = time.monotonic() + given.minutes * 60
    wrong = 0
    for number, store in enumerate(stores):
        share = time.monotonic() + (end - time.monotonic()) / (len(stores) - number)
        with session.session(store, cpus=control.CPUS if given.control else 1) as here:
            for seed in range(given.seed, given.seed + given.series):
                if time.monotonic() > share:
                    break
                # Every store begins with another kind, so that a short run has seen most of them.
                kind = given.kind[(seed - given.seed + number) % len(given.kind)]
                sort = control.Control if given.control else Series
                kills = given.kills or KILLS[kind]
                line = sort(here, plan(seed, kind, given.phases), kills, share).run()
                wrong += not line["sound"]
                if given.keep and not line["sound"]:
                    ignored = shutil.ignore_patterns("ray", "server")
                    shutil.copytree(here.folder, given.keep / f"{kind}-{seed}", ignore=ignored)
                told(line, given)
    return int(bool(wrong) and not given.control)


def told(line: dict, given: argparse.Namespace) -> None:
    """Write a series' line, and say what came out."""
    if given.out:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        with given.out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
    again = ["python", "-m", "tests.torture", "--seed", str(line["seed"]), "--series", "1"]
    again += [
        "--store",
        line["store"],
        "--kind",
        line["kind"],
        "--kills",
        str(line["kills_a_phase"]),
    ]
    again += ["--phases", str(given.phases)]
    again += ["--control"] if given.control else []
    kills = sum(line["kills"].values())
    print(
        f"{line['store']} {line['kind']} seed {line['seed']}: {kills} kills, {line['drivers']} "
        f"drivers, {line['rows']} rows, lost {line['lost']}, repeated {line['repeated']}, "
        f"disagreements {line['disagreements']}, bits {line['bits']} of {line['compared']}, "
        f"tags {line['tags']}, findings {line['findings']}, evidence {line['evidence']}, embedded "
        f"again {line['embedded_again']}, ended with {line['codes']}, {line['seconds']} s",
        flush=True,
    )
    for text in [*line["failures"], *line["examples"]]:
        print(f"  {text}", flush=True)
    if not line["sound"]:
        print(f"  again: {shlex.join(again)}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
