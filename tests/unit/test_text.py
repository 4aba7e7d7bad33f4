"""What others wrote is shown whole, on one line, and without a secret."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipbatch.text import one_line, redact, visible

pytestmark = pytest.mark.quick

ANY = st.text(st.characters(codec=None, categories=None), max_size=60)


@given(ANY)
def test_a_line_holds_nothing_that_a_terminal_would_obey(text):
    shown = one_line(text)
    assert all(unicodedata.category(c) not in ("Cc", "Cs", "Zl", "Zp") for c in shown)
    assert not set(shown) & set("\u202e\u2066\u200b\ufeff")
    shown.encode()


def test_plain_text_of_any_script_stays_as_it_is():
    for text in ("a café", "日本語のラベル", "مرحبا بالعالم", "क्‍ष"):
        assert one_line(text) == visible(text) == text


@pytest.mark.parametrize(
    "address",
    [
        "s3://AKIAIOSFODNN7EXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCY@bucket/a.jpg",
        "https://user:hunter2000@host/a.jpg",
        "https://bucket.host/a.jpg?X-Amz-Signature=5ec7e7&X-Amz-Credential=AKIA1/eu",
        "GET /a.jpg Authorization: Credential=AKIAIOSFODNN7EXAMPLE/s3, Signature=5ec7e7",
        "/a.jpg?versionId=3&X-Amz-Security-Token=5ec7e7",
    ],
)
def test_an_address_loses_its_secrets(address):
    shown = redact(f"cannot read {address}; go on")
    for secret in ("AKIA", "wJalr", "K7MDENG", "hunter2000", "5ec7e7"):
        assert secret not in shown
    assert "cannot read" in shown


def test_what_is_no_secret_stays():
    for text in ("http://127.0.0.1:9000/bucket/a@b.jpg", "s3://bucket/a@b.jpg", "a=b token ring"):
        assert redact(text) == text


def test_the_environments_secrets_are_known_by_name(monkeypatch):
    monkeypatch.setenv("MY_API_KEY", "correct-horse")
    monkeypatch.setenv("HARMLESS", "battery-staple")
    assert redact("correct-horse battery-staple") == "*** battery-staple"


def test_json_stays_json():
    tree = {"a": "s3://key:secret/x@bucket/b", "b": "s3://bucket/c?sig=1", "c": "me@host", "d": 1}
    shown = redact(json.dumps(tree, separators=(",", ":")))
    assert json.loads(shown) == tree | {"a": "s3://bucket/b", "b": "s3://bucket/c"}
