"""Ten ways in which a night goes wrong; each function changes a tree and says what it did."""

import io
from collections.abc import Callable
from dataclasses import dataclass, replace

from PIL import Image, ImageEnhance, ImageFilter

from tests import faults
from tests.nights import foreign
from tests.nights.tree import SHOPS, Place, Tree


@dataclass(frozen=True)
class Fault:
    """One of the ten.

    Attributes:
        name: of it.
        plant: changes the tree and says what it did.
        about: beginnings of the numbers whose checks are about it; others do not count.
    """

    name: str
    plant: Callable[[Tree], str]
    about: tuple[str, ...]


def flood(tree: Tree) -> str:
    """Re-encoded, rescaled and cropped copies of a few pictures, in their own place."""
    originals = tree.some(8)
    for path in originals:
        for kind in ("reencoded", "rescaled", "cropped", "reencoded", "rescaled"):
            copy = replace(Place.of(path), name=tree.name())
            tree.files[copy.path] = faults.EDITS[kind](_open(tree.files[path]), tree.rng)
    return f"{5 * len(originals)} near copies of {len(originals)} pictures"


def leak(tree: Tree) -> str:
    """Pictures of the test split, saved anew, turn up in the training split."""
    paths = tree.some(12, [path for path in tree.files if Place.of(path).split == "test"])
    for path in paths:
        copy = replace(Place.of(path), split="train", name=tree.name())
        tree.files[copy.path] = faults.EDITS["leaked"](_open(tree.files[path]), tree.rng)
    return f"{len(paths)} pictures of test saved anew in train"


def relabelled(tree: Tree) -> str:
    """Most of a class is moved under the name of another."""
    first, second = (str(label) for label in tree.rng.choice(tree.largest(6), 2, replace=False))
    paths = tree.some(round(0.7 * len(tree.of_label(first))), tree.of_label(first))
    for path in paths:
        tree.files[replace(Place.of(path), label=second).path] = tree.files.pop(path)
    return f"{len(paths)} pictures of {first} under {second}"


def class_gone(tree: Tree) -> str:
    """A class is deleted."""
    label = str(tree.rng.choice(tree.largest(6)))
    paths = tree.of_label(label)
    for path in paths:
        del tree.files[path]
    return f"all {len(paths)} pictures of {label} deleted"


def corrupt(tree: Tree) -> str:
    """A block of files is cut off in the middle, or holds zeros."""
    paths = tree.some(30)
    for i, path in enumerate(paths):
        data = tree.files[path]
        half = len(data) // 2
        tree.files[path] = data[: len(data) // 8] if i % 2 else bytes(half) + data[half:]
    return f"{len(paths)} files cut off or zeroed"


def blurry(tree: Tree) -> str:
    """The camera of one shop is out of focus."""
    return _arrive_edited(
        tree, "out of focus", lambda image: image.filter(ImageFilter.GaussianBlur(4))
    )


def dark(tree: Tree) -> str:
    """The lamp over one shop's scale is broken."""
    return _arrive_edited(tree, "dark", lambda image: ImageEnhance.Brightness(image).enhance(0.3))


def from_elsewhere(tree: Tree) -> str:
    """Another domain is mixed in among new pictures of the usual kind."""
    usual = tree.arrive(10)
    for i, data in enumerate(foreign.pictures(25, tree.rng)):
        like = Place.of(usual[i % len(usual)])
        tree.files[replace(like, name=tree.name()).path] = data
    return f"25 pictures of another domain among {len(usual)} usual ones"


def squeezed(tree: Tree) -> str:
    """A script resizes pictures of one shop without keeping their shape."""
    shop = str(tree.rng.choice(SHOPS))
    paths = tree.some(30, [path for path in tree.files if Place.of(path).shop == shop])
    for path in paths:
        image = _open(tree.files[path])
        tree.files[path] = faults.jpeg(image.resize((256, 96), Image.Resampling.BILINEAR))
    return f"{len(paths)} pictures of {shop} squeezed to 256 x 96"


def shop_gone(tree: Tree) -> str:
    """One of three shops is not mounted."""
    paths = [path for path in tree.files if Place.of(path).shop == "kiosk"]
    for path in paths:
        del tree.files[path]
    return f"all {len(paths)} pictures of kiosk missing"


def _arrive_edited(tree: Tree, told: str, edit: Callable[[Image.Image], Image.Image]) -> str:
    paths = tree.arrive(30, shop=str(tree.rng.choice(SHOPS)))
    for path in paths:
        tree.files[path] = faults.jpeg(edit(_open(tree.files[path])))
    return f"{len(paths)} new pictures {told}"


def _open(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


_COPIES = ("duplicates.near", "duplicates.cop", "new.near", "new.cop")
_LEAKS = ("duplicates.exact_leaks", "duplicates.copy_leaks", "new.exact_leaks", "new.near_leaks")
_CAME = ("arrivals.", "pictures.")

FAULTS = (
    Fault("flood of near-duplicates", flood, _COPIES),
    Fault("split leak", leak, _LEAKS),
    Fault("class relabelled", relabelled, ("new.relabelled", "new.classes", "labels.")),
    Fault("class gone", class_gone, ("new.classes_gone", "new.gone")),
    Fault("corrupt files", corrupt, ("new.rejects", "collection.bad", "collection.rejects")),
    Fault("camera gone blurry", blurry, _CAME),
    Fault("dark batch", dark, _CAME),
    Fault("foreign domain", from_elsewhere, ("arrivals.", "new.outliers", "outliers.")),
    Fault("broken resize", squeezed, _CAME),
    Fault("source gone missing", shop_gone, ("new.gone",)),
)
