"""From clusters to scores, a headline and notes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clipbatch import seeds
from clipbatch.measure import agreement, clusters_evidence
from clipbatch.measure.base import Contents, Finding, Number
from clipbatch.measure.clusters_story import Story

BOOTSTRAP: Final = "bootstrap 95 %"
TITLES: Final = {"ami": "AMI", "ari": "ARI", "fmi": "FMI", "nmi": "NMI"}
NO_CLASSES: Final = "fewer than two classes have labelled contents"
NO_SILHOUETTE: Final = "needs at least two clusters, and more contents than clusters"
MEANING: Final = (
    "AMI and ARI are 0 for clusters that know nothing of the labels and 1 for the same partition; "
    "FMI and NMI are above 0 by chance alone, so read them beside their permuted control. The "
    "silhouette needs no labels: 1 is tight and apart, 0 is overlapping, and what a structureless "
    "cloud gives stands beside it."
)


@dataclass(frozen=True)
class Draws:
    """How often chance is asked: draws of an interval, and permutations of the labels."""

    bootstraps: int
    permutations: int


@dataclass(frozen=True)
class Scored:
    """Scores in the order of ``agreement.NAMES``.

    Attributes:
        value: (4,) of the best start.
        bootstrap: (B, 4).
        permuted: (P, 4).
        restarts: (R, 4).
    """

    value: NDArray[np.float64]
    bootstrap: NDArray[np.float64]
    permuted: NDArray[np.float64]
    restarts: NDArray[np.float64]


def unanswerable(contents: Contents, why: str) -> Finding:
    """Say that there is nothing to cluster."""
    names = ("k", *agreement.NAMES, "silhouette")
    return Finding(
        headline=f"Not answerable: {why}.",
        numbers=tuple(Number(name, None, note=why) for name in names),
        per_content={"cluster": np.full(len(contents), -1, np.int32)},
    )


def tell(story: Story, draws: Draws) -> Finding:
    """Join everything into the finding."""
    scored = _scored(story, draws) if story.has_classes else None
    numbers = tuple(_numbers(story, scored, draws))
    return Finding(
        headline=_headline(story, {number.name: number for number in numbers}),
        numbers=numbers,
        meaning=MEANING,
        tables=tuple(clusters_evidence.tables(story, None if scored is None else scored.restarts)),
        figures=tuple(clusters_evidence.figures(story)),
        evidence=tuple(clusters_evidence.groups(story)),
        notes=tuple(_notes(story)),
        per_content={"cluster": story.cluster.astype(np.int32)},
    )


def _scored(story: Story, draws: Draws) -> Scored:
    known, seed = story.labelled, story.contents.seed
    label = story.contents.label[known]
    tables = [agreement.count(found[known], label) for found in story.label]
    best = tables[story.best]
    return Scored(
        value=agreement.scores(best, best.expected),
        bootstrap=agreement.bootstrap(
            best, seeds.generator(seed, "clusters", "bootstrap"), draws.bootstraps
        ),
        permuted=agreement.permuted(
            story.cluster[known],
            label,
            seeds.generator(seed, "clusters", "permuted"),
            draws.permutations,
        ),
        restarts=np.array([agreement.scores(table, table.expected) for table in tables]),
    )


def _numbers(story: Story, scored: Scored | None, draws: Draws) -> Iterator[Number]:
    yield Number("k", len(story.sizes), "clusters", note=story.chosen.why)
    for i, name in enumerate(agreement.NAMES):
        if scored is None:
            yield Number(name, None, note=NO_CLASSES)
            continue
        value = float(scored.value[i])
        low, high = agreement.interval(value, scored.bootstrap[:, i])
        chance = scored.permuted[:, i]
        note = (
            f"permuted labels: {chance.mean():z.3f} on average, at most {chance.max():z.3f} of "
            f"{draws.permutations}"
        )
        yield Number(name, value, "", low, high, BOOTSTRAP, note)
    yield _silhouette(story, draws)
    yield from _restarts(story, scored)


def _silhouette(story: Story, draws: Draws) -> Number:
    values = story.starts[story.best]["silhouette"]
    if not len(values):
        return Number("silhouette", None, note=NO_SILHOUETTE)
    rng = seeds.generator(story.contents.seed, "clusters", "silhouette")
    repeats = np.array([rng.choice(values, len(values)).mean() for _ in range(draws.bootstraps)])
    value = float(values.mean().round(9))
    low, high = agreement.interval(value, repeats)
    null = [float(null["silhouette"].mean()) for null in story.nulls if len(null["silhouette"])]
    chance = f"structureless clouds: {np.mean(null):.3f}" if null else "no structureless cloud"
    note = f"of {len(values):,} contents; {chance}"
    return Number("silhouette", value, "", round(low, 9), round(high, 9), BOOTSTRAP, note)


def _restarts(story: Story, scored: Scored | None) -> Iterator[Number]:
    spread = f"spread of {len(story.starts)} starts (not a confidence interval)"
    cosine = np.array([float(start["objective"]) for start in story.starts]).round(9)
    best = float(cosine[story.best])
    note = "mean cosine to the own centroid, on the sample"
    yield Number(
        "objective", best, "cosine", float(cosine.min()), float(cosine.max()), spread, note
    )
    if scored is not None and len(story.starts) > 1:
        ami = scored.restarts[:, agreement.NAMES.index("ami")]
        mean, low, high = (float(f(ami)) for f in (np.mean, np.min, np.max))
        note = "what another start of k-means would have given"
        yield Number("ami_of_starts", mean, "", low, high, spread, note)


def _headline(story: Story, numbers: dict[str, Number]) -> str:
    silhouette, ami = numbers["silhouette"], numbers["ami"]
    k = f"{len(story.sizes)} clusters ({story.chosen.why})"
    parts = []
    if ami.value is not None:
        classes = int((story.table.sum(axis=0) > 0).sum())
        parts.append(
            f"agree with {classes} classes to an AMI of {ami.value:.2f} "
            f"({ami.low:.2f} to {ami.high:.2f}; 0 by chance)"
        )
    if silhouette.value is not None:
        parts.append(f"have a silhouette of {silhouette.value:.2f} ({silhouette.note})")
    return f"{k} {' and '.join(parts)}." if parts else f"{k}."


def _notes(story: Story) -> Iterator[str]:
    n, contents = len(story.contents), story.contents
    fitted = int(story.starts[0]["fitted"])
    if len(story.sizes) < story.chosen.k:
        yield f"{story.chosen.k} clusters were asked for; the others stayed empty."
    if fitted < n:
        yield (
            f"Centroids were fitted on {fitted:,} of {n:,} contents, those of the smallest seeded "
            "hash with a direction; all contents were then assigned."
        )
    stopped = sum(not bool(start["converged"]) for start in story.starts)
    if stopped:
        yield f"{stopped} of {len(story.starts)} starts stopped at max_iterations."
    unknown = int((contents.label < 0).sum())
    if story.has_classes and unknown:
        yield f"{unknown:,} contents without one agreed label are clustered, and not scored."
    zero = int((story.cluster < 0).sum())
    if zero:
        yield f"{zero:,} contents have a vector of zeros, which has no direction: cluster -1."
    if story.has_classes:
        yield (
            f"{TITLES['nmi']} is not adjusted for chance and grows with k: compare AMI between "
            "collections. Intervals are over contents, with the clusters held."
        )
