import json

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipbatch.collect.columns import (
    cell_text,
    class_names,
    column,
    holds_pictures,
    image_column,
    labels_of,
    picture_column,
)
from clipbatch.errors import ConfigError

pytestmark = pytest.mark.quick


def test_a_column_is_found_left_out_or_refused_with_the_nearest_names():
    names = ["file", "coarse_cat", "label"]
    assert column("label", "auto", names, "label") == "label"
    assert column("label", "auto", names[:2], "label") is None
    assert column("label", "", names, "label") is None
    assert column("label", "none", names, "label") is None
    assert column("label", "none", ["none"], "label") == "none"
    assert column("label", "coarse_cat", names, "label") == "coarse_cat"
    with pytest.raises(ConfigError, match="did you mean 'coarse_cat'"):
        column("label", "coarse_kat", names, "label")


def test_the_column_of_pictures_is_the_only_one_the_usual_one_or_asked_for():
    assert picture_column("auto", ["image"], ["x"], ["x", "y"]) == "x"
    assert picture_column("auto", ["image"], ["x", "Image"], ["x", "Image"]) == "Image"
    assert picture_column("x", ["image"], ["x", "image"], ["x", "image"]) == "x"
    for wanted, candidates in [("auto", []), ("auto", ["a", "b"]), ("c", ["a"])]:
        with pytest.raises(ConfigError, match=r"collect\.image"):
            picture_column(wanted, ["image"], candidates, ["a", "b", "c"])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, (None, ())),
        ("cat", ("cat", ())),
        (" cat ", ("cat", ())),
        ("", (None, ())),
        (3, ("3", ())),
        (0, ("0", ())),
        (float("nan"), (None, ())),
        ([], (None, ())),
        (["cat"], ("cat", ())),
        (["cat", None, "cat"], ("cat", ())),
        (["dog", "cat", "dog"], (None, ("dog", "cat"))),
    ],
)
def test_labels(value, expected):
    assert labels_of(value) == expected


def test_numbers_become_the_names_that_hugging_face_keeps():
    told = {"info": {"features": {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}
    schema = pa.schema([("label", pa.int64())], {b"huggingface": json.dumps(told).encode()})
    names = class_names(schema, "label")
    assert labels_of(1, names) == ("dog", ())
    assert labels_of(-1, names) == (None, ())
    assert labels_of([0, 1], names) == (None, ("cat", "dog"))
    for other in (pa.schema([]), pa.schema([], {b"huggingface": b"[1]"})):
        assert class_names(other, "label") == []


SURROGATES = st.text(st.characters(exclude_categories=()))


@given(st.one_of(SURROGATES, st.binary(), st.integers(), st.floats(), st.lists(st.text())))
def test_text_of_any_cell_can_be_stored(value):
    text = cell_text(value)
    assert text is None or text.encode().decode() == text


def test_names_that_are_not_utf8_stay_legible():
    assert cell_text(b"caf\xe9".decode(errors="surrogateescape")) == "caf\\xe9"


def test_columns_of_bytes_are_told_from_columns_of_names():
    struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    for kind in (pa.binary(), pa.large_binary(), struct):
        schema = pa.schema([("picture", kind), ("uri", pa.string())])
        assert image_column(schema, "auto") == "picture"
        assert holds_pictures(schema, "auto")
        assert not holds_pictures(schema, "uri")
        with pytest.raises(ConfigError, match="hold pictures here: picture"):
            image_column(schema, "uri")
    assert not holds_pictures(pa.schema([("x", pa.struct([("path", pa.string())]))]), "auto")
