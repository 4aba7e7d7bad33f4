"""A real driver that may die: ``python -m tests.torture.driver [--die POINT] ... -- audit ...``.

It runs clipbatch's own command line; what is wrapped or made small is put in from outside, by name,
so that a name which is gone is an error here and not a silent gap.
"""

import argparse
import importlib
import os
import sys
from typing import Any

from tests.torture.actors import bound
from tests.torture.points import Kill, Log, Points, install

# Small collections shall have many commits: blocks of 8 pictures, and no waiting for more.
SMALL: dict[str, dict[str, Any]] = {
    "clipbatch.runtime.attempt": {"BLOCK": 8},
    "clipbatch.runtime.collect": {"BLOCK": 8, "FLUSH_S": 0.0},
    "clipbatch.runtime.units": {"SAVE_S": 0.0},
}


def replace(module: str, name: str, value: Any) -> None:
    """Set a name that must be there."""
    found = importlib.import_module(module)
    getattr(found, name)
    setattr(found, name, value)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--log", required=True)
    parser.add_argument("--die", default="")
    parser.add_argument("--nth", type=int, default=1)
    parser.add_argument("--after-ms", type=float, default=0.0)
    parser.add_argument("--pause-s", type=float, default=0.0)
    parser.add_argument("--told", default="", help="a socket, where a command waits for this")
    parser.add_argument("--few", type=int, default=-1, help="pictures that are opened here")
    parser.add_argument("arguments", nargs="+")
    given = parser.parse_args()
    for module, values in SMALL.items():
        for name, value in values.items():
            replace(module, name, value)
    if given.few >= 0:
        replace("clipbatch.runtime.collect", "FEW", given.few)
    replace("clipbatch.runtime.attempt", "Embedder", bound(given.log, given.pause_s))
    log = Log(given.log)
    install(Points(Kill(given.die, given.nth, given.after_ms), log))
    from clipbatch import cli
    from clipbatch.runtime import driver

    log.write(started=given.die, pid=os.getpid())
    told = given.told
    code = driver.main([told, *given.arguments]) if told else cli.main(given.arguments)
    log.write(ended=code)
    return code


if __name__ == "__main__":
    sys.exit(main())
