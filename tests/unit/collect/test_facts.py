import hashlib

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter
from scipy.fft import dct
from scipy.ndimage import laplace

from clipbatch import schema
from clipbatch.collect.decode import Picture, decode
from clipbatch.collect.facts import facts, perceptual_hash, pixel_id, sharpness
from tests.pictures import encode, picture

pytestmark = pytest.mark.quick


def facts_of(image):
    pixels = np.asarray(image.convert("RGB"))
    return facts(Picture(pixels, image.width, image.height, "PNG", image.mode))


def bits_apart(one, other):
    return (int(one, 16) ^ int(other, 16)).bit_count()


def test_the_row_is_that_of_the_schema():
    row = facts(decode(encode(picture(1), "jpg"), max_pixels=10**6))
    assert list(row) == [field.name for field in schema.FACTS]
    table = pa.Table.from_pylist([row], schema=pa.schema(schema.FACTS))
    assert table.to_pylist()[0]["thumbnail"] == row["thumbnail"]
    assert (row["width"], row["height"], row["format"], row["mode"]) == (32, 24, "JPEG", "RGB")


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_bounds_hold_for_any_pixels(width, height, seed):
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    row = facts_of(Image.fromarray(noise))
    assert 0 <= row["brightness"] <= 1
    assert 0 <= row["contrast"] <= 0.5
    assert row["sharpness"] >= 0
    assert len(row["phash"]) == 16
    assert len(row["thumbnail"]) == schema.THUMBNAIL_SIDE**2


@pytest.mark.parametrize(
    ("colour", "luma"), [((0, 0, 0), 0), ((255, 255, 255), 1), ((255, 0, 0), 76 / 255)]
)
def test_a_flat_picture(colour, luma):
    row = facts_of(Image.new("RGB", (50, 40), colour))
    assert row["brightness"] == pytest.approx(luma)
    assert row["contrast"] == pytest.approx(0, abs=1e-9)
    assert row["sharpness"] == 0
    assert row["thumbnail"] == bytes([round(luma * 255)]) * 1024


def test_moments_are_those_of_the_pixels_luma():
    image = picture(3, 400, 300)
    luma = np.asarray(image.convert("L")) / 255
    row = facts_of(image)
    assert row["brightness"] == pytest.approx(luma.mean(), rel=1e-9)
    assert row["contrast"] == pytest.approx(luma.std(), rel=1e-9)
    half = Image.fromarray(np.repeat([[0, 255]], 6, axis=0).astype(np.uint8))
    assert facts_of(half)["contrast"] == pytest.approx(0.5)


def test_sharpness_is_the_variance_of_the_laplacian_and_blur_lowers_it():
    image = picture(3, 200, 150)
    luma = np.asarray(image.convert("L"))
    expected = laplace(luma / 255.0)[1:-1, 1:-1].var()
    assert sharpness(luma) == pytest.approx(expected, rel=1e-4)
    blurred = [facts_of(image.filter(ImageFilter.GaussianBlur(r)))["sharpness"] for r in (0, 1, 2)]
    assert blurred == sorted(blurred, reverse=True)
    assert sharpness(np.zeros((2, 9), np.uint8)) == 0


def test_sharpness_compares_pictures_at_one_scale():
    noise = np.random.default_rng(0).integers(0, 256, (768, 1024, 3), dtype=np.uint8)
    large = Image.fromarray(noise)
    small = large.resize((512, 384), Image.Resampling.BILINEAR)
    assert facts_of(large)["sharpness"] == pytest.approx(facts_of(small)["sharpness"], rel=0.01)


def test_the_perceptual_hash_is_the_published_one():
    luma = np.asarray(picture(5, 200, 150).convert("L").resize((32, 32)))
    matrix = dct(dct(luma.astype(float), axis=0), axis=1)[:8, :8]  # imagehash.phash, step by step
    bits = (matrix > np.median(matrix)).ravel()
    assert perceptual_hash(luma) == f"{int(''.join('01'[int(b)] for b in bits), 2):016x}"


def test_the_perceptual_hash_keeps_together_what_looks_alike():
    images = [picture(n, 160, 120) for n in range(12)]
    hashes = [facts_of(image)["phash"] for image in images]
    for image, known in zip(images, hashes, strict=True):
        again = decode(encode(image, "jpg", quality=60), max_pixels=10**6)
        assert bits_apart(facts(again)["phash"], known) <= 10
        half = image.resize((80, 60), Image.Resampling.BILINEAR)
        assert bits_apart(facts_of(half)["phash"], known) <= 10
    apart = [bits_apart(a, b) for i, a in enumerate(hashes) for b in hashes[:i]]
    assert np.mean(apart) > 20


def test_the_pixel_id_knows_the_picture_whatever_its_bytes():
    image = picture(1)
    ids = {facts_of(image)["pixel_id"]}
    for extension, options in (("png", {}), ("bmp", {}), ("tif", {}), ("png", {"optimize": True})):
        found = decode(encode(image, extension, **options), max_pixels=10**6)
        ids.add(facts(found)["pixel_id"])
    assert len(ids) == 1
    pixels = np.asarray(image)
    assert ids == {hashlib.sha256(b"24x32x3\n" + pixels.tobytes()).hexdigest()}
    turned = pixels.reshape(32, 24, 3)
    assert pixel_id(turned) != pixel_id(pixels)
    assert pixel_id(pixels[:, ::-1]) == pixel_id(np.ascontiguousarray(pixels[:, ::-1]))
