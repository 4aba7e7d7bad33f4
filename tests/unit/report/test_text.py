"""Laws of text for people: nothing hides, nothing breaks a line, numbers keep four digits."""

import unicodedata
import xml.etree.ElementTree as ET

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from clipbatch.report.text import number, shorten, signed
from clipbatch.text import visible

pytestmark = pytest.mark.quick

ANY_TEXT = st.text(st.characters(), max_size=80)


@given(ANY_TEXT)
def test_visible_text_is_one_line_of_legal_characters(text):
    shown = visible(text)
    assert len(shown.splitlines()) <= 1
    assert not {unicodedata.category(c) for c in shown} & {"Cc", "Cs", "Zl", "Zp"}
    assert not {unicodedata.bidirectional(c) for c in shown} & {
        "LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI",
    }  # fmt: skip
    element = ET.Element("a", title=shown)
    assert ET.fromstring(ET.tostring(element)).get("title") == shown


@given(ANY_TEXT)
def test_visible_is_stable_and_leaves_plain_text(text):
    assert visible(visible(text)) == visible(text)


@pytest.mark.parametrize(
    "text", ["Granny-Smith", "مرحبا", "日本語", "👩‍🌾", "a\\b", "<b> & \"q\" 'p'"]
)
def test_ordinary_labels_are_unchanged(text):
    assert visible(text) == text


def test_what_cannot_be_seen_is_written_out():
    assert visible("a\u202eb\x00c\nd\udcffe") == "a\\u202eb\\u0000c↵d\\udcffe"


@given(ANY_TEXT, st.integers(8, 60))
def test_shortened_text_fits_and_keeps_both_ends(text, limit):
    shown, full = shorten(text, limit), visible(text)
    assert len(shown) <= limit
    if len(full) <= limit:
        assert shown == full
    else:
        head, _, tail = shown.rpartition("…")
        assert full.startswith(head)
        assert full.endswith(tail)


def test_a_content_id_is_known_by_its_beginning():
    assert shorten("0123456789ab" + "c" * 52) == "0123456789ab…"


@given(st.floats(-1e300, 1e300))
def test_numbers_are_true_to_four_digits(value):
    shown = float(number(value).replace("−", "-").replace(",", ""))
    assert shown == pytest.approx(value, rel=6e-4, abs=0)


@given(st.integers(-(10**14), 10**14))
def test_whole_numbers_are_exact(value):
    assert int(number(value).replace("−", "-").replace(",", "")) == value


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "–"), (True, "yes"), (2054, "2,054"), (0.71324, "0.7132"), (0.75, "0.75"),
     (14.20, "14.2"), (12345.6, "12,346"), (-0.5, "−0.5"), (0.0, "0"), (float("nan"), "not finite"),
     (3.1e-7, "3.1e−07")],
)  # fmt: skip
def test_numbers_by_example(value, shown):
    assert number(value) == shown


@given(st.floats(-1e6, 1e6))
def test_a_change_says_its_direction(value):
    assume(value != 0)
    assert signed(value)[0] == ("+" if value > 0 else "−")
    assert signed(0.0) == "±0"
