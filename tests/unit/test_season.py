"""The simulator of ``make nights`` tells nights apart as it says; no audit runs here."""

import json

import pytest

from clipbatch import config
from tests.nights import learnt, ordinary, page
from tests.nights.planted import FAULTS
from tests.nights.season import FAULT, ORDINARY, QUIET, Plan, Season, plans
from tests.nights.tree import Place, grow

pytestmark = pytest.mark.quick
BY_NAME = {fault.name: fault for fault in FAULTS}


def files(root):
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*.jpg")}


def audits(root, *nights):
    """Return an audit that answers one (exit code, missed checks) a night, and what it saw."""
    answers, seen = iter(nights), []

    def audit(root):
        code, missed = next(answers)
        seen.append(files(root / "pictures"))
        checks = [{"name": n.partition(".")[2], "number": n, "status": "warn"} for n in missed]
        counts = dict.fromkeys(("opened", "embedded_rows"), len(seen[-1]))
        told = {"verdict": "passed", "checks": checks, "run": {"counts": counts}}
        (root / "report").mkdir(exist_ok=True)
        (root / "report" / "audit.json").write_text(json.dumps(told))
        return code

    return audit, seen


def test_a_season_is_laid_out_the_same_twice():
    first, again, other = (plans(seed, 30, FAULTS, 6) for seed in (1, 1, 2))
    assert first == again != other
    kinds = [plan.kind for plan in first]
    assert (kinds.count(FAULT), kinds.count(QUIET), len(kinds)) == (10, 6, 30)
    assert {kinds[i + 1] for i, kind in enumerate(kinds) if kind == FAULT} == {ORDINARY}
    assert {plan.fault.name for plan in first if plan.fault} == BY_NAME.keys()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_planted_and_undone_in_the_night_after(tmp_path, fault):
    audit, seen = audits(tmp_path, *[(0, [])] * 3)
    season = Season(tmp_path, 3, audit, 150)
    list(season.run([Plan(FAULT, fault.plant, fault), Plan(ORDINARY, ordinary.quiet)]))
    before, during, after = seen
    assert before == after != during


def test_an_alarm_is_what_the_last_good_night_did_not_have(tmp_path):
    dark = BY_NAME["dark batch"]
    fault, calm = Plan(FAULT, dark.plant, dark), Plan(QUIET, ordinary.quiet)
    old, about, other = "balance.classes", "arrivals.unlike", "drift.drifted_pairs"
    nights = [(0, [old]), (0, [old, other]), (1, [old, other, about]), (0, [old]), (1, [about])]
    audit, _ = audits(tmp_path, *nights)
    told = list(Season(tmp_path, 3, audit, 60).run([calm, fault, calm, calm]))
    assert [list(night.alarms.values()) for night in told] == [[], [other], [about], [], [about]]
    assert [night.right for night in told] == [True, True, True, True, False]
    text = page.page(told, 3, serial=True, size=60)
    assert "1 of 1 faults found" in text
    assert "1 of 3 other nights false alarms" in text


def test_learnt_thresholds_are_settings_and_stand_on_the_page(tmp_path):
    check = {"value": "duplicates.near_leaks", "op": "<=", "threshold": 2.5, "severity": "warn"}
    taught = learnt.Learnt(7, 31, 30, "1 of 30 nights would have alarmed.", {"near_leaks": check})
    loaded = config.load(None, taught.settings).report.checks
    assert loaded == {"near_leaks": config.Check(**check)}
    audit, _ = audits(tmp_path, (0, []), (0, []))
    told = list(Season(tmp_path, 3, audit, 60).run([Plan(QUIET, ordinary.quiet)]))
    text = page.page(told, 3, serial=True, size=60, learnt=taught)
    assert "--seed 3 --learn 7 --serial --docs docs" in text
    assert "`near_leaks <= 2.5`" in text


def test_a_fault_that_only_other_checks_tell_is_missed(tmp_path):
    dark = BY_NAME["dark batch"]
    audit, _ = audits(tmp_path, (0, []), (1, ["drift.drifted_pairs"]))
    _, night = Season(tmp_path, 3, audit, 60).run([Plan(FAULT, dark.plant, dark)])
    assert not night.right


def test_one_percent_is_one_percent(tmp_path):
    tree = grow(tmp_path, 5, 400)
    before = dict(tree.files)
    ordinary.one_percent(tree)
    fresh = len(tree.files.keys() - before.keys())
    assert 0 < fresh <= 4
    assert len(tree.files) >= 400 - 4


def test_a_file_that_stays_is_not_written_again(tmp_path):
    tree = grow(tmp_path, 5, 20)
    tree.sync()
    stamps = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.jpg")}
    path = tree.some(1)[0]
    tree.files[path] = b"other"
    tree.sync()
    changed = [p for p, stamp in stamps.items() if p.stat().st_mtime_ns != stamp]
    assert changed in ([tmp_path / path], [])  # a clock may be coarse
    assert (tmp_path / path).read_bytes() == b"other"
    assert Place.of(path).path == path
