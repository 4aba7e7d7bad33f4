"""How often does ``arrivals`` cry wolf on ordinary nights, and how often does it hear a real one?

    .venv/bin/python benchmarks/arrivals.py [--nights 200] [--bad 10]

Groceries (the sample package), clean vectors of the default encoder, default parameters. A night
is 1,000 pictures that were there and 8 to 60 that came, drawn at random. On a bad night some or
all of those that came are at fault: dark, out of focus, squeezed, or of another domain.
"""

import argparse
import io
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

if __name__ == "__main__":  # run as a file: the tests' helpers lie beside this folder
    import sys

    sys.path.insert(0, str(Path(__file__).parents[1]))
from clipbatch.collect.decode import decode
from clipbatch.collect.facts import facts
from clipbatch.config.embed import EmbedConfig
from clipbatch.embed import describe, load
from clipbatch.embed.batch import run_padded
from clipbatch.embed.device import device
from clipbatch.embed.preprocess import normalise, prepare
from clipbatch.measure import arrivals, serial
from clipbatch.measure.base import Contents
from clipbatch.measure.intervals import wilson
from tests import faults, groceries
from tests.nights import foreign

OLD, COMING = 1000, (8, 14, 30, 60)
EDITED = 60  # pictures of each fault
FACTS = ("brightness", "contrast", "sharpness", "width", "height")
EDITS = {
    "dark": lambda image: ImageEnhance.Brightness(image).enhance(0.3),
    "out of focus": lambda image: image.filter(ImageFilter.GaussianBlur(4)),
    "squeezed": lambda image: image.resize((256, 96)),
}


class World:
    """Pictures with vectors, facts and labels; those at fault by the name of it."""

    def __init__(self) -> None:
        rows = groceries.rows(10**6)
        rng = np.random.default_rng(0)
        labels = sorted({row["label"] for row in rows})
        pictures = [row["data"] for row in rows]
        label = [labels.index(row["label"]) for row in rows]
        self.groups = {"": np.arange(len(rows))}
        self.made_of = list(range(len(rows)))
        for name, edit in EDITS.items():
            taken = rng.permutation(len(rows))[:EDITED].tolist()
            edited = [faults.jpeg(edit(Image.open(io.BytesIO(pictures[i])))) for i in taken]
            self._add(name, pictures, edited, taken)
            label += [label[i] for i in taken]
        taken = rng.permutation(len(rows))[:EDITED].tolist()
        self._add("another domain", pictures, foreign.pictures(EDITED, rng), taken)
        label += [label[i] for i in taken]
        self.labels, self.label = tuple(labels), np.array(label, np.int32)
        decoded = [decode(data, max_pixels=10**8) for data in pictures]
        known = [facts(picture) for picture in decoded]
        self.facts = {name: np.array([row[name] for row in known]) for name in FACTS}
        self.vectors = embedded([picture.pixels for picture in decoded])

    def _add(self, name: str, pictures: list[bytes], more: Sequence[bytes], of: list[int]) -> None:
        self.groups[name] = np.arange(len(pictures), len(pictures) + len(more))
        pictures += more
        self.made_of += of

    def night(self, seed: int, coming: int, fault: str = "", share: float = 1.0) -> Contents:
        """Draw a night; its contents know which rows of ``vectors`` they are by name."""
        rng = np.random.default_rng([seed, coming])
        bad = rng.permutation(self.groups[fault])[: round(share * coming)] if fault else []
        taken = {self.made_of[i] for i in bad}
        usual = [i for i in rng.permutation(self.groups[""]) if i not in taken]
        fresh = usual[OLD : OLD + coming - len(bad)]
        rows = np.array([*usual[:OLD], *fresh, *bad])
        order = np.sort(rows)
        names = np.array([f"{i:05}" for i in order])
        return Contents(
            content_id=names,
            label=self.label[order],
            label_names=self.labels,
            variants={0: np.ones(len(order), np.bool_)},
            image_content=np.arange(len(order)),
            image_uri=names,
            image_label=self.label[order],
            image_split=np.full(len(order), -1, np.int32),
            split_names=(),
            facts={name: column[order] for name, column in self.facts.items()},
            seed=seed,
            new=np.isin(order, rows[OLD:]),
        )

    def unlike(self, contents: Contents) -> tuple[bool, bool]:
        """Ask the analysis; returns (does it tell of a difference, did it answer)."""
        rows = contents.content_id.astype(int)
        found = serial.run(arrivals.ANALYSIS, contents, {0: self.vectors[rows]})
        value = next(n.value for n in found.numbers if n.name == "unlike")
        return bool(value), value is not None


def embedded(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Embed decoded pictures with the default encoder."""
    import torch

    config = EmbedConfig()
    encoder, spec = load(config, device()), describe(config)
    out = []
    with torch.inference_mode():
        for start in range(0, len(pictures), 64):
            ready = [prepare(pixels, spec.preprocess) for pixels in pictures[start : start + 64]]
            inputs = normalise(torch.from_numpy(np.stack(ready)), spec.preprocess)
            out.append(run_padded(encoder, inputs, 16).numpy())
    return np.concatenate(out)


def line(name: str, told: list[tuple[bool, bool]]) -> str:
    """Return one row of the table."""
    alarms, whole = sum(alarm for alarm, _ in told), len(told)
    low, high = wilson(alarms, whole)
    answered = sum(answer for _, answer in told)
    return f"| {name} | {whole} | {answered} | {alarms} | {low:.1%} to {high:.1%} |"


def main() -> None:
    """Draw the nights and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--nights", type=int, default=200, help="ordinary nights")
    parser.add_argument("--bad", type=int, default=10, help="bad nights of each kind and number")
    options = parser.parse_args()
    world, clock = World(), time.monotonic()
    ordinary = [
        world.unlike(world.night(seed, COMING[seed % len(COMING)]))
        for seed in range(options.nights)
    ]
    print("| night | nights | answered | alarms | Wilson 95 % |\n|---|---|---|---|---|")
    print(line("ordinary", ordinary), flush=True)
    for fault in (*EDITS, "another domain"):
        for coming, share in ((8, 1.0), (14, 1.0), (30, 0.5), (60, 0.3)):
            nights = (world.night(seed, coming, fault, share) for seed in range(options.bad))
            told = [world.unlike(night) for night in nights]
            print(line(f"{coming} new, {share:.0%} {fault}", told), flush=True)
    print(f"\n{time.monotonic() - clock:.0f} s")


if __name__ == "__main__":
    main()
