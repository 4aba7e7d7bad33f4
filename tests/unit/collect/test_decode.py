import concurrent.futures
import random
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile

from clipbatch.collect.decode import decode
from clipbatch.errors import BadImage, Reason
from tests.pictures import FORMATS, encode, picture

pytestmark = pytest.mark.quick

LIMIT = 1_000_000
# Outside of tests, decode's own filter keeps Pillow's warnings about damaged metadata quiet.
DAMAGED = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")


def pixels(image, extension="png", **options):
    return decode(encode(image, extension, **options), max_pixels=LIMIT).pixels


def refusal(data, max_pixels=LIMIT):
    with pytest.raises(BadImage) as refused:
        decode(data, max_pixels=max_pixels)
    message = refused.value.message
    assert message.isprintable()
    assert "0x" not in message  # no address: the same bytes give the same message
    return refused.value.reason


@pytest.mark.parametrize("extension", sorted(FORMATS))
def test_the_formats_people_have(extension):
    image = picture(1)
    found = decode(encode(image, extension), max_pixels=LIMIT)
    assert found.pixels.shape == (found.height, found.width, 3) == (24, 32, 3)
    assert found.pixels.dtype == np.uint8
    assert found.pixels.flags.c_contiguous
    assert found.format == FORMATS[extension]
    if extension in ("png", "bmp", "tif"):
        assert np.array_equal(found.pixels, np.asarray(image))
    else:
        assert np.abs(found.pixels.astype(int) - np.asarray(image)).mean() < 16


