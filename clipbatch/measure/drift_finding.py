"""From two-sample tests of splits to numbers, a table and the pictures that give a split away."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from clipbatch.measure import repeats
from clipbatch.measure.base import Contents, Evidence, Figure, Finding, Number, Result, Table
from clipbatch.measure.copies import Images
from clipbatch.measure.twosample import Answer, Floats, holm

ALPHA: Final = 0.05
SHOWN: Final = 6  # contents of each side, as thumbnails
NAMES: Final = (
    *("drifted_pairs", "compared_pairs", "worst_auc", "smallest_auc_p"),
    *("worst_mmd", "smallest_mmd_p"),
)
MEANING: Final = (
    "Both samples hold as many contents of every class, so a difference in class shares is no "
    "drift (see balance). An AUC of 0.5 means that nothing tells the splits apart, 1 that every "
    "picture gives its split away. The p-value says whether the difference is real, the AUC "
    "whether it is large: a large collection makes any small difference real."
)


@dataclass(frozen=True)
class Compared:
    """One pair of splits.

    Attributes:
        first, second: names of the splits.
        result: of its unit.
    """

    first: str
    second: str
    result: Result

    @property
    def name(self) -> str:
        """As it is told."""
        return f"{self.first} and {self.second}"

    def answer(self, statistic: str) -> Answer:
        """Return "auc" or "mmd"."""
        parts = (self.result[f"{statistic}_{kind}"] for kind in ("bootstrap", "permuted"))
        return Answer(float(self.result[statistic]), *parts)


@dataclass(frozen=True)
class Story:
    """Everything the finding is told from.

    Attributes:
        contents: the collection.
        compared: pairs of splits that were tested.
        refused: pairs that had too few contents left.
        effect: see ``DriftParams``.
    """

    contents: Contents
    compared: tuple[Compared, ...]
    refused: tuple[Compared, ...]
    effect: float

    def corrected(self, statistic: str) -> Floats:
        """Return each pair's p-value, corrected for the number of pairs."""
        return holm(np.array([pair.answer(statistic).p for pair in self.compared]))

    @cached_property
    def drifted(self) -> list[Compared]:
        """Pairs whose whole interval lies above the effect, and that are no chance."""
        p, tails = self.corrected("auc"), len(self.compared)
        return [
            pair
            for pair, corrected in zip(self.compared, p, strict=True)
            if corrected <= ALPHA and pair.answer("auc").interval(tails)[0] > self.effect
        ]

    def worst(self, statistic: str) -> Compared:
        """Return the pair that differs most."""
        return max(self.compared, key=lambda pair: pair.answer(statistic).value)


def tell(
    contents: Contents,
    found: Mapping[tuple[int, int], Result],
    effect: float,
    min_contents: int,
) -> Finding:
    """Join everything into the finding."""
    names = contents.split_names
    pairs = [Compared(names[a], names[b], result) for (a, b), result in found.items()]
    compared = tuple(pair for pair in pairs if "auc" in pair.result)
    refused = tuple(pair for pair in pairs if "auc" not in pair.result)
    if not compared:
        splits = len(np.unique(contents.image_split[contents.image_split >= 0]))
        why = f"no two splits have {min_contents} contents of the same classes that are no copies"
        why = "the collection has fewer than two splits" if splits < 2 else why
        numbers = repeats.unanswered(NAMES, why)
        return Finding(f"Not answerable: {why}.", numbers, notes=tuple(_refused(refused)))
    story = Story(contents, compared, refused, effect)
    return Finding(
        headline=_headline(story),
        numbers=tuple(_numbers(story)),
        meaning=MEANING,
        tables=(_table(story),),
        figures=tuple(_figures(story)),
        evidence=tuple(_evidence(story)),
        notes=tuple(_notes(story)),
    )


def _headline(story: Story) -> str:
    worst = story.worst("auc")
    value = worst.answer("auc").value
    if not story.drifted:
        return (
            f"No pair of splits has drifted; {worst.name} differ most, and a classifier tells "
            f"them apart with an AUC of {value:.2f} (0.5 is chance)."
        )
    names = "; ".join(pair.name for pair in story.drifted)
    return f"Drifted: {names}. A classifier tells {worst.name} apart with an AUC of {value:.2f}."


