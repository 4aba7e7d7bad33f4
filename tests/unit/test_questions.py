"""Questions print what a spreadsheet, a terminal and a program can take, and exit as promised."""

import argparse
import json

import pytest

from clipbatch import questions
from clipbatch.plan import store
from clipbatch.plan.forecast import forecast
from clipbatch.plan.plan import GROWTH, Plan
from clipbatch.runtime import plan as runtime
from tests.unit.plan.examples import CHOSEN, CPUS, DIM, NEW, RATES, load

pytestmark = pytest.mark.quick


@pytest.mark.parametrize("cell", ["=1", "+1", "-1", "@a", "\t=1", "  @a"])
def test_a_cell_is_never_a_formula(cell):
    shown = questions._harmless(cell)
    assert shown.startswith("'")
    assert shown.isprintable()


def test_numbers_and_plain_text_stay_as_they_are():
    for cell in (-0.5, 3, None, "a café", "a=b"):
        assert questions._harmless(cell) == cell


@pytest.fixture
def planned(monkeypatch):
    """Return a function that sets what ``clipbatch plan`` finds, without measuring."""

    def prepare(config, *refused):
        told = tuple(forecast(config, CHOSEN, NEW.grown(g), RATES, CPUS, DIM) for g in GROWTH)
        monkeypatch.setattr(runtime, "make", lambda _: Plan(NEW, RATES, CPUS, told, refused))

    return prepare


def test_a_plan_that_cannot_fit_exits_with_2_and_is_not_kept(tmp_path, planned, capfd):
    config = load(f"index.database={tmp_path / 'db'}")
    planned(config, "disk: got 1, expected 2;\nmake room")
    assert questions.plan(config, argparse.Namespace(json=False)) == 2
    told = capfd.readouterr()
    assert told.err == "clipbatch: disk: got 1, expected 2; make room\n"
    assert "vectors to make" in told.out
    assert not (tmp_path / "db").exists()


def test_a_plan_that_fits_is_kept(tmp_path, planned, capfd):
    config = load(f"index.database={tmp_path / 'db'}")
    planned(config)
    assert questions.plan(config, argparse.Namespace(json=True)) == 0
    told = json.loads(capfd.readouterr().out)
    assert list(told["forecast"]) == ["1", "10", "100"]
    assert store.stored_bytes(config.index.database) == 0
    assert (tmp_path / "db" / "plans.lance").is_dir()


def test_a_table_of_a_plan_is_of_even_lines(tmp_path, planned, capfd):
    planned(load())
    questions.plan(load(f"index.database={tmp_path}"), argparse.Namespace(json=False))
    lines = capfd.readouterr().out.splitlines()
    rows = [line for line in lines if line.startswith(("forecast", "embed", "  duplicates"))]
    assert [len(line) for line in rows] == [24 + 3 * 24] * 3
