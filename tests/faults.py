"""Pictures with faults planted in them, and the truth about which picture has which fault."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

COPIES = ("reencoded", "rescaled", "cropped", "mirrored", "same_pixels", "leaked")
LOOKS = ("blank", "dark", "bright", "blurred", "small", "wide")
LABELS = ("swapped", "conflicting")
KINDS = (*COPIES, *LOOKS, *LABELS)


@dataclass
class Planted:
    """A collection with faults.

    Attributes:
        pictures: "split/label/name" -> bytes of a file.
        copy_of: of each kind of ``COPIES`` and of "conflicting": path -> path of its original.
        faulty: every other kind -> paths.
        true_label: path of a swapped picture -> the label it had.
    """

    pictures: dict[str, bytes] = field(default_factory=dict)
    copy_of: dict[str, dict[str, str]] = field(default_factory=dict)
    faulty: dict[str, set[str]] = field(default_factory=dict)
    true_label: dict[str, str] = field(default_factory=dict)


def plant(
    rows: Sequence[Mapping[str, Any]], each: int, seed: int = 0, foreign: Sequence[bytes] = ()
) -> Planted:
    """Plant ``each`` faults of every kind; a picture has one fault at most.

    Copies are added beside their originals, in the same split and under the same label; "leaked"
    ones are re-encoded and lie in another split, "conflicting" ones are the same bytes under
    another label. The other faults replace the picture they are made of.

    Args:
        rows: distinct pictures: data, label, split; at least ``each * len(KINDS)`` of them.
        each: faults of a kind.
        seed: of every choice.
        foreign: pictures of another collection, laid among these as the fault "foreign".
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(rows))
    chosen = {kind: order[i * each : (i + 1) * each] for i, kind in enumerate(KINDS)}
    assert len(order) >= each * len(KINDS), "too few pictures for so many faults"
    kind_of = {int(i): kind for kind, found in chosen.items() for i in found}
    splits = sorted({row["split"] for row in rows})
    labels = sorted({row["label"] for row in rows})
    found = Planted(copy_of={k: {} for k in (*COPIES, "conflicting")})
    found.faulty = {k: set() for k in (*LOOKS, "swapped")}
    for i, row in enumerate(rows):
        kind, split, label, data = kind_of.get(i, ""), row["split"], row["label"], row["data"]
        name, copied = f"{i:05}.jpg", f"{i:05}-{kind}"
        if kind == "swapped":
            label = str(rng.choice([other for other in labels if other != row["label"]]))
            found.true_label[f"{split}/{label}/{name}"] = row["label"]
        if kind in LOOKS:
            data = EDITS[kind](_open(data), rng)
        path = f"{split}/{label}/{name}"
        found.pictures[path] = data
        if kind in found.faulty:
            found.faulty[kind].add(path)
        if kind in found.copy_of:
            if kind == "leaked":
                split = str(rng.choice([other for other in splits if other != split]))
            if kind == "conflicting":
                label = str(rng.choice([other for other in labels if other != label]))
            copy = f"{split}/{label}/{copied}.{'bmp' if kind == 'same_pixels' else 'jpg'}"
            found.pictures[copy] = data if kind == "conflicting" else EDITS[kind](_open(data), rng)
            found.copy_of[kind][copy] = path
    found.faulty["foreign"] = set()
    for i, data in enumerate(foreign):
        path = f"{rng.choice(splits)}/{rng.choice(labels)}/foreign-{i:03}.jpg"
        found.pictures[path] = data
        found.faulty["foreign"].add(path)
    return found


def jpeg(image: Image.Image, quality: int = 90) -> bytes:
    """Encode a picture as JPEG."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _open(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def _bmp(image: Image.Image, _: np.random.Generator) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "BMP")
    return buffer.getvalue()


def _resized(image: Image.Image, width: float, height: float) -> Image.Image:
    size = (max(1, round(image.width * width)), max(1, round(image.height * height)))
    return image.resize(size, Image.Resampling.LANCZOS)


def _cropped(image: Image.Image, rng: np.random.Generator) -> bytes:
    """Keep 80 to 95 % of each side, anywhere."""
    share = rng.uniform(0.8, 0.95)
    width, height = round(image.width * share), round(image.height * share)
    x, y = (int(rng.integers(0, rest + 1)) for rest in (image.width - width, image.height - height))
    return jpeg(image.crop((x, y, x + width, y + height)))


def _blank(image: Image.Image, rng: np.random.Generator) -> bytes:
    colour = tuple(int(c) for c in rng.integers(0, 256, 3))
    return jpeg(Image.new("RGB", image.size, colour))


def _dark(image: Image.Image, rng: np.random.Generator) -> bytes:
    return jpeg(ImageEnhance.Brightness(image).enhance(rng.uniform(0.08, 0.2)))


def _bright(image: Image.Image, rng: np.random.Generator) -> bytes:
    share = rng.uniform(0.75, 0.9)  # of white laid over the picture: overexposed
    return jpeg(Image.blend(image, Image.new("RGB", image.size, (255, 255, 255)), share))


def _blurred(image: Image.Image, rng: np.random.Generator) -> bytes:
    radius = max(1.0, max(image.size) * rng.uniform(0.01, 0.03))
    return jpeg(image.filter(ImageFilter.GaussianBlur(radius)))


EDITS: dict[str, Callable[[Image.Image, np.random.Generator], bytes]] = {
    "reencoded": lambda image, rng: jpeg(image, int(rng.integers(30, 80))),
    "rescaled": lambda image, rng: jpeg(_resized(image, *[rng.uniform(0.55, 0.85)] * 2)),
    "cropped": _cropped,
    "mirrored": lambda image, _: jpeg(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
    "same_pixels": _bmp,
    "leaked": lambda image, rng: jpeg(image, int(rng.integers(50, 90))),
    "blank": _blank,
    "dark": _dark,
    "bright": _bright,
    "blurred": _blurred,
    "small": lambda image, rng: jpeg(_resized(image, *[rng.uniform(0.1, 0.3)] * 2)),
    "wide": lambda image, rng: jpeg(_resized(image, 1.0, rng.uniform(0.15, 0.3))),
}
