import pytest
import torch

from clipbatch.embed import offline
from clipbatch.embed.joint import heads, model, towers

pytestmark = pytest.mark.quick


def test_the_projections_are_small_and_half_precision():
    from safetensors.torch import load_file

    path = towers.PROJECTIONS.checked()
    assert path.stat().st_size < 5_000_000
    assert {tensor.dtype for tensor in load_file(path).values()} == {torch.float16}


def test_parts_have_the_lengths_that_the_file_says():
    image, text = model.image_head(offline.classifier().classifier), model.text_head()
    pooled, embedding = torch.rand(7, heads.FEATURES), torch.randn(7, heads.EMBEDDING)
    with torch.inference_mode():
        picture, prompt = image(pooled), text(embedding)
    assert picture.shape == prompt.shape == (7, heads.DIM)
    labels = picture[:, heads.LOOKS :].norm(dim=1), prompt[:, heads.LOOKS :].norm(dim=1)
    torch.testing.assert_close(labels[0], image.length.expand(7))
    torch.testing.assert_close(labels[1], text.length.expand(7))
    assert (picture[:, : heads.LOOKS].norm(dim=1) <= 1 + 1e-3).all()  # a part of a unit vector
    torch.testing.assert_close(prompt[:, : heads.LOOKS].norm(dim=1), torch.ones(7))


def test_brightness_of_features_leaves_looks_alone_and_prompts_have_no_length():
    image, text = model.image_head(offline.classifier().classifier), model.text_head()
    pooled, embedding = torch.rand(3, heads.FEATURES), torch.randn(3, heads.EMBEDDING)
    with torch.inference_mode():
        looks = [image(k * pooled)[:, : heads.LOOKS] for k in (1, 2)]
        prompts = [text(k * embedding) for k in (1, 5)]
    torch.testing.assert_close(*looks)
    torch.testing.assert_close(*prompts)


def test_features_of_zeros_stay_finite():
    with torch.inference_mode():
        assert (
            model.image_head(offline.classifier().classifier)(torch.zeros(1, heads.FEATURES))
            .isfinite()
            .all()
        )
        assert model.text_head()(torch.zeros(1, heads.EMBEDDING)).isfinite().all()
