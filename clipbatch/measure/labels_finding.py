"""From votes and their calibration to suspects, numbers and notes."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from clipbatch.measure import labels_calibration as calibration
from clipbatch.measure import labels_evidence, repeats
from clipbatch.measure.base import Contents, Finding, Number
from clipbatch.measure.labels_calibration import Ballot
from clipbatch.measure.labels_story import HALVES, Settings, Story

LEAST: Final = 20  # labelled contents; with fewer there is nothing to plant in
NAMES: Final = (
    *(
        "suspects",
        "suspect_share",
        "expected_wrong",
        "wrong_share_at_most",
        "planted_precision",
        "planted_recall",
    ),
    *("planted_recall_similar", "planted_auc", "calibration_error", "neighbour_agreement"),
)
MEANING: Final = (
    "A suspect's neighbours prefer another class. Its probability is the share of planted wrong "
    "labels among equal scores, so it holds at the planted rate: where fewer labels are wrong, "
    "fewer suspects are; a real error that was not planted counts as a false alarm, which errs "
    "the other way. Look before changing a label: a rare kind of picture is suspect too."
)


def tell(contents: Contents, ballot: Ballot, names: tuple[str, ...], settings: Settings) -> Finding:
    """Join everything into the finding."""
    labelled = int((ballot.label >= 0).sum())
    if ballot.classes < 2:
        return unanswerable(contents, "fewer than two classes have labelled contents")
    if labelled < LEAST:
        return unanswerable(contents, f"{labelled} contents have a label, and {LEAST} are needed")
    story = Story(contents, ballot, names, settings)
    if not np.isfinite(story.votes.score).any():
        return unanswerable(contents, "no labelled content has a labelled neighbour")
    numbers = tuple(_numbers(story))
    suspect = np.zeros(len(contents), np.int32)
    suspect[story.suspects] = 1
    return Finding(
        headline=_headline(story, {number.name: number for number in numbers}),
        numbers=numbers,
        meaning=MEANING,
        tables=tuple(labels_evidence.tables(story)),
        figures=tuple(labels_evidence.figures(story)),
        evidence=tuple(labels_evidence.groups(story)),
        notes=tuple(_notes(story)),
        per_content={
            "suspect": suspect,
            "wrong_probability": story.curve(story.votes.score).astype(np.float32),
        },
    )


def unanswerable(contents: Contents, why: str) -> Finding:
    """Say that no label can be judged."""
    return Finding(
        headline=f"Not answerable: {why}.",
        numbers=repeats.unanswered(NAMES, why),
        per_content={
            "suspect": np.zeros(len(contents), np.int32),
            "wrong_probability": np.zeros(len(contents), np.float32),
        },
    )


def _headline(story: Story, numbers: dict[str, Number]) -> str:
    labelled = int((story.ballot.label >= 0).sum())
    precision, recall = (numbers[f"planted_{name}"].value for name in ("precision", "recall"))
    text = f"{len(story.suspects):,} of {labelled:,} labels are suspect"
    if precision is None or recall is None:
        return (
            f"{text}: no score reaches a probability of {story.settings.probability:g}, since "
            "planted wrong labels cannot be told from right ones here."
        )
    return (
        f"{text}; of labels swapped on purpose ({story.rate:.1%}) this line finds "
        f"{recall:.0%}, and {precision:.0%} of what it tells then is one of them."
    )


def _numbers(story: Story) -> Iterator[Number]:
    labelled = int((story.ballot.label >= 0).sum())
    chance, count = story.shuffled, len(story.suspects)
    low, high = np.percentile([*story.halves, count], [5, 95])
    interval = (
        f"5 % to 95 % of {HALVES} halves of the repeats (a spread, not a confidence interval)"
    )
    note = f"labels dealt out at random: {len(chance.suspects):,} suspects"
    ends = (min(float(low), count), max(float(high), count))
    yield Number("suspects", count, "contents", *ends, interval, note)
    yield Number("suspect_share", count / labelled, note="of the contents with a label")
    probability = story.curve(story.votes.score)[story.suspects]
    note = f"the sum of their probabilities, at a rate of {story.rate:.1%} wrong labels"
    yield Number("expected_wrong", float(probability.sum().round(6)), "contents", note=note)
    note = "if wrong labels score as labels that were swapped to any class; fewer may be wrong"
    yield repeats.number("wrong_share_at_most", story.bounds, note=note)
    yield from _planted(story)
    auc = [r.auc for r in chance.planted]
    note = f"labels dealt out at random: {np.mean(auc):.3f}; 0.5 is no knowledge"
    yield repeats.number("planted_auc", [r.auc for r in story.planted], note=note)
    seen, unseen = story.planted[::2], story.planted[1::2]
    error, _ = calibration.reliability(calibration.curve(seen), unseen)
    note = "mean gap of predicted and planted shares, on repeats that were not fitted on"
    yield Number("calibration_error", error, note=note)
    yield Number(
        "neighbour_agreement",
        _agreement(story),
        note=(
            f"share of the votes that a content's own label gets; labels dealt out at random: "
            f"{_agreement(chance):.3f}"
        ),
    )


def _planted(story: Story) -> Iterator[Number]:
    """How many planted labels does a line find that was drawn on other repeats?"""
    line = calibration.curve(story.planted[::2]).line(story.settings.probability)
    swapped = [calibration.precision_recall(r, line) for r in story.planted[1::2]]
    similar = [calibration.precision_recall(r, line) for r in story.similar[1::2]]
    rate = f"{story.rate:.1%} of the labels swapped"
    if not np.isfinite(line):
        why = f"no score reaches a probability of {story.settings.probability:g}"
        names = ("planted_precision", "planted_recall", "planted_recall_similar")
        yield from repeats.unanswered(names, why)
        return
    precision = [p for p, _ in swapped if np.isfinite(p)]
    note = f"{rate}; labels told that were not planted count as false, though some may be real"
    if not precision:
        note = "nothing was told in the other repeats"
    yield repeats.number("planted_precision", precision, note=note)
    yield repeats.number("planted_recall", [r for _, r in swapped], note=f"{rate} to any class")
    note = f"{rate} to the class most like their own"
    yield repeats.number("planted_recall_similar", [r for _, r in similar], note=note)


def _agreement(story: Story) -> float:
    known = np.isfinite(story.votes.score)
    return float((story.votes.own[known] / story.votes.voters[known]).mean())


def _notes(story: Story) -> Iterator[str]:
    label = story.ballot.label
    if none := int((label < 0).sum()):
        yield f"{none:,} contents without one agreed label are not judged, and do not vote."
    if alone := int(((label >= 0) & ~np.isfinite(story.votes.score)).sum()):
        yield f"{alone:,} contents have no voter: every neighbour is a copy or has no label."
    if not np.isfinite(story.line):
        yield (
            f"No score was worth a probability of {story.settings.probability:g}: this encoder's "
            "neighbours do not know these classes well enough to tell a wrong label."
        )
