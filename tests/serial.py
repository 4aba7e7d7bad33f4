"""The command line without Ray, for tests of what is around it: ``python -m tests.serial audit``.

Blocks and units are computed one after another in the driver; tables, leases, merges, signals and
exit codes are the real ones.
"""

import sys

from clipbatch import cli
from clipbatch.runtime import attempt, embed, patience, session
from clipbatch.runtime import units as running

HERE = patience.Node("here", "127.0.0.1", cpus=1.0, gpus=0.0, memory=float("inf"))
BATCH = 16  # pictures a forward pass; asking a worker for the best would start Ray


def stream(blocks, function, settings, patience, actor=None):
    """Yield each block's answer, in order."""
    second = actor.cls(**actor.settings) if actor else lambda block: block
    return (second(function(block, **settings)) for block in blocks)


def units(self, analysis, todo):
    """Yield each unit's answer, in order."""
    for unit in todo:
        yield (unit, *running.compute_unit(*self._arguments(analysis, unit)))


def without_ray(put=setattr):
    """Let this process compute by itself; ``put`` as a test's ``monkeypatch.setattr`` undoes it."""
    put(session.Session, "ensure", lambda self: None)
    for module in (embed, patience):
        put(module, "live", lambda: [HERE])
    put(embed, "nodes", lambda: [(HERE.cpus, HERE.gpus)])
    put(embed, "_probe", lambda config, session, where: BATCH)
    put(attempt, "stream", stream)
    put(running.Units, "_run", units)


def main(arguments):
    """Run one command."""
    without_ray()
    return cli.main(arguments)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
