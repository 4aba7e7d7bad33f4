"""From rank correlations to numbers, a headline, tables and figures."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from clipbatch.measure.accuracy_finding import TITLES
from clipbatch.measure.accuracy_summary import METHODS
from clipbatch.measure.accuracy_tables import loss_reliability
from clipbatch.measure.association_summary import HYPOTHESES, PRIMARY, Answer, Cells
from clipbatch.measure.base import Figure, Finding, Number, Table
from clipbatch.measure.repeats import rounded

SIGNIFICANT: Final = 0.05
BOOTSTRAP: Final = "bootstrap 95 % over classes"
MEANING: Final = (
    "rho is 1 where the classes whose diagrams noise moves farthest are those that lose most "
    "accuracy, -1 where they lose least, 0 where the one says nothing of the other. It is taken "
    "within each level and averaged, since more noise moves diagrams and takes accuracy whether or "
    "not the two are related. p: how often dealing the classes out anew gives as much."
)
QUESTION: Final = "does topology follow accuracy"


def tell(cells: Cells, answer: Answer, accuracy: Finding) -> Finding:
    """Join everything into the finding."""
    questions = int(np.isfinite(answer.rho).sum())
    numbers = [Number("classes", len(cells.names), "classes", note="that both findings answer for")]
    for method in METHODS:
        numbers += _of_method(cells, accuracy, method)
    shown = HYPOTHESES.index(PRIMARY)
    for h in sorted(range(len(HYPOTHESES)), key=lambda h: h != shown):
        numbers += _numbers(cells, answer, h, questions)
    return Finding(
        headline=_headline(cells, answer, shown),
        numbers=tuple(numbers),
        meaning=MEANING,
        tables=(_pooled(answer), _levels(cells, answer)),
        figures=(_scatter(cells, shown), _bars(answer)),
        notes=(*_notes(cells, answer, shown, questions), *_one_sided(cells, accuracy, shown)),
    )


def _name(h: int) -> str:
    method, metric, dim = HYPOTHESES[h]
    return f"{method}_{metric}_h{dim}"


def _level(variant: int) -> str:
    return f"level {variant / 1000:g}"


def _of_method(cells: Cells, accuracy: Finding, method: str) -> list[Number]:
    """How many levels can be asked, and how high could a rho come out at them?"""
    h = HYPOTHESES.index((method, *PRIMARY[1:]))
    asked = [v for v, ok in zip(cells.variants, cells.asked[h], strict=True) if ok]
    note = ", ".join(map(_level, asked)) or _why_not(cells, h)
    levels = Number(f"levels_{method}", len(asked), "levels", note=f"{TITLES[method]}: {note}")
    known = loss_reliability(accuracy, method)
    sure = [found for v in asked if (found := known.get(v)) is not None]
    rule = "highest rho that could be seen, given how surely these contents rank the losses"
    highest = float(np.mean(np.sqrt(np.maximum(sure, 0.0)))) if sure else None
    note = rule if sure else note
    return [levels, Number(f"highest_{method}", highest, note=note)]


def _numbers(cells: Cells, answer: Answer, h: int, questions: int) -> list[Number]:
    name = _name(h)
    names = (f"rho_{name}", f"p_{name}", f"p_corrected_{name}", f"naive_{name}")
    if not np.isfinite(answer.rho[h]):
        why = _why_not(cells, h)
        return [Number(one, None, note=why) for one in names]
    asked = [v for v, ok in zip(cells.variants, cells.asked[h], strict=True) if ok]
    levels = ", ".join(map(_level, asked))
    ends = [float(end[h]) for end in (answer.low, answer.high)]
    known = np.isfinite(ends).all()
    rho = Number(
        names[0],
        float(answer.rho[h]),
        low=ends[0] if known else None,
        high=ends[1] if known else None,
        interval=BOOTSTRAP if known else "",
        note=f"{len(cells.names)} classes within {levels}; by chance up to "
        f"{answer.detectable[h]:.2f}, 95 % of permutations",
    )
    return [
        rho,
        Number(names[1], float(answer.p[h]), note="permutation of classes, two-sided"),
        Number(names[2], float(answer.corrected[h]), note=f"for all {questions} correlations"),
        Number(
            names[3],
            float(answer.naive[h]) if np.isfinite(answer.naive[h]) else None,
            note="all levels in one heap, which the level confounds: no evidence",
        ),
    ]


def _why_not(cells: Cells, h: int) -> str:
    """Join the reasons of all levels, each once."""
    if not cells.variants:
        return "no noise level has both distances and accuracy by class"
    reasons: dict[str, list[int]] = {}
    for v, why in zip(cells.variants, cells.why_not[h], strict=True):
        reasons.setdefault(why, []).append(v)
    if len(reasons) == 1:
        return next(iter(reasons))
    return "; ".join(
        f"{', '.join(map(_level, levels))}: {why}" for why, levels in reasons.items() if why
    )


def _headline(cells: Cells, answer: Answer, h: int) -> str:
    rho, p = answer.rho[h], answer.p[h]
    if not np.isfinite(rho):
        return f"Not answerable, {QUESTION}: {_why_not(cells, h)}."
    interval = f"{answer.low[h]:.2f} to {answer.high[h]:.2f}"
    told = f"rho {rho:.2f}, {interval}, p = {p:.2g}, {len(cells.names)} classes"
    seen = f"Chance alone gives up to {answer.detectable[h]:.2f}."
    if p > SIGNIFICANT:
        return (
            "No relation shown: how far noise moves a class's H0 diagram does not tell, beyond "
            f"chance, how much accuracy the class loses ({told}). {seen}"
        )
    more = "more" if rho > 0 else "less"
    return f"Classes whose H0 diagram noise moves farther lose {more} accuracy ({told}). {seen}"


def _pooled(answer: Answer) -> Table:
    columns: dict[str, list[Any]] = {
        "accuracy": [m for m, _, _ in HYPOTHESES],
        "distance": [f"{d}, H{k}" for _, d, k in HYPOTHESES],
    }
    for name in ("rho", "low", "high", "detectable", "p", "corrected", "naive"):
        columns[name] = [rounded(value) for value in getattr(answer, name)]
    return Table("Rank correlation within levels, averaged; empty: not answerable", columns)


def _levels(cells: Cells, answer: Answer) -> Table:
    columns: dict[str, list[Any]] = {
        "accuracy": [], "distance": [], "level": [], "rho": [], "not_answerable": []
    }  # fmt: skip
    for h, (method, metric, dim) in enumerate(HYPOTHESES):
        for i, v in enumerate(cells.variants):
            row = (method, f"{metric}, H{dim}", v / 1000, rounded(answer.by_level[h, i]))
            for column, cell in zip(columns.values(), (*row, cells.why_not[h][i]), strict=True):
                column.append(cell)
    return Table("Rank correlation at each level", columns)


def _scatter(cells: Cells, h: int) -> Figure:
    asked = np.flatnonzero(cells.asked[h])
    group: Sequence[str] = [_level(cells.variants[i]) for i in asked for _ in cells.names]
    return Figure(
        "scatter",
        "Every class at every level that can be asked: Wasserstein distance of H0 against accuracy "
        "the probe loses",
        {
            "x": cells.moved[h, asked].ravel().tolist(),
            "y": cells.lost[h, asked].ravel().tolist(),
            "group": group,
        },
        "distance from the clean diagram",
        "accuracy lost",
    )


def _bars(answer: Answer) -> Figure:
    known: list[int] = np.flatnonzero(np.isfinite(answer.rho)).tolist()
    return Figure(
        "bars",
        "Rank correlation within levels: does topology follow accuracy?",
        {
            "names": [_name(h) for h in known],
            "values": [rounded(answer.rho[h]) for h in known],
            "low": [rounded(answer.low[h]) for h in known],
            "high": [rounded(answer.high[h]) for h in known],
        },
        "rho",
    )


def _notes(cells: Cells, answer: Answer, h: int, questions: int) -> tuple[str, ...]:
    first = f"The answer is that of {_name(h)}, chosen before any was looked at"
    notes = [f"{first}; p_corrected holds for all {questions} that could be answered."]
    for method in METHODS:
        one = HYPOTHESES.index((method, *PRIMARY[1:]))
        reasons = dict(zip(cells.variants, cells.why_not[one], strict=True))
        if not np.isfinite(answer.rho[one]):
            notes.append(f"{TITLES[method]}: not answerable: {_why_not(cells, one)}")
        else:
            notes += [
                f"{TITLES[method]}, {_level(v)}: left out: {why}"
                for v, why in reasons.items()
                if why
            ]
    return tuple(notes)


def _one_sided(cells: Cells, accuracy: Finding, h: int) -> list[str]:
    """Say where noisy contents of all classes look like one class, which so keeps its accuracy."""
    names = {f"{HYPOTHESES[h][0]}_most_named_{v}": v for v in cells.variants}
    asked = dict(zip(cells.variants, cells.asked[h], strict=True))
    told = []
    for number in accuracy.numbers:
        variant = names.get(number.name)
        if variant and asked[variant] and number.value is not None:
            told.append(
                f"{number.note}: {number.value:.2f}. A class that others are taken for keeps its "
                "accuracy for no merit of its own"
            )
    return told
