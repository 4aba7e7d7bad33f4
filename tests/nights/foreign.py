"""Pictures of another domain that installed packages carry: photographs and charts, cut up.

``china.jpg`` and ``flower.jpg`` of scikit-learn, ``grace_hopper.jpg`` of matplotlib, and charts
that matplotlib draws.
"""

import io
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 348  # pixels, as most of the groceries


@cache
def _photographs() -> list[Image.Image]:
    import matplotlib
    import sklearn

    folder = Path(sklearn.__file__).parent / "datasets" / "images"
    hopper = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    return [
        Image.open(p).convert("RGB") for p in (folder / "china.jpg", folder / "flower.jpg", hopper)
    ]


def pictures(count: int, rng: np.random.Generator) -> list[bytes]:
    """Return JPEGs of the usual size: cuts of the photographs, and charts, in turn."""
    return [_chart(rng) if i % 4 == 3 else _cut(_photographs()[i % 4], rng) for i in range(count)]


def _cut(image: Image.Image, rng: np.random.Generator) -> bytes:
    side = int(rng.integers(120, min(image.size)))
    x, y = (int(rng.integers(0, whole - side)) for whole in image.size)
    return _jpeg(image.crop((x, y, x + side, y + side)).resize((SIDE, SIDE)))


def _chart(rng: np.random.Generator) -> bytes:
    from matplotlib.figure import Figure

    figure = Figure((SIDE / 100, SIDE / 100), dpi=100)
    axes = figure.subplots()
    axes.plot(rng.normal(size=(40, 3)).cumsum(axis=0))
    axes.set_title(f"series {int(rng.integers(1000))}")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return _jpeg(Image.open(buffer).convert("RGB").resize((SIDE, SIDE)))


def _jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()
