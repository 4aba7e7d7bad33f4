import pytest

from clipbatch.collect.signature import ends_early, name_of
from tests.pictures import FORMATS, encode, picture

pytestmark = pytest.mark.quick


@pytest.mark.parametrize("extension", sorted(FORMATS))
def test_a_file_is_named_as_its_decoder_names_it(extension):
    assert name_of(encode(picture(1), extension)) == FORMATS[extension]


@pytest.mark.parametrize("extension", ["jpg", "png", "gif", "webp", "bmp"])
def test_whole_files_do_not_end_early_and_halves_do(extension):
    data = encode(picture(1), extension)
    assert not ends_early(data)
    assert ends_early(data[: len(data) // 2])


def test_what_has_no_signature_has_no_name_and_no_end():
    for data in (b"", b"hello", b"<html>", b"\0" * 200):
        assert name_of(data) is None
        assert not ends_early(data)
    assert name_of(b"\xef\xbb\xbf\n<!-- x --><svg>") == "SVG"
