"""The command line without Ray, for tests of what is around it: ``python -m tests.serial audit``.

Blocks and units are computed one after another in the driver; tables, leases, merges, signals and
exit codes are the real ones.
"""

import sys

from clipbatch import cli
from clipbatch.runtime import embed, measure, session


def stream(blocks, function, settings, actor=None):
    """Yield each block's answer, in order."""
    second = actor.cls(**actor.settings) if actor else lambda block: block
    return (second(function(block, **settings)) for block in blocks)


def units(self, analysis, todo):
    """Yield each unit's answer, in order."""
    for unit in todo:
        yield (unit, *measure.compute_unit(*self._arguments(analysis, unit)))


def without_ray(put=setattr):
    """Let this process compute by itself; ``put`` as a test's ``monkeypatch.setattr`` undoes it."""
    put(session.Session, "ensure", lambda self: None)
    put(embed, "nodes", lambda: [(1.0, 0.0)])
    put(embed, "stream", stream)
    put(measure._Units, "_run", units)


def main(arguments):
    """Run one command."""
    without_ray()
    return cli.main(arguments)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
