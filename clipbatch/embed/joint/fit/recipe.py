"""The whole fit, from WordNet and the two towers to the projections; no picture is looked at."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from clipbatch.embed import offline
from clipbatch.embed.joint import heads, model
from clipbatch.embed.joint.fit.concepts import Concepts
from clipbatch.embed.joint.fit.distil import Training, distil
from clipbatch.embed.joint.fit.embeddings import Embeddings
from clipbatch.embed.joint.fit.kriging import Meanings, krige, unit
from clipbatch.embed.joint.fit.phrases import Phrase, names, phrases
from clipbatch.embed.joint.fit.wordnet import Nouns

Matrix = NDArray[np.float64]

# Features are positive, so that any two pictures agree along the constant direction. Less of it
# tells kinds apart better, more of it tells the same picture better from others.
CONSTANT: Final = 0.7

# How labels weigh beside looks. They are short on pictures, since labels make poor neighbours, and
# long on prompts, so that the product of the two still counts.
PICTURE_LABELS: Final = 0.12
PROMPT_LABELS: Final = 2.5
TEMPERATURE: Final = 1.75

_log = logging.getLogger(__name__)


def fit(folder: Path, training: Training | None = None) -> dict[str, torch.Tensor]:
    """Fit the projections.

    Args:
        folder: of WordNet 3.0.
        training: of the text side's network.

    Returns:
        Tensors by name, float16, as ``model.create`` loads them.

    Raises:
        ConfigError: WordNet or a tower's package is not there, or has other bytes.
    """
    from open_clip import IMAGENET_CLASSNAMES

    concepts = Concepts(Nouns.version_3_0(folder), _classes())
    embed = Embeddings(model.bare().text)
    taught = phrases(concepts, IMAGENET_CLASSNAMES, embed.pieces)
    _log.info("%d phrases for %d meanings", len(taught), len({p.meaning for p in taught}))
    rows = _rows()
    basis = directions(rows)
    known = meanings(concepts, concepts.classes, embed)
    # Two centres: labels are told apart among labels, prompts among what is written for them.
    labels = unit(centred(unit(known.words + known.gloss)))
    centre = embed([p.text for p in taught]).mean(axis=0)
    turn = leading(labels, heads.LABELS)
    looks = targets(concepts, embed, rows) @ basis.T
    hidden, out = _distil(taught, looks, concepts, embed, training or Training())
    lengths = np.where(np.arange(len(basis)) == 0, CONSTANT, 1.0)[:, None]
    fitted = {
        "image.looks.weight": lengths * basis,
        "image.labels.weight": unit(labels @ turn.T).T,
        "image.length": np.array(PICTURE_LABELS),
        "image.temperature": np.array(TEMPERATURE),
        "text.hidden.weight": hidden,
        "text.looks.weight": out,
        "text.labels.weight": turn,
        "text.labels.bias": -turn @ centre,
        "text.length": np.array(PROMPT_LABELS),
    }
    return {k: torch.from_numpy(np.array(v, order="C")).half() for k, v in fitted.items()}


def _classes() -> list[str]:
    """Return the image tower's classes in its order, as offsets of WordNet 3.0."""
    from timm.data.imagenet_info import ImageNetInfo

    info: Any = ImageNetInfo()
    return [name.removeprefix("n") for name in info.label_names()]


def _rows() -> Matrix:
    """Return the classifier's row of every class, without their mean, length 1."""
    classifier: Any = offline.classifier().classifier
    return unit(centred(classifier.weight.detach().double().numpy()))


def directions(rows: Matrix) -> Matrix:
    """Return the looks' directions, (LOOKS, FEATURES), orthonormal.

    The first is constant, the others are those along which the classifier's rows differ most.
    """
    constant = np.full((1, rows.shape[1]), rows.shape[1] ** -0.5)
    free = rows - rows @ constant.T @ constant
    return np.concatenate([constant, leading(free, heads.LOOKS - 1)])


def leading(rows: Matrix, count: int) -> Matrix:
    """Return the leading right singular vectors, (count, D), of one sign on every machine."""
    _, _, vectors = np.linalg.svd(rows, full_matrices=False)
    kept = vectors[:count]
    largest = np.take_along_axis(kept, np.abs(kept).argmax(axis=1)[:, None], axis=1)
    signed: Matrix = kept * np.sign(largest)
    return signed


def meanings(concepts: Concepts, offsets: Sequence[str], embed: Embeddings) -> Meanings:
    """Say what is known of some meanings before any row is seen."""
    from open_clip import IMAGENET_CLASSNAMES

    labels = dict(zip(concepts.classes, IMAGENET_CLASSNAMES, strict=True))
    synsets = [concepts.nouns.synsets[offset] for offset in offsets]
    called = [
        [*(names(labels[offset]) if offset in labels else ()), *synset.words]
        for offset, synset in zip(offsets, synsets, strict=True)
    ]
    embed([word for words in called for word in words])  # all at once is quicker
    return Meanings(
        tree=concepts.similarity(offsets, concepts.classes),
        words=unit(np.stack([embed(words).mean(axis=0) for words in called])),
        gloss=embed([synset.gloss for synset in synsets]),
    )


def targets(concepts: Concepts, embed: Embeddings, rows: Matrix) -> Matrix:
    """Return the direction of every meaning: classes, groups, others; (M, FEATURES), length 1."""
    classes = meanings(concepts, concepts.classes, embed)
    wanted = meanings(concepts, [*concepts.groups, *concepts.others], embed)
    return np.concatenate([rows, unit(krige(classes, rows, wanted))])


def _distil(
    taught: Sequence[Phrase],
    looks: Matrix,
    concepts: Concepts,
    embed: Embeddings,
    training: Training,
) -> tuple[Matrix, Matrix]:
    order = [*concepts.classes, *concepts.groups, *concepts.others]
    position = {offset: i for i, offset in enumerate(order)}
    return distil(
        embed([p.text for p in taught]),
        unit(looks)[[position[p.meaning] for p in taught]],
        np.array([p.weight for p in taught]),
        training,
    )


def centred(rows: Matrix) -> Matrix:
    """Subtract the mean row."""
    rest: Matrix = rows - rows.mean(axis=0)
    return rest
