"""From right and wrong answers to numbers, a headline, figures and notes."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clipbatch.measure import accuracy_tables, repeats
from clipbatch.measure.accuracy_folds import Chosen
from clipbatch.measure.accuracy_summary import ENDS, METHODS, TRAINED, Summary
from clipbatch.measure.base import Contents, Figure, Finding, Number, Result
from clipbatch.measure.repeats import CLEAN

Array = NDArray[np.float64]

BOOTSTRAP: Final = "bootstrap 95 % over tested contents"
HEATMAP_CLASSES: Final = 60  # more cannot be read
MEANING: Final = (
    "Accuracy is the share of tested contents whose class is named right, every class counting "
    "alike, so an answer that knows nothing has 1 / classes. Classifiers see clean vectors of "
    "other contents only. What is lost at a level is clean less noisy accuracy of the same ones."
)
TITLES: Final = {
    "zero_shot": "zero-shot, by prompts",
    "centroid": "nearest centroid",
    "probe": "linear probe",
}


def _level(variant: int) -> str:
    return f"level {variant / 1000:g}" if variant else "clean"


def _name(variant: int) -> str:
    return str(variant) if variant else "clean"


def unanswerable(why: str, variants: Sequence[int], notes: tuple[str, ...]) -> Finding:
    """Say of every number that there are no classes to tell apart."""
    names = ["classes", "contents", "chance", "majority"]
    for method in METHODS:
        names += _names(method, variants)
    names += [f"zero_shot_low_{_name(v)}" for v in variants]
    names += [f"shuffled_{method}" for method in TRAINED]
    numbers = tuple(Number(name, None, note=why) for name in names)
    return Finding(f"Not answerable: {why}.", numbers, notes=notes)


def _names(method: str, variants: Sequence[int]) -> list[str]:
    names = [f"{method}_{_name(v)}" for v in variants]
    names += [f"{method}_of_contents_{_name(v)}" for v in variants]
    names += [f"{method}_most_named_{_name(v)}" for v in variants]
    noisy = [v for v in variants if v != CLEAN]
    return names + [f"{method}_lost_{v}" for v in noisy] + [f"{method}_kept_{v}" for v in noisy]


def tell(summary: Summary, chosen: Chosen, found: Sequence[Result], contents: Contents) -> Finding:
    """Join everything into the finding."""
    untold = next((str(one["untold"]) for one in found if str(one["untold"])), "")
    numbers = [
        Number("classes", len(summary.names), "classes"),
        Number("contents", len(summary.label), "contents", note="tested, each once"),
        Number("chance", summary.chance, note="an answer that knows nothing, classes alike"),
        Number("majority", summary.majority, note="the largest class always, contents alike"),
    ]
    for method in METHODS:
        if method in summary.methods:
            numbers += _numbers(summary, method)
        else:
            names = _names(method, summary.variants)
            numbers += [Number(name, None, note=untold) for name in names]
    numbers += _low(summary, untold)
    for method in TRAINED:
        note = f"{TITLES[method]} trained on shuffled labels, clean; chance {summary.chance:.3f}"
        values = summary.shuffled(method)
        numbers.append(repeats.number(f"shuffled_{method}", values, "", note))
    return Finding(
        headline=_headline(summary),
        numbers=tuple(numbers),
        meaning=MEANING,
        tables=accuracy_tables.tables(summary),
        figures=(_lines(summary), _heatmap(summary)),
        evidence=accuracy_tables.evidence(summary, contents.content_id),
        notes=_notes(summary, chosen, found, untold),
    )


def _number(name: str, value: float, draws: Array, note: str) -> Number:
    low, high = np.percentile(draws, ENDS)
    return Number(name, value, "", float(low), float(high), BOOTSTRAP, note)


def _numbers(summary: Summary, method: str) -> list[Number]:
    m, title = summary.methods.index(method), TITLES[method]
    classes, shares = summary.by_class[:, m], summary.counts / summary.counts.sum()
    mean, overall = classes.mean(axis=0), shares @ classes
    draws = summary.mean(summary.draws)[:, m]
    all_draws = summary.overall(summary.draws)[:, m]
    numbers, of_contents, most, lost, kept = [], [], [], [], []
    for i, v in enumerate(summary.variants):
        note = f"{title}, {_level(v)}; mean over classes; chance {summary.chance:.3f}"
        numbers.append(_number(f"{method}_{_name(v)}", mean[i], draws[:, i], note))
        note = f"{title}, {_level(v)}; of all contents; majority {summary.majority:.3f}"
        name = f"{method}_of_contents_{_name(v)}"
        of_contents.append(_number(name, overall[i], all_draws[:, i], note))
        most.append(_most_named(summary, method, i))
        if v == CLEAN:
            continue
        note = f"{title}: clean less {_level(v)}, the same contents; mean over classes"
        name = f"{method}_lost_{v}"
        lost.append(_number(name, mean[0] - mean[i], draws[:, 0] - draws[:, i], note))
        kept.append(_kept(summary, method, (mean[i], mean[0]), (draws[:, i], draws[:, 0]), v))
    return [*numbers, *of_contents, *most, *lost, *kept]


def _low(summary: Summary, untold: str) -> list[Number]:
    """Does zero-shot know what it names? The control that shuffled labels are for the others."""
    numbers = []
    for i, v in enumerate(summary.variants):
        share = float(summary.low[:, i].mean()) if len(summary.low) else None
        note = f"zero-shot, {_level(v)}: share of contents that made-up words fit as well"
        number = Number(f"zero_shot_low_{_name(v)}", share, note=untold if share is None else note)
        numbers.append(number)
    return numbers


def _most_named(summary: Summary, method: str, i: int) -> Number:
    """Do all contents look like one class? Then that class keeps its accuracy for no merit."""
    variant, named = summary.variants[i], summary.named[:, summary.methods.index(method), i]
    note = (
        f"{TITLES[method]}, {_level(variant)}: share of contents taken for "
        f"{summary.names[int(named.argmax())]}; the largest class has {summary.majority:.3f}"
    )
    share = float(named.max() / len(summary.label))
    return Number(f"{method}_most_named_{_name(variant)}", share, note=note)


def _kept(
    summary: Summary, method: str, value: tuple[float, float], draws: tuple[Array, Array], v: int
) -> Number:
    """Which share of what clean vectors have above chance is left?"""
    name, chance = f"{method}_kept_{v}", summary.chance
    if np.percentile(draws[1], ENDS[0]) <= chance:
        return Number(name, None, note="clean accuracy is not above chance")
    note = f"{TITLES[method]}: share of the clean accuracy above chance that {_level(v)} leaves"
    ratio = (draws[0] - chance) / np.maximum(draws[1] - chance, 1e-9)
    return _number(name, (value[0] - chance) / (value[1] - chance), ratio, note)


def _headline(summary: Summary) -> str:
    m = summary.methods.index("probe")
    mean = summary.by_class[:, m].mean(axis=0)
    chance = f"chance {summary.chance:.2f}"
    clean = f"A linear probe names {mean[0]:.0%} of clean contents right ({chance})"
    low = np.percentile(summary.mean(summary.draws)[:, m, 0], ENDS[0])
    if low <= summary.chance:
        return f"{clean}: these vectors do not tell these classes apart."
    if len(mean) == 1:
        return f"{clean}; there is no noisy variant."
    rest = ", ".join(
        f"{value:.0%} at {_level(v)}"
        for v, value in zip(summary.variants[1:], mean[1:], strict=True)
    )
    return f"{clean}, and {rest}."


def _notes(
    summary: Summary, chosen: Chosen, found: Sequence[Result], untold: str
) -> tuple[str, ...]:
    notes = list(chosen.notes)
    if untold:
        notes.append(f"no zero-shot accuracy: {untold}")
    fitted = [one for one in found if "probe" in one]
    strengths = ", ".join(sorted({f"{float(one['strength']):g}" for one in fitted}))
    notes.append(
        f"strength of the probe (scikit-learn's C), chosen on training contents: {strengths}"
    )
    if slow := sum(not one["converged"] for one in fitted):
        notes.append(f"the probe had not converged in {slow} of {len(fitted)} folds")
    if untested := sorted(set(chosen.names) - set(summary.names)):
        notes.append(f"{len(untested)} classes have nothing to test: {', '.join(untested[:10])}")
    return tuple(notes)


def _lines(summary: Summary) -> Figure:
    draws = summary.mean(summary.draws)
    series = {
        TITLES[method]: (summary.by_class[:, m].mean(axis=0), draws[:, m])
        for m, method in enumerate(summary.methods)
    }
    same = np.ones(len(summary.variants))
    control = summary.shuffled("probe")[:, None] * same
    series["probe, shuffled labels (clean)"] = (np.median(control, axis=0), control)
    series["chance"] = (same * summary.chance, same[None] * summary.chance)
    low, high = (
        {name: np.percentile(d, end, axis=0).round(5).tolist() for name, (_, d) in series.items()}
        for end in ENDS
    )
    return Figure(
        "lines",
        "Accuracy against noise, mean over classes",
        {
            "x": [v / 1000 for v in summary.variants],
            "series": {name: value.round(5).tolist() for name, (value, _) in series.items()},
            "low": low,
            "high": high,
        },
        "noise level",
        "accuracy",
    )


def _heatmap(summary: Summary) -> Figure:
    m = summary.methods.index("probe")
    order = np.argsort(summary.by_class[:, m].mean(axis=1), kind="stable")[:HEATMAP_CLASSES]
    some = f", the worst {len(order)} of {len(summary.names)}" if len(order) < len(
        summary.names
    ) else ""  # fmt: skip
    return Figure(
        "heatmap",
        f"Accuracy of the linear probe by class and level{some}",
        {
            "z": summary.by_class[order, m].round(4).tolist(),
            "rows": [summary.names[i] for i in order],
            "columns": [_level(v) for v in summary.variants],
        },
    )
