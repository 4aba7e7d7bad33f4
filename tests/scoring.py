"""Holds the findings of an audit against the faults that were planted."""

from typing import Any

import numpy as np

from clipbatch.index import read, table
from clipbatch.index.runs import find
from clipbatch.measure import store
from clipbatch.measure.base import Contents, Finding
from clipbatch.measure.pictures_rules import RULES
from tests.faults import LOOKS, Planted

ANALYSES = ("duplicates", "pictures", "labels", "outliers", "balance", "drift")
Score = tuple[int, int, int]  # planted, told, told and planted


def findings(config: Any) -> tuple[Contents, dict[str, Finding]]:
    """Return what the last run of an audit saw, and its findings."""
    database = config.index.database
    run = find(database)
    contents, _ = read.load(database, run, config.collect.seed)
    rows = table.open_table(database, "findings").to_table().to_pylist()
    stored = {row["fingerprint"]: row["result"] for row in rows if row["unit"] == ""}
    found = {name: store.finding_from_bytes(stored[key]) for name, key in run.fingerprints.items()}
    return contents, found


def score(config: Any, planted: Planted) -> tuple[dict[str, Score], dict[str, str]]:
    """Return (planted, told, both) of every check, and numbers worth reading beside them."""
    contents, found = findings(config)
    place = dict(zip(contents.image_uri.tolist(), contents.image_content.tolist(), strict=True))
    scored = copies(contents, found["duplicates"], planted, place)
    for name in LOOKS:
        rule = RULES.index("odd_shape" if name == "wide" else name)
        told = set(np.flatnonzero(found["pictures"].per_content["picture_faults"] >> rule & 1))
        scored[name] = counted({place[path] for path in planted.faulty[name]}, told)
    wrong = {place[path] for path in planted.faulty["swapped"]}
    suspects = found["labels"].per_content["suspect"]
    scored["swapped label"] = counted(wrong, set(np.flatnonzero(suspects)))
    if planted.faulty["foreign"]:
        outliers = set(np.flatnonzero(found["outliers"].per_content["outlier"] & 1))
        foreign = {place[path] for path in planted.faulty["foreign"]}
        scored["foreign picture"] = counted(foreign, outliers)
    names = ("near_threshold", "near_precision", "near_recall", "planted_precision")
    names += ("planted_recall", "calibration_error", "cramers_v", "worst_auc", "worst_mmd")
    numbers = {n.name: n for finding in found.values() for n in finding.numbers}
    return scored, {name: told_number(numbers[name]) for name in names}


def copies(
    contents: Contents, finding: Finding, planted: Planted, place: dict[str, int]
) -> dict[str, Score]:
    """Score copies: candidates of the encoder, verified ones by kind, leaks, conflicts."""
    pairs = {
        kind: {tuple(sorted((place[a], place[b]))) for a, b in found.items()}
        for kind, found in planted.copy_of.items()
    }
    exact = pairs.pop("conflicting")
    every = set().union(*pairs.values())
    near = set(zip(finding.pairs.a.tolist(), finding.pairs.b.tolist(), strict=True))
    verified, leaks = listed(finding, place)
    of_pixels = np.unique(contents.facts["pixel_id"], return_inverse=True)[1]
    same = {(a, b) for a, b in every | near | verified if of_pixels[a] == of_pixels[b]}
    repeated = np.bincount(contents.image_content, minlength=len(contents)) > 1
    conflicts = {(c, c) for c in np.flatnonzero(repeated & (contents.label < 0)).tolist()}
    scored = {
        "same bytes, another label": counted(exact, conflicts),
        "same pixels, other bytes": counted(pairs["same_pixels"], same),
        "near pair (encoder alone)": counted(every, near),
        "copy, verified on pixels": counted(every, verified),
    }
    for kind, wanted in pairs.items():
        scored[f"copy: {kind}"] = (len(wanted), 0, len(wanted & verified))
    scored["leaked copy"] = counted(pairs["leaked"], leaks)
    return scored


def listed(finding: Finding, place: dict[str, int]) -> tuple[set, set]:
    """Return the verified copies that the table lists, and those that cross splits."""
    found = [t for t in finding.tables if t.title.startswith("Copies verified on pixels")]
    if not found:
        return set(), set()
    columns = found[0].columns
    pairs = [
        tuple(sorted((place[a], place[b])))
        for a, b in zip(columns["image"], columns["other image"], strict=True)
    ]
    return set(pairs), {p for p, leak in zip(pairs, columns["leak"], strict=True) if leak == "yes"}


def counted(planted: set, told: set) -> Score:
    """Return (planted, told, both)."""
    return len(planted), len(told), len(planted & told)


def told_number(number: Any) -> str:
    """Return a number with its interval as text."""
    if number.value is None:
        return f"not answerable: {number.note}"
    ends = "" if number.low is None else f" ({number.low:.3f} to {number.high:.3f})"
    return f"{number.value:.3f}{ends}; {number.note}"
