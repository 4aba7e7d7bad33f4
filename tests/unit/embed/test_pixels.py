import numpy as np
import pytest
import torch

from clipbatch import embed
from clipbatch.config import EmbedConfig
from clipbatch.embed.preprocess import normalise, prepare
from clipbatch.errors import ConfigError

pytestmark = pytest.mark.quick

CPU = torch.device("cpu")


def encode(config, pictures, size=None):
    spec = embed.describe(config, size)
    encoder = embed.load(config, CPU, spec)
    batch = torch.from_numpy(np.stack([prepare(p, spec.preprocess) for p in pictures]))
    return spec, encoder.encode(normalise(batch, spec.preprocess)).numpy()


def test_a_28_by_28_grey_picture_is_its_784_values_over_255():
    grey = np.random.default_rng(0).integers(0, 256, (5, 28, 28), dtype=np.uint8)
    spec, vectors = encode(EmbedConfig(encoder="pixels"), np.repeat(grey[..., None], 3, axis=3))
    assert (spec.dim, spec.unit_length) == (784, False)
    np.testing.assert_array_equal(vectors, grey.reshape(5, 784) / np.float32(255))


def test_own_size_is_kept_where_it_is_known():
    config = EmbedConfig(encoder="pixels", pixels_side=0)
    grey = np.random.default_rng(0).integers(0, 256, (2, 5, 9), dtype=np.uint8)
    spec, vectors = encode(config, np.repeat(grey[..., None], 3, axis=3), size=(5, 9))
    assert spec.dim == 45
    np.testing.assert_array_equal(vectors, grey.reshape(2, 45) / np.float32(255))
    other = embed.describe(config, (9, 5))
    assert other.slug != spec.slug


def test_luma_weighs_colours_as_bt601():
    red = np.zeros((28, 28, 3), np.uint8)
    red[..., 0] = 255
    _, vectors = encode(EmbedConfig(encoder="pixels"), [red])
    assert abs(vectors - 0.299).max() < 1 / 255


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (EmbedConfig(encoder="pixels", pixels_side=0), "pixels_side: got 0"),
        (EmbedConfig(encoder="pixels", pixels_side=-3), "pixels_side: got -3"),
        (EmbedConfig(encoder="pixels", weights="openai"), "weights: got 'openai'"),
    ],
)
def test_impossible_settings_are_refused(config, message):
    with pytest.raises(ConfigError, match=message):
        embed.describe(config)


def test_there_is_no_text_side():
    encoder = embed.load(EmbedConfig(encoder="pixels"), CPU)
    with pytest.raises(NotImplementedError, match="open_clip"):
        encoder.encode_text(["a pear"])