@pytest.mark.parametrize("extension", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientations_all_show_the_upright_picture(orientation, extension):
    upright = Image.fromarray(
        np.kron(np.arange(6).reshape(2, 3) * 50, np.ones((16, 16))).astype("u1")
    )
    turn_back = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(turn_back[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = decode(encode(stored.convert("RGB"), extension, exif=exif), max_pixels=LIMIT)
    assert (found.width, found.height) == (48, 32)
    difference = np.abs(found.pixels.astype(int) - np.asarray(upright.convert("RGB")))
    assert difference.mean() < 3


@DAMAGED
def test_a_damaged_exif_does_not_lose_the_picture():
    data = encode(picture(1), "jpg", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff garbage")
    assert decode(data, max_pixels=LIMIT).width == 32


def test_transparency_lies_on_white():
    red = np.zeros((1, 3, 4), np.uint8)
    red[..., 0], red[..., 3] = 255, [0, 128, 255]
    assert pixels(Image.fromarray(red)).tolist() == [
        [[255, 255, 255], [255, 127, 127], [255, 0, 0]]
    ]
    grey = Image.merge("LA", [Image.new("L", (1, 1), 0), Image.new("L", (1, 1), 64)])
    assert pixels(grey).tolist() == [[[191, 191, 191]]]


def test_palettes_and_their_transparent_colours():
    image = Image.new("P", (3, 1))
    image.putpalette([10, 20, 30, 200, 100, 50, 0, 0, 0])
    image.putdata([0, 1, 2])
    assert pixels(image).tolist() == [[[10, 20, 30], [200, 100, 50], [0, 0, 0]]]
    for extension in ("png", "gif"):
        found = pixels(image, extension, transparency=1)
        assert found.tolist() == [[[10, 20, 30], [255, 255, 255], [0, 0, 0]]]
    found = pixels(image, transparency=bytes([255, 0, 51]))
    assert found.tolist() == [[[10, 20, 30], [255, 255, 255], [204, 204, 204]]]
    key = pixels(Image.new("RGB", (1, 1), (1, 2, 3)), transparency=(1, 2, 3))
    assert key.tolist() == [[[255, 255, 255]]]


def test_one_bit_is_black_and_white():
    image = Image.new("1", (2, 1))
    image.putpixel((1, 0), 1)
    assert pixels(image).tolist() == [[[0, 0, 0], [255, 255, 255]]]


@pytest.mark.parametrize("extension", ["jpg", "tif"])
def test_cmyk_is_ink_on_paper(extension):
    inks = {
        (0, 0, 0, 0): (255, 255, 255),
        (255, 0, 0, 0): (0, 255, 255),
        (0, 255, 255, 0): (255, 0, 0),
        (0, 0, 0, 255): (0, 0, 0),
        (0, 0, 0, 51): (204, 204, 204),
    }
    for ink, colour in inks.items():
        found = pixels(Image.new("CMYK", (16, 16), ink), extension, quality=100)
        assert np.abs(found.astype(int) - colour).max() <= 3


def test_an_inverted_cmyk_jpeg_carries_adobes_mark():
    data = encode(Image.new("CMYK", (16, 16), (0, 0, 0, 0)), "jpg")
    assert b"Adobe" in data
    assert decode(data, max_pixels=LIMIT).pixels.min() >= 252
    assert decode(data, max_pixels=LIMIT).mode == "CMYK"


@pytest.mark.parametrize("extension", ["png", "tif"])
def test_sixteen_bits_are_scaled_and_not_clipped(extension):
    values = np.array([[0, 255, 257, 32768, 65535]], np.uint16)
    found = pixels(Image.fromarray(values), extension)
    assert found[..., 0].tolist() == [[0, 1, 1, 128, 255]]
    assert (found[..., 0] == found[..., 2]).all()


def test_sixteen_bits_of_a_pgm_and_of_a_colour_png():
    pgm = b"P5 3 1 65535\n" + struct.pack(">3H", 0, 32768, 65535)
    assert decode(pgm, max_pixels=LIMIT).pixels[0, :, 0].tolist() == [0, 128, 255]
    colour = _png(2, 1, 16, 2, struct.pack(">6H", 0, 32768, 65535, 65535, 0, 0))
    assert decode(colour, max_pixels=LIMIT).pixels.tolist() == [[[0, 128, 255], [255, 0, 0]]]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.5, 1.0], [0, 128, 255]),
        ([0.0, 100.0, 255.0], [0, 100, 255]),
        ([0.0, 32768.0, 65535.0], [0, 128, 255]),
        ([-1.0, 0.0, 1.0], [0, 128, 255]),
        ([np.nan, 0.5, np.inf], [0, 128, 255]),
        ([np.nan, np.nan, np.nan], [0, 0, 0]),
        ([-3e38, 0.0, 3e38], [0, 128, 255]),
    ],
)
def test_floats_without_a_range_get_the_smallest_that_holds_them(values, expected):
    found = pixels(Image.fromarray(np.array([values], np.float32)), "tif")
    assert found[0, :, 0].tolist() == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 100, 255], [0, 100, 255]),
        ([0, 32768, 65535], [0, 128, 255]),
        ([-5, 0, 5], [0, 128, 255]),
    ],
)
def test_whole_numbers_of_32_bits_likewise(values, expected):
    found = pixels(Image.fromarray(np.array([values], np.int32)), "tif")
    assert found[0, :, 0].tolist() == expected


def test_white_is_zero_is_seen_in_sixteen_bits_as_in_eight():
    for kind in (np.uint8, np.uint16):
        data = encode(Image.fromarray(np.array([[0, np.iinfo(kind).max]], kind)), "tif")
        at = data.index(struct.pack("<HHI", 262, 3, 1))  # PhotometricInterpretation
        inverted = data[: at + 8] + struct.pack("<H", 0) + data[at + 10 :]
        assert decode(data, max_pixels=LIMIT).pixels[0, :, 0].tolist() == [0, 255]
        assert decode(inverted, max_pixels=LIMIT).pixels[0, :, 0].tolist() == [255, 0]


def test_the_first_of_several_frames_counts():
    frames = [picture(n) for n in range(3)]
    for extension in ("gif", "webp", "tif", "png"):
        options = {"lossless": True} if extension == "webp" else {}
        many = pixels(frames[0], extension, save_all=True, append_images=frames[1:], **options)
        one = pixels(frames[0], extension, **options)
        assert np.array_equal(many, one)


def test_the_size_is_refused_from_the_header_before_decoding():
    huge = _png(60_000, 60_000, 8, 2, b"")  # no pixels at all
    assert refusal(huge) is Reason.TOO_MANY_PIXELS
    small = encode(picture(1))
    assert refusal(small, max_pixels=32 * 24 - 1) is Reason.TOO_MANY_PIXELS
    assert decode(small, max_pixels=32 * 24).width == 32


