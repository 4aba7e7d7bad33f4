import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipbatch.errors import BadImage, ConfigError, Reason
from clipbatch.storage import (
    decode_uri,
    encode_uri,
    is_remote,
    join,
    refuse_large,
    split,
    uri_text,
)
from clipbatch.text import redact

pytestmark = pytest.mark.quick


@given(st.binary(max_size=300))
def test_any_bytes_become_printable_ascii_and_come_back(name):
    uri = encode_uri(name)
    assert decode_uri(uri) == name
    assert uri.isascii()
    assert uri.isprintable() or not uri
    assert "#" not in uri


@given(st.binary(), st.binary())
def test_two_names_never_share_a_uri(one, other):
    assert (encode_uri(one) == encode_uri(other)) == (one == other)


def test_a_plain_name_stays_readable_and_a_formula_does_not_stay_one():
    assert encode_uri(b"train/cat 1-2_3.~jpg") == "train/cat 1-2_3.~jpg"
    assert encode_uri(b"=cmd|x.jpg") == "%3Dcmd%7Cx.jpg"
    assert encode_uri(b"<script>") == "%3Cscript%3E"
    assert encode_uri(b"50%#1\n") == "50%25%231%0A"


@given(st.binary())
def test_text_can_always_be_stored_as_utf8(name):
    uri_text(encode_uri(name)).encode()


@pytest.mark.parametrize(
    ("address", "expected"),
    [("/data/x", False), ("x", False), ("a:b/c", False), ("file:///x", False), ("s3://b/x", True)],
)
def test_remote_addresses_have_a_scheme(address, expected):
    assert is_remote(address) is expected


def test_other_schemes_and_credentials_in_an_address_are_refused_without_being_repeated():
    with pytest.raises(ConfigError, match="https://"):
        is_remote("https://example.org/x.tar")
    with pytest.raises(ConfigError, match="AWS_SECRET_ACCESS_KEY") as refused:
        is_remote("s3://AKIAKEY:topsecret@bucket/x")
    assert "topsecret" not in str(refused.value)


def test_redact_removes_passwords_and_signed_queries_and_nothing_else():
    text = "GET https://me:pa@ss@host/a/b.jpg?X-Amz-Signature=f00 failed; see s3://bucket/a@b"
    assert redact(text) == "GET https://host/a/b.jpg failed; see s3://bucket/a@b"


def test_split_is_the_inverse_of_join():
    assert split("s3://bucket/a/b#.tar") == ("s3://bucket/a", "b%23.tar")
    assert split("x.tar") == (".", "x.tar")
    assert split("/x.tar") == ("/", "x.tar")
    assert join("/", "x.tar") == "/x.tar"
    assert join("s3://bucket/", "a", "b") == "s3://bucket/a/b"


def test_the_limit_of_bytes_is_inclusive():
    refuse_large(10, 10)
    refuse_large(10, None)
    with pytest.raises(BadImage) as refused:
        refuse_large(11, 10)
    assert refused.value.reason is Reason.TOO_MANY_BYTES
