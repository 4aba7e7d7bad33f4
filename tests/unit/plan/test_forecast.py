"""Laws of a forecast: more work never costs less, nothing to do costs nothing, GPUs overlap."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipbatch.plan.forecast import ToDo, forecast, wanted_rows
from tests.unit.plan.examples import CHOSEN, CPUS, DIM, GPUS, NEW, RATES, load

pytestmark = pytest.mark.quick

CONFIG = load()


def told(todo=NEW, workers=CPUS, config=CONFIG, rates=RATES):
    return forecast(config, CHOSEN, todo, rates, workers, DIM)


@given(st.integers(0, 10**6), st.integers(1, 1000), st.integers(1, 50))
def test_more_pictures_never_cost_less(pictures, more, labels):
    small = ToDo(pictures, pictures, labels=labels)
    large = ToDo(pictures + more, pictures + more, labels=labels)
    one, other = told(small), told(large)
    assert other.rows >= one.rows
    assert other.bytes > one.bytes
    assert other.driver_bytes > one.driver_bytes
    # From FEW pictures on, collect opens them side by side, and noise becomes a sample.
    if pictures + more <= 4096:
        assert other.total_seconds > one.total_seconds


def test_a_collection_that_is_done_costs_nothing_but_its_listing():
    done = ToDo(1000, 0, known=900, have=wanted_rows(CONFIG, 900, 4), labels=4, seconds=0.25)
    quiet = told(done)
    assert (quiet.rows, quiet.bytes, quiet.gpu_hours) == (0, 0, 0)
    assert quiet.seconds["embed"] == quiet.seconds["measure"] == 0.0
    assert quiet.seconds["collect"] == 0.25


def test_only_what_is_missing_counts():
    have = wanted_rows(CONFIG, 900, 4)
    some = told(ToDo(1000, 100, known=900, have=have, labels=4))
    assert some.rows == wanted_rows(CONFIG, 1000, 4) - have == 400
    assert some.contents == 1000


def test_noise_of_a_large_collection_is_a_sample_of_each_label():
    config = load("embed.noise_all_below=100", "embed.noise_per_class=10", "embed.levels=[0.5,1.0]")
    assert wanted_rows(config, 100, 3) == 300
    assert wanted_rows(config, 1000, 3) == 1000 + 2 * 30
    assert wanted_rows(config, 1000, 3000) == 3000


def test_rows_are_as_long_as_their_numbers():
    single, half = told(), told(config=load("embed.dtype=float16"))
    assert single.bytes - half.bytes == single.rows * DIM * 2


def test_cpus_share_decoding_and_encoding():
    found = told()
    decoding, encoding = 1000 * 0.004 / 4, 4000 * 0.01 / 4
    assert found.seconds["embed"] == pytest.approx(5 + 6 + decoding + encoding)
    assert found.gpu_hours == 0


def test_beside_a_gpu_the_slower_stage_counts():
    found = told(workers=GPUS)
    assert found.seconds["embed"] == pytest.approx(5 + 6 + max(1000 * 0.004 / 16, 4000 * 0.01 / 2))
    assert found.gpu_hours == pytest.approx(2 * found.seconds["embed"] / 3600)
    slow = told(workers=GPUS, rates=dataclasses.replace(RATES, decode_s=1.0))
    assert slow.seconds["embed"] == pytest.approx(5 + 6 + 1000 / 16)


def test_growth_forgets_what_is_there():
    known = ToDo(1000, 0, known=900, have=3600, labels=4, seconds=1.0)
    grown = known.grown(10)
    assert (grown.pictures, grown.to_open, grown.known, grown.have) == (10_000, 10_000, 0, 0)
    assert known.grown(1) is known


def test_every_pair_costs_a_hundredfold_when_there_are_ten_times_as_many():
    one, ten = (told(NEW.grown(factor)).analyses["duplicates"].seconds for factor in (1, 10))
    assert ten == pytest.approx(100 * one)


def test_an_analysis_without_a_declared_cost_is_said_to_have_none():
    silent = dataclasses.replace(CHOSEN[0], cost=None)
    found = forecast(CONFIG, (silent,), NEW, RATES, CPUS, DIM)
    assert found.analyses == {silent.name: None}
    assert found.seconds["measure"] == RATES.task_s


def test_the_first_run_of_an_encoder_starts_a_worker_to_choose_the_batch_shape():
    first = told(rates=dataclasses.replace(RATES, choose_s=3.0))
    assert first.seconds["embed"] - told().seconds["embed"] == pytest.approx(5 + 3)