def test_pillows_own_limit_neither_warns_nor_interferes():
    before = Image.MAX_IMAGE_PIXELS
    try:
        Image.MAX_IMAGE_PIXELS = 100
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert decode(encode(picture(1)), max_pixels=LIMIT).width == 32
    finally:
        Image.MAX_IMAGE_PIXELS = before


def test_threads_with_different_limits_do_not_disturb_each_other():
    data = encode(picture(1, 100, 100))

    def attempt(limit):
        try:
            return decode(data, max_pixels=limit).width
        except BadImage as error:
            return error.reason

    limits = [20_000, 9_999] * 50
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(attempt, limits))
    assert answers == [100, Reason.TOO_MANY_PIXELS] * 50


@DAMAGED
def test_a_second_size_inside_the_file_is_bounded_too():
    icon = encode(picture(1, 64, 64))
    entry = struct.pack("<BBBBHHII", 1, 1, 0, 0, 1, 32, len(icon), 22)
    data = struct.pack("<HHH", 0, 1, 1) + entry + icon
    assert refusal(data, max_pixels=64 * 64 - 1) is Reason.TOO_MANY_PIXELS


@pytest.mark.parametrize("extension", ["jpg", "png", "webp", "bmp", "gif"])
def test_a_cut_file_is_a_bad_row_at_every_length(extension):
    data = encode(picture(1), extension)
    reasons = {refusal(data[:length]) for length in range(1, len(data) - 40, 23)}
    assert reasons <= {Reason.TRUNCATED, Reason.CORRUPT, Reason.NOT_AN_IMAGE}
    assert refusal(data[: len(data) // 2]) is Reason.TRUNCATED
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", Reason.EMPTY),
        (b"hello", Reason.NOT_AN_IMAGE),
        (b"<html></html>", Reason.NOT_AN_IMAGE),
        (b"\0" * 1000, Reason.NOT_AN_IMAGE),
        (b'<?xml version="1.0"?><svg/>', Reason.UNSUPPORTED),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", Reason.UNSUPPORTED),
        (b"\xff\x0a" + b"\0" * 20, Reason.UNSUPPORTED),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", Reason.UNSUPPORTED),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 60 + b"IEND", Reason.CORRUPT),
        (b"\xff\xd8\xff", Reason.TRUNCATED),
    ],
)
def test_reasons(data, reason):
    assert refusal(data) is reason


def test_a_small_file_that_unpacks_to_much_text_is_refused():
    bomb = b"Comment\0\0" + zlib.compress(b"a" * 80_000_000, 9)
    image = encode(picture(1))
    at = image.index(b"IDAT") - 4
    assert refusal(image[:at] + _chunk(b"zTXt", bomb) + image[at:]) is Reason.TOO_MUCH_MEMORY


@DAMAGED
@pytest.mark.parametrize("extension", sorted(FORMATS))
def test_nothing_but_bad_images_escapes_from_damaged_bytes(extension):
    good = encode(picture(1), extension)
    rng = random.Random(extension)
    for _ in range(300):
        bad = bytearray(good)
        for _ in range(rng.randrange(1, 8)):
            bad[rng.randrange(len(bad))] = rng.randrange(256)
        try:
            found = decode(bytes(bad), max_pixels=LIMIT)
        except BadImage:
            continue
        assert found.pixels.shape == (found.height, found.width, 3)


def test_formats_that_start_programs_or_open_other_files_are_never_tried():
    from clipbatch.collect.decode import _formats

    assert not {"EPS", "WMF", "MIC", "FPX", "IPTC", "PDF", "HDF5", "GRIB", "BUFR"} & {*_formats()}
    assert {"JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"} <= {*_formats()}


def test_what_does_not_fit_into_memory_says_so(monkeypatch):
    def load(_):
        raise MemoryError

    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    assert refusal(encode(picture(1))) is Reason.TOO_MUCH_MEMORY


def test_random_bytes_are_no_picture():
    rng = random.Random(0)
    for length in (1, 10, 100, 1000):
        for _ in range(50):
            assert refusal(rng.randbytes(length)) in (Reason.NOT_AN_IMAGE, Reason.CORRUPT)


def _chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(width, height, depth, colour, row):
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" + row)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in parts)
