import time

import pytest

from clipbatch.errors import ConfigError
from clipbatch.index import runs
from clipbatch.index.runs import Run

pytestmark = pytest.mark.quick


def test_names_sort_by_time_even_within_a_second():
    names = []
    for _ in range(20):
        names.append(runs.new_run_id())
        time.sleep(0.002)
    assert names == sorted(names)
    assert len(set(names)) == 20


def test_a_run_comes_back_as_it_was_saved_and_its_next_state_replaces_it(tmp_path):
    db = str(tmp_path)
    run = Run(
        runs.new_run_id(), state="embedded", encoder="x", tables={"catalog": 3}, counts={"n": 1}
    )
    runs.save(db, run)
    assert runs.find(db) == run
    done = runs.finish(run, state="reported", verdict="passed", checks=[{"name": "a"}])
    runs.save(db, done)
    assert runs.history(db) == [done]


def test_runs_are_found_by_name_and_by_encoder(tmp_path):
    db = str(tmp_path)
    saved = [Run(f"r{i}", encoder=encoder) for i, encoder in enumerate("xxyx")]
    for run in saved:
        runs.save(db, run)
    assert runs.find(db, encoder="y") == saved[2]
    with pytest.raises(ConfigError, match="r3"):
        runs.find(db, "r9")
    with pytest.raises(ConfigError):
        runs.find(db, "r0", "y")
