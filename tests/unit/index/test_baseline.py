from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from clipbatch import config as configs
from clipbatch import schema
from clipbatch.errors import ConfigError
from clipbatch.index import baseline, read, runs, table
from clipbatch.index.runs import Run
from clipbatch.measure import ANALYSES, fingerprint
from clipbatch.measure.base import Unit
from tests.unit.measure.worlds import world

pytestmark = pytest.mark.quick


@pytest.fixture
def db(tmp_path):
    table.create(str(tmp_path), schema.CATALOG, schema.CATALOG_SCHEMA)
    return str(tmp_path)


def nights(db, *verdicts, encoder="x"):
    """Save a run for each verdict, whose catalog is the newest; returns them, oldest first."""
    number = len(runs.history(db))
    version = table.latest(db, schema.CATALOG)
    saved = [
        Run(f"r{number + i}", encoder=encoder, verdict=verdict, tables={schema.CATALOG: version})
        for i, verdict in enumerate(verdicts)
    ]
    for run in saved:
        runs.save(db, run)
    return saved


def compared(db, run, wanted=""):
    config = configs.load(None, [f"index.database={db}", f"report.baseline={wanted}"])
    chosen = baseline.choose(config, run)
    return tuple(other.run_id if other else "" for other in baseline.chosen(db, chosen))


def test_the_baseline_is_the_last_that_passed_and_the_reference_the_first(db):
    first, _, second, _, tonight = nights(db, "passed", "failed", "passed", "incomplete", "")
    nights(db, "passed", encoder="y")
    assert compared(db, tonight) == (second.run_id, first.run_id)
    assert compared(db, first) == ("", "")
    assert compared(db, second) == (first.run_id, first.run_id)


def test_an_accepted_run_is_the_reference_and_counts_as_passed(db):
    first, failed, tonight = nights(db, "passed", "failed", "")
    baseline.accept(db, failed, "the new camera")
    assert compared(db, tonight) == (failed.run_id, failed.run_id)
    baseline.accept(db, first)
    assert compared(db, tonight) == (failed.run_id, first.run_id)
    baseline.accept(db, failed)
    assert compared(db, tonight) == (failed.run_id, failed.run_id)


def test_an_acceptance_outlives_the_next_state_of_its_run_and_other_encoders(db):
    (run,) = nights(db, "failed")
    (other,) = nights(db, "failed", encoder="y")
    baseline.accept(db, run)
    runs.save(db, runs.finish(run, state="reported", verdict="failed"))
    baseline.accept(db, other)
    (tonight,) = nights(db, "")
    assert compared(db, tonight) == (run.run_id, run.run_id)


def test_the_choice_is_made_once(db):
    first, tonight = nights(db, "passed", "")
    config = configs.load(None, [f"index.database={db}"])
    chosen = baseline.choose(config, tonight)
    late = Run("r0z", encoder="x", verdict="passed", tables=first.tables)
    runs.save(db, late)  # between measuring and reporting
    assert baseline.chosen(db, chosen)[0] == first


def test_a_run_or_its_tag_can_be_named_and_must_be_an_earlier_one(db):
    first, _, tonight = nights(db, "failed", "passed", "")
    assert compared(db, tonight, first.run_id)[0] == first.run_id
    assert compared(db, tonight, f"run-{first.run_id}")[0] == first.run_id
    assert compared(db, tonight, "none")[0] == ""
    for wanted in ("r9", tonight.run_id):
        with pytest.raises(ConfigError, match="earlier run"):
            compared(db, tonight, wanted)


def test_a_run_whose_tables_are_gone_is_no_baseline(db):
    first, second, tonight = nights(db, "passed", "passed", "")
    runs.save(db, replace(second, tables={schema.CATALOG: 99}))
    assert compared(db, tonight)[0] == first.run_id
    with pytest.raises(ConfigError, match="no such table"):
        compared(db, tonight, second.run_id)


def test_a_report_against_another_baseline_than_was_measured_is_refused(db):
    _, tonight = nights(db, "passed", "")
    default = configs.load(None, [f"index.database={db}"])
    tonight = baseline.choose(default, tonight)
    baseline.refuse_other(default, tonight)
    for wanted in ("r0", "run-r0"):
        baseline.refuse_other(configs.load(None, [f"report.baseline={wanted}"]), tonight)
    for wanted in ("none", "r7"):
        with pytest.raises(ConfigError, match="clipbatch measure"):
            baseline.refuse_other(configs.load(None, [f"report.baseline={wanted}"]), tonight)


def test_new_is_what_no_usable_picture_of_the_baseline_held(db):
    def merge(**rows):
        listed = [
            dict.fromkeys(schema.CATALOG_SCHEMA.names)
            | {"uri": uri, "content_id": content, "status": status}
            for uri, (content, status) in rows.items()
        ]
        data = pa.Table.from_pylist(listed, schema=schema.CATALOG_SCHEMA)
        table.merge(db, schema.CATALOG, data, update=True)

    merge(a=("1", "ok"), b=("2", "gone"), c=("3", "bad"))
    (old,) = nights(db, "passed")
    merge(d=("4", "ok"), b=("2", "ok"))
    found = read._new(db, old, pa.array(["1", "2", "3", "4"]).to_numpy(zero_copy_only=False))
    assert found.tolist() == [False, True, True, True]


@pytest.mark.parametrize("sees", [True, False])
def test_only_analyses_that_look_at_what_is_new_are_asked_again_for_it(sees):
    contents, _ = world(n=12, dim=4, classes=2)
    analysis = replace(ANALYSES[0], reads_new=sees)
    unit = Unit("u", np.arange(6))
    fresh = [None, np.zeros(12, bool), np.arange(12) == 3, np.arange(12) == 9]

    def prints(new):
        seen = replace(contents, new=new)
        return (
            fingerprint.of_finding(analysis, seen, analysis.params(), "", {}, ""),
            fingerprint.of_unit(analysis, unit, seen, analysis.params(), ""),
        )

    findings, units = zip(*map(prints, fresh), strict=True)
    assert len(set(findings)) == (4 if sees else 1)
    # The unit does not look at content 9; whether it is new changes nothing.
    assert len(set(units)) == (3 if sees else 1)
