"""Laws of thumbnails: small, whole, in proportion, of the same colours."""

import base64
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from clipbatch.report.thumbnails import SIDE, data_uri, thumbnail

pytestmark = pytest.mark.quick


def opened(jpeg):
    return Image.open(io.BytesIO(jpeg))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 700), st.integers(1, 700))
def test_it_fits_and_keeps_the_proportions(height, width):
    small = opened(thumbnail(np.zeros((height, width, 3), np.uint8)))
    assert small.format == "JPEG"
    assert max(small.size) <= SIDE
    scale = min(1.0, SIDE / max(height, width))
    assert small.size == pytest.approx((width * scale, height * scale), abs=1)


def test_the_whole_picture_is_shown_in_its_colours():
    pixels = np.zeros((300, 400, 3), np.uint8)
    pixels[:150, :200], pixels[:150, 200:] = (200, 30, 30), (30, 200, 30)
    pixels[150:, :200], pixels[150:, 200:] = (30, 30, 200), (220, 220, 40)
    small = np.asarray(opened(thumbnail(pixels)), np.int16)
    for row in (0, 1):
        for column in (0, 1):
            of_small = small[24 + 48 * row, 32 + 64 * column]
            of_large = pixels[75 + 150 * row, 100 + 200 * column].astype(np.int16)
            assert np.abs(of_small - of_large).max() < 16


def test_a_view_of_an_array_is_taken_as_it_is_seen():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (64, 80, 3), np.uint8)
    assert thumbnail(pixels[:, ::-1]) == thumbnail(pixels[:, ::-1].copy())


def test_a_noisy_picture_stays_small():
    pixels = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)
    assert len(thumbnail(pixels)) < 16_000


def test_the_uri_holds_the_bytes():
    kind, _, text = data_uri(b"\xff\xd8jpeg").partition(",")
    assert kind == "data:image/jpeg;base64"
    assert base64.b64decode(text) == b"\xff\xd8jpeg"
