"""Small synthetic collections for the tests of analyses."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from clipbatch.measure.base import Contents

Vectors = dict[int, NDArray[np.float32]]


def world(
    n: int = 60,
    dim: int = 16,
    classes: int = 3,
    variants: Sequence[int] = (0,),
    seed: int = 0,
    *,
    spread: float = 0.5,
    missing: float = 0.0,
    shuffle: int | None = None,
) -> tuple[Contents, Vectors]:
    """Make N contents around class centres on the sphere, and the images that hold them.

    Every third content has two images (train and test), every seventh three; the others one, in
    train or test. Images carry their content's class; with ``classes=0`` nothing has a label.
    About three contents in ten are new, by their ids.

    Args:
        n: contents; 0 and 1 work too.
        dim: of the vectors, which have length 1.
        classes: round robin, named "class-0", "class-1", ...
        variants: 0 is clean; v > 0 adds noise of v / 1000 times the spread to the clean vector.
        seed: of everything, and the collection's.
        spread: length of the random part added to a class centre of length 1.
        missing: share of contents whose noisy vectors do not exist (NaN rows, False in variants).
        shuffle: the rows are made in this other order before they are sorted.

    Returns:
        (contents, variant -> (N, dim) float32).
    """
    rng = np.random.default_rng(seed)
    centres = unit(rng.normal(size=(max(classes, 1), dim)))
    label = np.arange(n) % classes if classes else np.full(n, -1)
    clean = unit(centres[np.maximum(label, 0)] + spread * unit(rng.normal(size=(n, dim))))
    vectors: Vectors = {}
    exists = {}
    for variant in variants:
        noise = unit(rng.normal(size=(n, dim))) * spread * variant / 1000
        gone = (rng.random(n) < missing) & (variant > 0)
        vectors[variant] = unit(clean + noise).astype(np.float32)
        vectors[variant][gone] = np.nan
        exists[variant] = ~gone
    ids = np.array([digest(seed, "content", i) for i in range(n)], dtype="U64")
    order = np.arange(n) if shuffle is None else np.random.default_rng(shuffle).permutation(n)
    order = order[np.argsort(ids[order])]
    names = tuple(f"class-{c}" for c in range(classes))
    contents = contents_of(
        ids[order],
        label[order],
        names,
        counts=np.where(order % 7 == 0, 3, np.where(order % 3 == 0, 2, 1)),
        variants={v: exists[v][order] for v in variants},
        seed=seed,
    )
    return contents, {v: vectors[v][order] for v in variants}


def contents_of(
    ids: NDArray[np.str_],
    label: NDArray[np.integer],
    label_names: tuple[str, ...],
    counts: NDArray[np.integer],
    variants: dict[int, NDArray[np.bool_]],
    seed: int = 0,
) -> Contents:
    """Give each content its images: ``counts[i]`` of them, in train, test, train in turn.

    A content's one image is in train or test by its id, so splits do not follow the classes.
    """
    n = len(ids)
    image_content = np.repeat(np.arange(n), counts)
    copy = np.concatenate([np.arange(c) for c in counts]) if n else np.empty(0, int)
    first = np.array([int(i[-1], 16) % 2 for i in ids], int)
    uris = [f"{ids[c][:12]}-{k}.png" for c, k in zip(image_content, copy, strict=True)]
    return Contents(
        content_id=ids,
        label=label.astype(np.int32),
        label_names=label_names,
        variants=variants,
        image_content=image_content.astype(np.int64),
        image_uri=np.array(uris, dtype="U64"),
        image_label=label[image_content].astype(np.int32),
        image_split=((first[image_content] + copy) % 2).astype(np.int32),
        split_names=("test", "train"),
        facts=facts_of(ids),
        seed=seed,
        new=np.array([int(i[14:16], 16) < 80 for i in ids], np.bool_),
    )


def facts_of(ids: NDArray[np.str_]) -> dict[str, NDArray]:
    """Make facts of the decode that differ for every content, from its id."""
    n = len(ids)
    side = np.array([64 + int(i[:2], 16) for i in ids], np.int32)
    rng = [np.random.default_rng(int(i[:8], 16)) for i in ids]
    thumbnails = [r.integers(0, 256, (32, 32), dtype=np.uint8) for r in rng]
    return {
        "pixel_id": np.array([digest("pixels", i) for i in ids], dtype="U64"),
        "width": side,
        "height": side,
        "brightness": np.array([0.3 + int(i[8:10], 16) / 640 for i in ids], np.float32),
        "contrast": np.array([0.1 + int(i[10:12], 16) / 1280 for i in ids], np.float32),
        "sharpness": np.array([0.01 + int(i[12:14], 16) / 25600 for i in ids], np.float32),
        "phash": np.array([digest("phash", i)[:16] for i in ids], dtype="U16"),
        "thumbnail": np.array(thumbnails, np.uint8).reshape(n, 32, 32),
    }


def unit(rows: NDArray[np.floating]) -> NDArray[np.floating]:
    """Bring rows to length 1."""
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-30)


def digest(*keys: object) -> str:
    """Return 64 hex digits that depend on every key."""
    return hashlib.sha256("/".join(map(str, keys)).encode()).hexdigest()
