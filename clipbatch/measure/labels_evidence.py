"""The tables, figures and thumbnails that stand behind suspect labels."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from clipbatch.measure import labels_calibration as calibration
from clipbatch.measure.base import Evidence, Figure, Table
from clipbatch.measure.copies import Images
from clipbatch.measure.labels_story import Story
from clipbatch.measure.labels_votes import Ints

SHOWN, BESIDE = 6, 5  # suspects as thumbnails, and the neighbours beside each


def tables(story: Story) -> Iterator[Table]:
    """List the suspects, count them by class, and show how reliable a probability is."""
    order = story.suspects[: story.settings.table_rows]
    if len(order):
        yield _suspects(story, order)
        yield _by_class(story)
    seen, unseen = story.planted[::2], story.planted[1::2]
    _, rows = calibration.reliability(calibration.curve(seen), unseen)
    names = ("predicted from", "to", "scores", "mean predicted", "share planted")
    columns = {name: [round(row[i], 4) for row in rows] for i, name in enumerate(names)}
    yield Table("Reliability, on repeats that were not fitted on", columns)


def _suspects(story: Story, order: Ints) -> Table:
    contents, votes = story.contents, story.votes
    first = Images(contents).members(contents.image_content, len(contents))
    images = np.array([first[c][0] for c in order])
    probability = story.curve(votes.score[order])
    nearest = [_nearest(story, int(c)) for c in order]
    split = [contents.image_split[i] for i in images]
    columns: dict[str, Any] = {
        "image": contents.image_uri[images].tolist(),
        "label": [story.names[story.ballot.label[c]] for c in order],
        "neighbours say": [story.names[votes.other[c]] for c in order],
        "probability": probability.round(3).tolist(),
        "score": votes.score[order].round(3).tolist(),
        "votes for its label": votes.own[order].tolist(),
        "for the other": votes.others[order].tolist(),
        "of": votes.voters[order].tolist(),
        "split": [contents.split_names[s] if s >= 0 else "" for s in split],
        "nearest of the other class": [
            "" if c is None else str(contents.image_uri[first[c][0]]) for c in nearest
        ],
    }
    more = "" if len(order) == len(story.suspects) else f" (the first {len(order):,})"
    return Table(f"Suspect labels, the most suspect first{more}", columns)


def _nearest(story: Story, content: int) -> int | None:
    """Return the nearest voter of the class that the neighbours prefer."""
    near = story.ballot.neighbour[content][story.ballot.may_vote[content]]
    other = near[story.ballot.label[near] == story.votes.other[content]]
    return int(other[0]) if len(other) else None


def _by_class(story: Story) -> Table:
    label, other = story.ballot.label[story.suspects], story.votes.other[story.suspects]
    cells, counts = np.unique(label * story.ballot.classes + other, return_counts=True)
    order = np.argsort(-counts, kind="stable")[: story.settings.table_rows]
    sizes = np.bincount(story.ballot.label[story.ballot.label >= 0])
    rows, columns = np.divmod(cells[order], story.ballot.classes)
    return Table(
        "Suspect labels by class",
        {
            "label": [story.names[c] for c in rows],
            "neighbours say": [story.names[c] for c in columns],
            "suspects": counts[order].tolist(),
            "share of the class": (counts[order] / sizes[rows]).round(4).tolist(),
        },
    )


def figures(story: Story) -> Iterator[Figure]:
    """Draw the scores of all labels beside those of planted wrong ones."""
    planted = np.concatenate([r.score[r.wrong] for r in story.planted])
    score = story.votes.score[np.isfinite(story.votes.score)]
    both = np.concatenate([planted, score])
    edges = np.linspace(both.min() - 1e-6, both.max() + 1e-6, 41)
    middles = ((edges[1:] + edges[:-1]) / 2).round(3).tolist()
    series = {
        "labels as they are": (np.histogram(score, edges)[0] / len(score)).round(5).tolist(),
        "planted wrong labels": (np.histogram(planted, edges)[0] / len(planted)).round(5).tolist(),
        "probability": story.curve(np.array(middles)).round(4).tolist(),
    }
    where = f"told from {story.line:.2f}" if np.isfinite(story.line) else "none told"
    title = f"Scores of suspicion ({where}), and the probability that they are worth"
    yield Figure("lines", title, {"x": middles, "series": series}, "score", "share, probability")


def groups(story: Story) -> Iterator[Evidence]:
    """Show the most suspect pictures beside the neighbours that voted."""
    contents, ballot = story.contents, story.ballot
    for c in story.suspects[:SHOWN].tolist():
        near = ballot.neighbour[c][ballot.may_vote[c] & (ballot.label[ballot.neighbour[c]] >= 0)]
        shown = [c, *near[:BESIDE].tolist()]
        names = [story.names[ballot.label[i]] for i in shown]
        yield Evidence(
            f"labelled {names[0]}; its neighbours say {story.names[story.votes.other[c]]}",
            tuple(contents.content_id[shown].tolist()),
            tuple(names),
        )
