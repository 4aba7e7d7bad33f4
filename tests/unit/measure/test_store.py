"""Laws of storing answers: exact, deterministic, strict JSON, no pickle."""

import dataclasses
import io
import json
import zipfile

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipbatch.errors import ContractBroken
from clipbatch.measure import store
from clipbatch.measure.base import Evidence, Figure, Finding, Number, Pairs, Table

pytestmark = pytest.mark.quick

ANY_TEXT = st.text(st.characters(), max_size=30)  # control characters and lone surrogates too
FINITE = st.floats(allow_nan=False, allow_infinity=False)
CELL = st.none() | st.booleans() | st.integers() | FINITE | ANY_TEXT
JSON = st.recursive(
    CELL, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4)
)
DTYPES = (
    hnp.boolean_dtypes()
    | hnp.integer_dtypes(endianness="?")
    | hnp.floating_dtypes(endianness="?")
    | hnp.unicode_string_dtypes(max_len=8)
)
ARRAYS = hnp.arrays(DTYPES, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
NUMBERS = st.builds(
    Number, ANY_TEXT, st.none() | FINITE, ANY_TEXT, st.none() | FINITE, st.none() | FINITE, ANY_TEXT
)
FINDINGS = st.builds(
    Finding,
    headline=ANY_TEXT,
    numbers=st.lists(NUMBERS, max_size=4, unique_by=lambda n: n.name).map(tuple),
    meaning=ANY_TEXT,
    tables=st.lists(
        st.builds(Table, ANY_TEXT, st.dictionaries(ANY_TEXT, st.lists(CELL, max_size=3))),
        max_size=2,
    ).map(tuple),
    figures=st.lists(
        st.builds(Figure, ANY_TEXT, ANY_TEXT, st.dictionaries(ANY_TEXT, JSON, max_size=3)),
        max_size=2,
    ).map(tuple),
    evidence=st.lists(
        st.builds(Evidence, ANY_TEXT, st.lists(ANY_TEXT, max_size=3).map(tuple)), max_size=2
    ).map(tuple),
    notes=st.lists(ANY_TEXT, max_size=2).map(tuple),
)


def same(a, b):
    """Equal bit for bit: dtype, shape and values (NaN equals itself)."""
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def refuse(name):
    raise AssertionError(f"{name} is not JSON")


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(ANY_TEXT, ARRAYS, max_size=4))
def test_result_round_trip_is_exact_and_deterministic(result):
    data = store.result_to_bytes(result)
    back = store.result_from_bytes(data)
    assert back.keys() == result.keys()
    assert all(same(back[name], result[name]) for name in result)
    again = dict(reversed(result.items()))
    assert store.result_to_bytes(again) == data


@settings(max_examples=100, deadline=None)
@given(FINDINGS)
def test_finding_json_round_trip_is_exact_and_strict(finding):
    text = store.finding_to_json(finding)
    json.loads(text.encode("ascii"), parse_constant=refuse)
    assert store.finding_from_json(text) == finding


@settings(max_examples=30, deadline=None)
@given(FINDINGS, st.dictionaries(ANY_TEXT, ARRAYS, max_size=3), st.integers(0, 5))
def test_finding_bytes_keep_the_bulk(finding, per_content, count):
    pairs = Pairs(
        np.arange(count), np.arange(count) + 1, np.linspace(0.9, 1, count, dtype=np.float32)
    )
    data = store.finding_to_bytes(
        dataclasses.replace(finding, per_content=per_content, pairs=pairs)
    )
    back = store.finding_from_bytes(data)
    assert dataclasses.replace(back, per_content={}, pairs=None) == finding
    assert back.per_content.keys() == per_content.keys()
    assert all(same(back.per_content[name], per_content[name]) for name in per_content)
    assert all(same(getattr(back.pairs, n), getattr(pairs, n)) for n in ("a", "b", "cosine"))


def test_a_finding_without_pairs_stays_without():
    assert store.finding_from_bytes(store.finding_to_bytes(Finding("h", ()))).pairs is None


def test_a_result_is_an_ordinary_npz():
    result = {"distance": np.arange(3.0), "class=corn;repeat=3": np.array(7)}
    with np.load(io.BytesIO(store.result_to_bytes(result)), allow_pickle=False) as archive:
        assert sorted(archive.files) == sorted(result)
        assert same(archive["distance"], result["distance"])


def test_numpy_values_become_json_values():
    finding = Finding(
        "h",
        (Number("n", np.float32(0.5), low=np.int64(0)),),
        tables=(Table("t", {"a": np.array([1, 2]), "b": (np.str_("x"), np.float64("nan"))}),),
        figures=(Figure("heatmap", "f", {"z": np.array([[np.inf, 1.0]]), "ok": np.bool_(True)}),),
    )
    tree = json.loads(store.finding_to_json(finding), parse_constant=refuse)
    assert tree["numbers"][0]["value"] == 0.5
    assert tree["tables"][0]["columns"] == {"a": [1, 2], "b": ["x", None]}
    assert tree["figures"][0]["data"] == {"z": [[None, 1.0]], "ok": True}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), np.float32("nan")])
def test_a_number_that_is_not_finite_is_refused(value):
    with pytest.raises(ContractBroken, match=r"'broken'.*expected a finite number"):
        store.finding_to_json(Finding("h", (Number("broken", value),)))


def test_two_numbers_of_one_name_are_refused():
    with pytest.raises(ContractBroken, match="more than once"):
        store.finding_to_json(Finding("h", (Number("n", 1.0), Number("n", 2.0))))


@pytest.mark.parametrize("value", [{1: 2}, {"a": object()}, b"bytes"])
def test_what_json_cannot_hold_is_refused_by_name(value):
    finding = Finding("h", (), figures=(Figure("bars", "f", {"values": value}),))
    with pytest.raises(ContractBroken, match=r"figures\.data\.values"):
        store.finding_to_json(finding)


def test_objects_are_refused_on_both_sides():
    with pytest.raises(ContractBroken, match="'a'"):
        store.result_to_bytes({"a": np.array([{}], dtype=object)})
    buffer = io.BytesIO()
    np.savez(buffer, a=np.array([{}], dtype=object))
    with pytest.raises(ContractBroken):
        store.result_from_bytes(buffer.getvalue())


@pytest.mark.parametrize("data", [b"", b"not a zip", store.result_to_bytes({"a": np.ones(9)})[:40]])
def test_damaged_bytes_are_refused(data):
    with pytest.raises(ContractBroken):
        store.result_from_bytes(data)


def test_another_format_is_refused():
    with pytest.raises(ContractBroken, match="format 99"):
        store.finding_from_json('{"format": 99}')


def test_the_json_is_readable_without_clipbatch():
    data = store.finding_to_bytes(Finding("headline", ()))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert json.loads(archive.read("finding.json"))["headline"] == "headline"
