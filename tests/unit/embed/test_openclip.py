import json

import numpy as np
import open_clip
import pytest
import torch
from huggingface_hub import constants
from open_clip import pretrained
from PIL import Image
from safetensors.torch import save_file

from clipbatch import embed
from clipbatch.config import EmbedConfig
from clipbatch.embed import openclip
from clipbatch.embed.batch import run_padded
from clipbatch.embed.preprocess import normalise, prepare
from clipbatch.errors import ConfigError

CPU = torch.device("cpu")
TINY = "tiny-test-ViT"
CONFIG = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 64, "layers": 2, "width": 64, "patch_size": 16},
    "text_cfg": {
        "context_length": 77,
        "vocab_size": 49408,
        "width": 64,
        "heads": 2,
        "layers": 2,
    },
}
TRAINING = {
    "hf_hub": "somebody/tiny/",
    "mean": (0.5, 0.4, 0.3),
    "std": (0.2, 0.3, 0.4),
    "interpolation": "bilinear",
    "resize_mode": "squash",
    "quick_gelu": True,
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A small real CLIP that open_clip knows by name, and a file with its weights."""
    folder = tmp_path_factory.mktemp("tiny")
    (folder / f"{TINY}.json").write_text(json.dumps(CONFIG))
    open_clip.add_model_config(folder / f"{TINY}.json")
    torch.manual_seed(0)
    model = open_clip.create_model(TINY)
    path = folder / "weights.safetensors"
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, path)
    return path


@pytest.fixture
def tag(monkeypatch, tiny, tmp_path):
    """A hub tag of the small model whose file lies in the hub's cache."""
    monkeypatch.setitem(pretrained._PRETRAINED, TINY, {"demo": TRAINING})
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    repository = tmp_path / "models--somebody--tiny"
    snapshot = repository / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0" * 40)
    (snapshot / "open_clip_model.safetensors").symlink_to(tiny)
    return "demo"


def picture():
    return np.random.default_rng(1).integers(0, 256, (50, 91, 3), dtype=np.uint8)


def vectors(encoder, pixels):
    prepared = torch.from_numpy(prepare(pixels, encoder.spec.preprocess))[None]
    return run_padded(encoder, normalise(prepared, encoder.spec.preprocess), 4)


def reference(weights, force_quick_gelu=False, **preprocess):
    model, _, transform = open_clip.create_model_and_transforms(
        TINY, pretrained=str(weights), force_quick_gelu=force_quick_gelu, **preprocess
    )
    model.eval()
    return model, transform


def test_a_local_file_gives_open_clips_own_vectors(tiny):
    config = EmbedConfig(encoder=TINY, weights=str(tiny))
    spec = embed.describe(config)
    assert (spec.dim, spec.unit_length, len(spec.weights)) == (32, True, 12)
    encoder = embed.load(config, CPU, spec)
    model, transform = reference(tiny)
    with torch.inference_mode():
        theirs = model.encode_image(transform(Image.fromarray(picture()))[None], normalize=True)
        texts = model.encode_text(open_clip.get_tokenizer(TINY)(["a pear", "x"]), normalize=True)
    torch.testing.assert_close(vectors(encoder, picture()), theirs, rtol=0, atol=1e-6)
    np.testing.assert_allclose(encoder.encode_text(["a pear", "x"]), texts.numpy(), atol=1e-6)
    assert encoder.encode_text([]).shape == (0, 32)


def test_a_tag_brings_its_file_preprocessing_and_activation(tag, tiny):
    config = EmbedConfig(encoder=TINY, weights=tag)
    encoder = embed.load(config, CPU)
    assert encoder.spec.weights == "demo"
    model, transform = reference(
        tiny,
        force_quick_gelu=True,
        image_mean=TRAINING["mean"],
        image_std=TRAINING["std"],
        image_interpolation="bilinear",
        image_resize_mode="squash",
    )
    with torch.inference_mode():
        theirs = model.encode_image(transform(Image.fromarray(picture()))[None], normalize=True)
    torch.testing.assert_close(vectors(encoder, picture()), theirs, rtol=0, atol=1e-6)


def test_a_local_file_takes_the_preprocessing_its_models_tags_agree_on(tag, tiny):
    local = embed.describe(EmbedConfig(encoder=TINY, weights=str(tiny)))
    tagged = embed.describe(EmbedConfig(encoder=TINY, weights=tag))
    assert local.preprocess == tagged.preprocess
    assert local.weights != tagged.weights


def test_tags_that_disagree_must_be_named(tag, tiny, monkeypatch):
    other = {**TRAINING, "mean": (0.1, 0.1, 0.1)}
    monkeypatch.setitem(pretrained._PRETRAINED[TINY], "other", other)
    with pytest.raises(ConfigError, match=r"different preprocessings; .*embed.weights=demo="):
        embed.describe(EmbedConfig(encoder=TINY, weights=str(tiny)))
    spec = embed.describe(EmbedConfig(encoder=TINY, weights=f"other={tiny}"))
    assert spec.preprocess.mean == (0.1, 0.1, 0.1)
    assert spec.weights.startswith("other-")


def test_another_file_on_a_worker_is_refused(tiny, tmp_path):
    config = EmbedConfig(encoder=TINY, weights=str(tiny))
    spec = embed.describe(config)
    other = tmp_path / "other.safetensors"
    other.write_bytes(tiny.read_bytes() + b" ")
    with pytest.raises(ConfigError, match=f"expected {spec.weights} as on the driver"):
        embed.load(EmbedConfig(encoder=TINY, weights=str(other)), CPU, spec)


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"PK\x03\x04 cut off"])
@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_a_file_that_is_no_weights_is_refused(tiny, tmp_path, content, suffix):
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=f"{path}: not the weights of {TINY}"):
        embed.load(EmbedConfig(encoder=TINY, weights=str(path)), CPU)


