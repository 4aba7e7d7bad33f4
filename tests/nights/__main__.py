"""Run a season: ``python -m tests.nights [--seed 2026] [--learn 7] [--serial] [--docs docs]``.

Every night is a real ``clipbatch audit --config jobs/configs/nightly.toml`` on a folder of real
photographs, with the offline encoder: in a process of its own on Ray or, with ``--serial``, one
night after another in this process. Ends with 1 where a fault was missed or an alarm was false.
"""

import argparse
import tempfile
from pathlib import Path

from tests import serial
from tests.nights import commands, learnt, page, table
from tests.nights.planted import FAULTS
from tests.nights.season import Night, Season, plans

SIZE, NIGHTS, QUIET = 800, 30, 6


def main() -> int:
    """Run the season, say what each night came to, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument(
        "--learn",
        type=int,
        metavar="SEED",
        help="thresholds from calm nights",
    )
    parser.add_argument("--serial", action="store_true", help="in the driver, without Ray")
    parser.add_argument("--size", type=int, default=SIZE, help="pictures to begin with")
    parser.add_argument("--nights", type=int, default=NIGHTS)
    parser.add_argument("--docs", type=Path, help="folder for the page")
    parser.add_argument("--keep", type=Path, help="a new folder for everything, which is kept")
    options = parser.parse_args()
    if options.serial:
        serial.without_ray()
    if options.keep:
        options.keep.mkdir(parents=True)
        return _run(options, options.keep)
    with tempfile.TemporaryDirectory(prefix="clipbatch-nights-") as folder:
        return _run(options, Path(folder))


def _run(options: argparse.Namespace, root: Path) -> int:
    taught = None
    if options.learn is not None:
        if options.learn == options.seed:
            raise SystemExit("--learn: got the seed that is judged, expected another")
        shape = (options.nights, QUIET, options.size)
        taught = learnt.learn(
            root / "calm", options.learn, options.seed, shape, serial=options.serial
        )
        print(f"learnt from {taught.passed} nights: {taught.rate}", flush=True)
    audit = commands.auditor(options.serial, more=taught.settings if taught else ())
    season = Season(root, options.seed, audit, options.size)
    nights: list[Night] = []
    print(table.HEAD)
    for night in season.run(plans(options.seed, options.nights, FAULTS, QUIET)):
        nights.append(night)
        print(table.row(night, nights[0]), flush=True)
    print(f"\n{table.summary(nights)}")
    if options.docs:
        text = page.page(nights, options.seed, options.serial, options.size, taught)
        (options.docs / page.name(taught)).write_text(text)
    return int(not all(night.right for night in nights[1:]))


if __name__ == "__main__":
    raise SystemExit(main())
