"""Real photographs and the real offline network, loaded once; one thread for all of it."""

import hashlib
import io

import numpy as np
import pytest

from tests import groceries as sample


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Small tensors on several threads of a busy machine wait for each other, not for results."""
    import torch

    from clipbatch.embed.device import keep_memory, set_threads

    set_threads(1)
    keep_memory()
    yield
    assert torch.get_num_threads() == 1, "a test changed the number of threads and left it"


@pytest.fixture(scope="session")
def groceries():
    """(content_id, class, pixels) of 200 photographs, in a fixed order without meaning."""
    from PIL import Image

    return [
        (
            hashlib.sha256(row["data"]).hexdigest(),
            row["label"],
            np.asarray(Image.open(io.BytesIO(row["data"])).convert("RGB")),
        )
        for row in sample.rows(200)
    ]


@pytest.fixture(scope="session")
def offline():
    """The offline encoder on the CPU."""
    import torch

    from clipbatch import embed
    from clipbatch.config import EmbedConfig

    return embed.load(EmbedConfig(), torch.device("cpu"))


@pytest.fixture(scope="session")
def prepared(groceries, offline):
    """The photographs as the offline encoder's inputs, (200, 3, 224, 224) uint8."""
    from clipbatch.embed.preprocess import prepare

    return np.stack([prepare(pixels, offline.spec.preprocess) for _, _, pixels in groceries])
