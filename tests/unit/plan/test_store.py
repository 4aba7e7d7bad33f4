"""A forecast is compared with the run that follows it, once, and with no other configuration."""

import datetime as dt

import lance
import pyarrow as pa
import pytest

from clipbatch.index import runs
from clipbatch.plan import store
from clipbatch.plan.forecast import forecast
from clipbatch.plan.plan import GROWTH, Plan
from tests.unit.plan.examples import CHOSEN, CPUS, DIM, NEW, RATES, load

pytestmark = pytest.mark.quick

SECONDS = {"collect": 1.0, "embed": 20.0, "index": 5.0, "measure": 4.0, "ray_start": 3.0}
COUNTS = {"listed": 1000, "contents": 800, "embedded_rows": 3200}


def keep(config):
    told = tuple(forecast(config, CHOSEN, NEW.grown(factor), RATES, CPUS, DIM) for factor in GROWTH)
    store.keep(config, Plan(NEW, RATES, CPUS, told))
    return told[0]


def run(after_s=1.0):
    started = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=after_s)
    return runs.Run(runs.new_run_id(), started=started, counts=COUNTS)


def test_the_error_is_forecast_over_actual_less_one(tmp_path):
    config = load(f"index.database={tmp_path / 'db'}")
    told = keep(config)
    rows = pa.table({"a": pa.array(range(1000))})
    lance.write_dataset(rows, str(tmp_path / "db" / "catalog.lance"))
    found = store.checked(config, run(), SECONDS)["forecast"]
    assert found["error"]["pictures"] == 0.0
    assert found["error"]["contents"] == pytest.approx(1000 / 800 - 1)
    assert found["error"]["rows"] == pytest.approx(4000 / 3200 - 1)
    assert found["error"]["seconds"] == pytest.approx(told.total_seconds / 25 - 1, abs=1e-4)
    for verb, seconds in told.seconds.items():
        error = seconds / SECONDS[verb] - 1
        assert found["error"][f"seconds_{verb}"] == pytest.approx(error, abs=1e-4)
    # The table of plans is what the plan made, not the run.
    files = [path for path in (tmp_path / "db/catalog.lance").rglob("*") if path.is_file()]
    assert found["actual"]["bytes"] == sum(path.stat().st_size for path in files)


def test_only_the_next_run_is_compared(tmp_path):
    config = load(f"index.database={tmp_path / 'db'}")
    assert store.checked(config, run(), SECONDS) == {}
    keep(config)
    first = run()
    assert store.checked(config, first, SECONDS)
    runs.save(config.index.database, first)
    assert store.checked(config, run(2.0), SECONDS) == {}
    keep(config)  # again: a later run has a plan of its own
    assert store.checked(config, run(-60.0), SECONDS) == {}


def test_another_configuration_has_no_forecast(tmp_path):
    keep(load(f"index.database={tmp_path}"))
    assert store.checked(load(f"index.database={tmp_path}", "report.evidence=3"), run(), SECONDS)
    other = load(f"index.database={tmp_path}", "embed.levels=[1.0]")
    assert store.checked(other, run(), SECONDS) == {}


def test_a_new_plan_replaces_the_old_one(tmp_path):
    config = load(f"index.database={tmp_path}")
    keep(config)
    keep(config)
    assert lance.dataset(str(tmp_path / "plans.lance")).count_rows() == 1