def _numbers(story: Story) -> Iterator[Number]:
    pairs = len(story.compared)
    note = (
        f"the interval of the AUC lies above {story.effect:g}, and p is at most {ALPHA:g}; both "
        f"corrected for the number of pairs, {pairs}"
    )
    yield Number("drifted_pairs", len(story.drifted), "pairs of splits", note=note)
    yield Number("compared_pairs", pairs, "pairs of splits", note="with enough contents")
    for statistic in ("auc", "mmd"):
        worst = story.worst(statistic)
        answer = worst.answer(statistic)
        low, high = answer.interval(pairs)
        interval = "bootstrap 95 %" + (f", held by all {pairs} pairs together" * (pairs > 1))
        middle, most = np.percentile(answer.permuted, [50, 95])
        note = f"{worst.name}; splits dealt out at random: {middle:.2g}, 95 % below {most:.2g}"
        yield Number(f"worst_{statistic}", answer.value, "", low, high, interval, note)
        p = float(story.corrected(statistic).min())
        note = (
            f"{len(answer.permuted)} permutations within classes; corrected for the number of "
            f"pairs, {pairs} (Holm)"
        )
        yield Number(f"smallest_{statistic}_p", p, note=note)


def _table(story: Story) -> Table:
    columns: dict[str, list[object]] = {"splits": [pair.name for pair in story.compared]}
    columns["contents of each"] = [int(pair.result["second"].sum()) for pair in story.compared]
    columns["classes"] = [int(pair.result["classes"]) for pair in story.compared]
    for statistic, title in (("auc", "AUC"), ("mmd", "squared MMD")):
        answers = [pair.answer(statistic) for pair in story.compared]
        ends = [answer.interval(len(answers)) for answer in answers]
        columns[title] = [round(answer.value, 5) for answer in answers]
        columns[f"{title} from"] = [round(low, 5) for low, _ in ends]
        columns[f"{title} to"] = [round(high, 5) for _, high in ends]
        chance = [float(np.percentile(answer.permuted, 95)) for answer in answers]
        columns[f"{title} by chance, 95 %"] = [round(value, 5) for value in chance]
        columns[f"{title} p"] = [round(p, 5) for p in story.corrected(statistic).tolist()]
    return Table("Pairs of splits, classes matched", columns)


def _figures(story: Story) -> Iterator[Figure]:
    answers = [pair.answer("auc") for pair in story.compared]
    ends = [answer.interval(len(answers)) for answer in answers]
    data = {
        "names": [pair.name for pair in story.compared],
        "values": [round(answer.value, 5) for answer in answers],
        "low": [round(low, 5) for low, _ in ends],
        "high": [round(high, 5) for _, high in ends],
    }
    title = "How well a classifier tells two splits apart; 0.5 is chance"
    yield Figure("bars", title, data, "splits", "AUC")


def _evidence(story: Story) -> Iterator[Evidence]:
    contents = story.contents
    first = Images(contents).members(contents.image_content, len(contents))
    for pair in story.drifted:
        rows, second, score = (pair.result[name] for name in ("rows", "second", "score"))
        for name, side, sign in ((pair.first, ~second, 1), (pair.second, second, -1)):
            members = rows[side]
            order = np.argsort(sign * score[side], kind="stable")[:SHOWN]
            shown = members[order]
            yield Evidence(
                f"{pair.name}: most typical of {name}",
                tuple(contents.content_id[shown].tolist()),
                tuple(str(contents.image_uri[first[c][0]]) for c in shown),
            )


def _notes(story: Story) -> Iterator[str]:
    for pair in story.compared:
        if copied := int(pair.result["copied"]):
            yield f"{pair.name}: {copied:,} contents left out as copies of others in the sample."
    yield from _refused(story.refused)


def _refused(pairs: tuple[Compared, ...]) -> Iterator[str]:
    for pair in pairs:
        yield (
            f"{pair.name}: too few contents were left once copies had gone "
            f"({int(pair.result['copied']):,} of them); not compared."
        )