def test_pickled_code_is_never_run(tiny, tmp_path):
    class Evil:
        def __reduce__(self):
            return (tmp_path.joinpath("ran").touch, ())

    path = tmp_path / "evil.pt"
    torch.save({"state_dict": Evil()}, path)
    with pytest.raises(ConfigError, match="not the weights"):
        embed.load(EmbedConfig(encoder=TINY, weights=str(path)), CPU)
    assert not (tmp_path / "ran").exists()


def test_weights_of_another_model_are_refused(tiny, tmp_path):
    path = tmp_path / "foreign.safetensors"
    save_file({"visual.conv1.weight": torch.zeros(8, 3, 16, 16)}, path)
    with pytest.raises(ConfigError, match=f"not the weights of {TINY}"):
        embed.load(EmbedConfig(encoder=TINY, weights=str(path)), CPU)


def test_misspelt_names_are_answered_with_the_nearest():
    with pytest.raises(ConfigError, match=r"did you mean .*ViT-B-32"):
        embed.describe(EmbedConfig(encoder="ViTB32", weights="openai"))
    with pytest.raises(ConfigError, match="did you mean offline-lite"):
        embed.describe(EmbedConfig(encoder="ofline-lite"))
    with pytest.raises(ConfigError, match=r"did you mean .*laion2b_s34b_b79k"):
        embed.describe(EmbedConfig(encoder="ViT-B-32", weights="laion2b_s34b"))
    with pytest.raises(ConfigError, match=r"got '', expected a hub tag of ViT-B-32 or a file"):
        embed.describe(EmbedConfig(encoder="ViT-B-32"))


def test_a_missing_file_is_an_error_with_three_ways_out():
    with pytest.raises(ConfigError, match=r"no-such.pt: No such file.*Three ways out"):
        embed.describe(EmbedConfig(encoder="ViT-B-32", weights="/no-such.pt"))


def test_without_a_hub_a_tag_is_refused_at_once(monkeypatch, tmp_path):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ConfigError, match=r"HF_HUB_OFFLINE is set\. Three ways out"):
        embed.describe(EmbedConfig(encoder="ViT-B-32", weights="laion2b_s34b_b79k"))


def test_every_model_of_open_clip_has_a_description():
    for name in open_clip.list_models():
        model = open_clip.get_model_config(name)
        for entry in pretrained._PRETRAINED.get(name, {"": {}}).values():
            preprocess = openclip.preprocess_of(model, entry)
            assert preprocess.resize in ("shortest", "longest", "squash")
            assert preprocess.interpolation in ("bicubic", "bilinear")
            assert len(preprocess.mean) == len(preprocess.std) == preprocess.channels == 3
            assert min(preprocess.height, preprocess.width, model["embed_dim"]) > 0


def test_slashes_in_a_name_are_forgiven(tmp_path):
    path = tmp_path / "w.pt"
    path.write_bytes(b"w")
    spec = embed.describe(EmbedConfig(encoder="ViT-B/32", weights=str(path)))
    assert (spec.name, spec.dim) == ("ViT-B-32", 512)
    assert (spec.preprocess.height, spec.preprocess.width) == (224, 224)
    assert spec.slug.startswith("vit-b-32-")
