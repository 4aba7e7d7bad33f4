import importlib
import inspect
import subprocess
import sys

import pytest

from clipbatch import embed
from clipbatch.embed.encoder import EncoderSpec, Preprocess

pytestmark = pytest.mark.quick


def test_the_list_is_read_without_heavy_libraries():
    code = (
        "import sys, clipbatch.embed;"
        "assert not {'torch', 'open_clip', 'timm', 'ray'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("path", [*embed.ENCODERS.values(), embed.ANY_OTHER])
def test_every_encoder_has_the_two_functions(path):
    module = importlib.import_module(path)
    assert list(inspect.signature(module.describe).parameters) == ["config", "size"]
    assert list(inspect.signature(module.load).parameters) == ["config", "spec", "device"]


def test_slug_changes_with_model_weights_and_preprocessing_and_is_a_table_name():
    specs = [
        EncoderSpec(name, weights, 4, True, preprocess)
        for name in ("ViT-B/32", "RN50")
        for weights in ("openai", "abc")
        for preprocess in (Preprocess(2, 2), Preprocess(2, 3), Preprocess(2, 2, crop=0.5))
    ]
    slugs = {spec.slug for spec in specs}
    assert len(slugs) == len(specs)
    assert all(c.isalnum() or c in "-_." for slug in slugs for c in slug)
