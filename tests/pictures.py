"""Small real pictures on disk, the same every time, and the four kinds of source made from them."""

import csv
import io
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

FORMATS = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP", "bmp": "BMP", "gif": "GIF", "tif": "TIFF"}


def picture(seed: int, width: int = 32, height: int = 24) -> Image.Image:
    """Draw soft coloured patches with a little grain; another seed is another picture."""
    rng = np.random.default_rng(seed)
    patches = Image.fromarray(rng.integers(0, 256, (5, 6, 3), dtype=np.uint8))
    pixels = np.asarray(patches.resize((width, height), Image.Resampling.BICUBIC), np.float64)
    grain = rng.normal(0, 3, pixels.shape)
    return Image.fromarray(np.clip(pixels + grain, 0, 255).astype(np.uint8))


def encode(image: Image.Image, extension: str = "png", **options: Any) -> bytes:
    """Return the bytes of a picture file."""
    buffer = io.BytesIO()
    image.save(buffer, FORMATS[extension], **options)
    return buffer.getvalue()


def collection(
    classes: Sequence[str] = ("cat", "dog"),
    splits: Sequence[str] = ("test", "train"),
    each: int = 2,
    extension: str = "png",
) -> dict[str, bytes]:
    """Return relative path -> bytes for ``split/class/n.png``; no two pictures are alike."""
    parts = splits or ("",)
    names = [
        f"{s}/{c}/{n}.{extension}".lstrip("/") for s in parts for c in classes for n in range(each)
    ]
    return {name: encode(picture(seed), extension) for seed, name in enumerate(names)}


def write_folder(root: Path, pictures: Mapping[str, bytes]) -> Path:
    """Write pictures below a folder."""
    for name, data in pictures.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def write_tar(path: Path, members: Mapping[str, bytes]) -> Path:
    """Write a tar with these members, in this order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            header = tarfile.TarInfo(name)
            header.size, header.mtime = len(data), 1_700_000_000
            tar.addfile(header, io.BytesIO(data))
    return path


def write_parquet(path: Path, pictures: Mapping[str, bytes], rows_a_group: int = 3) -> Path:
    """Write a parquet file with the columns image (bytes), label and split."""
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = [name.split("/") for name in pictures]
    table = pa.table(
        {
            "image": pa.array(list(pictures.values()), pa.binary()),
            "label": [part[-2] for part in parts],
            "split": [part[0] for part in parts],
        }
    )
    pq.write_table(table, path, row_group_size=rows_a_group)
    return path


def write_manifest(path: Path, rows: Sequence[Mapping[str, str]]) -> Path:
    """Write a CSV with the keys of the first row as its header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path
