"""A few of the thirty nights (``make nights``): quiet, ordinary, and with a fault planted."""

import pytest

from tests import serial
from tests.nights import commands, ordinary
from tests.nights.planted import FAULTS
from tests.nights.season import FAULT, ORDINARY, QUIET, Plan, Season

pytestmark = pytest.mark.e2e

SIZE = 300
PLANTED = ("dark batch", "corrupt files", "class gone", "split leak")


@pytest.fixture
def audit(monkeypatch):
    """Audits in this process, without Ray: what is around it is real."""
    serial.without_ray(monkeypatch.setattr)
    return commands.auditor(serial=True)


def plans():
    by_name = {fault.name: fault for fault in FAULTS}
    yield Plan(QUIET, ordinary.quiet)
    yield Plan(ORDINARY, ordinary.one_percent)
    for name in PLANTED:
        yield Plan(FAULT, by_name[name].plant, by_name[name])
    yield Plan(ORDINARY, ordinary.mixed)


def test_faults_are_found_and_quiet_nights_cost_nothing(tmp_path, audit):
    full, quiet, percent, *others = Season(tmp_path, 11, audit, SIZE).run(list(plans()))
    assert (full.code, full.opened, full.passes) == (0, SIZE, SIZE)
    assert (quiet.opened, quiet.passes) == (0, 0)
    assert percent.opened <= 0.02 * SIZE
    assert percent.passes <= 0.02 * SIZE
    wrong = {n.what: (n.verdict, n.alarms) for n in (quiet, percent, *others) if not n.right}
    assert not wrong
