import sys

import numpy as np
import pytest
import torch
from PIL import Image

from clipbatch.embed.encoder import Preprocess
from clipbatch.embed.preprocess import normalise, prepare
from clipbatch.errors import BadImage, ContractBroken

pytestmark = pytest.mark.quick

SIZES = [(348, 464), (464, 348), (33, 57), (224, 224), (225, 224), (301, 300), (1, 7), (500, 13)]


def picture(height, width):
    return np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("resize", ["shortest", "longest", "squash"])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize("target", [(224, 224), (225, 225), (160, 224), (224, 160)])
def test_bits_are_those_of_open_clip(resize, interpolation, target):
    from open_clip.transform import image_transform

    from clipbatch.embed.openclip import preprocess_of

    training = {
        "resize_mode": resize,
        "interpolation": interpolation,
        "mean": (0.48, 0.45, 0.4),
        "std": (0.26, 0.27, 0.28),
    }
    preprocess = preprocess_of({"vision_cfg": {"image_size": target}}, training)
    transform = image_transform(target, is_train=False, **training)
    for size in SIZES:
        pixels = picture(*size)
        ours = normalise(torch.from_numpy(prepare(pixels, preprocess))[None], preprocess)
        assert torch.equal(ours[0], transform(Image.fromarray(pixels))), size


def test_crop_share_resizes_to_more_and_keeps_the_centre():
    from torchvision.transforms import CenterCrop, Compose, Resize

    transform = Compose([Resize(256, Image.Resampling.BICUBIC), CenterCrop(224)])
    preprocess = Preprocess(224, 224, crop=224 / 256)
    for size in SIZES:
        pixels = picture(*size)
        expected = np.asarray(transform(Image.fromarray(pixels))).transpose(2, 0, 1)
        np.testing.assert_array_equal(prepare(pixels, preprocess), expected)


@pytest.mark.parametrize("resize", ["shortest", "longest", "squash"])
@pytest.mark.parametrize("size", [(1, 1), (1, 100_000), (100_000, 1), (3, 1000)])
def test_any_shape_of_picture_gives_the_input_shape(resize, size):
    out = prepare(np.full((*size, 3), 9, np.uint8), Preprocess(224, 160, resize=resize))
    assert out.shape == (3, 224, 160)
    assert out.dtype == np.uint8
    assert out.flags.c_contiguous


def test_grey_pictures_keep_their_values():
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    keep = Preprocess(16, 16, resize="keep", mode="L", mean=(0.0,), std=(1.0,))
    out = prepare(np.repeat(values[..., None], 3, axis=2), keep)
    np.testing.assert_array_equal(out[0], values)
    unit = normalise(torch.from_numpy(out[None].copy()), keep)
    np.testing.assert_array_equal(unit[0, 0].numpy(), values / np.float32(255))


def test_keep_refuses_another_size():
    keep = Preprocess(16, 16, resize="keep", mode="L", mean=(0.0,), std=(1.0,))
    with pytest.raises(BadImage, match=r"got 17 x 16 pixels, expected 16 x 16 .*pixels_side"):
        prepare(picture(16, 17), keep)


def test_normalise_refuses_what_prepare_does_not_make():
    preprocess = Preprocess(8, 8)
    for batch in (torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 9, dtype=torch.uint8)):
        with pytest.raises(ContractBroken, match=r"expected torch\.uint8"):
            normalise(batch, preprocess)


def test_decoding_tasks_need_no_torch():
    import subprocess

    code = (
        "import sys, numpy as np; from clipbatch.embed.preprocess import prepare;"
        "from clipbatch.embed.encoder import Preprocess;"
        "prepare(np.zeros((9, 9, 3), np.uint8), Preprocess(4, 4));"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
