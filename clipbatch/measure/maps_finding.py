"""The maps as figures, with how faithful each is."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from clipbatch import seeds
from clipbatch.measure import layout
from clipbatch.measure.base import Contents, Figure, Finding, Number, Result, Table

if TYPE_CHECKING:
    from clipbatch.measure.maps import MapsParams

POINTS: Final = 700  # drawn on each map, a stable sample: with 18 maps the page stays small
BOOTSTRAPS: Final = 500
TITLES: Final = {"umap": "UMAP", "tsne": "t-SNE"}
MEANING: Final = (
    "A map is for finding things to look at. What lies together is mostly alike (trustworthiness); "
    "what lies apart may still be alike (neighbour recall says how often). Sizes of clumps and "
    "distances between them mean nothing."
)


def finding(
    contents: Contents,
    maps: Mapping[str, Result],
    params: "MapsParams",
    noisy: NDArray[np.int64],
) -> Finding:
    """Join the maps.

    Args:
        contents: the collection.
        maps: unit key -> "coordinates", "recall", "trustworthiness".
        params: of the analysis.
        noisy: contents on the map of noise levels.
    """
    from clipbatch.measure.maps import NOISE, drawn, noise_maps, placed

    rows = placed(contents)
    laid = {
        f"{method}_{dims}": _spread_out(contents, rows, maps[f"{method};{dims}"])
        for method, dims in drawn(contents, params)
    }
    numbers = [n for name, one in laid.items() for n in _numbers(contents, name, one)]
    figures = [f for name, one in laid.items() for f in _figures(contents, name, one, params)]
    noise = {
        f"{method}_{dims}": maps[key]
        for method, dims in noise_maps(params)
        if (key := f"{NOISE};{method};{dims}") in maps
    }
    for name, one in noise.items():
        numbers += _numbers(contents, f"{NOISE}_{name}", one)
        figures.append(_noise(contents, name, one, noisy))
    if not numbers:
        why = f"there are {len(contents)} contents; see the limits of measure.maps"
        numbers = [Number("maps", None, "maps", note=why)]
    return Finding(
        headline=_headline(laid, contents),
        numbers=tuple(numbers),
        meaning=MEANING,
        tables=(_table(laid),) if laid else (),
        figures=tuple(figures),
        notes=tuple(_notes(contents, params, laid)),
        per_content={name: one["coordinates"] for name, one in laid.items()}
        | {f"{NOISE}_{name}": _by_variant(contents, noisy, one) for name, one in noise.items()},
    )


def _spread_out(contents: Contents, rows: NDArray[np.int64], one: Result) -> Result:
    """Give every content its coordinates; NaN where it has no place."""
    spots = np.full((len(contents), one["coordinates"].shape[1]), np.nan, np.float32)
    spots[rows] = one["coordinates"]
    return {**one, "coordinates": spots}


def _by_variant(contents: Contents, rows: NDArray[np.int64], one: Result) -> NDArray[np.float32]:
    """Give every content a place for each variant, (N, variants, dims); NaN where it has none."""
    laid = one["coordinates"].reshape(-1, len(rows), one["coordinates"].shape[1])
    spots = np.full((len(contents), laid.shape[0], laid.shape[2]), np.nan, np.float32)
    spots[rows] = laid.transpose(1, 0, 2)
    return spots


def _numbers(contents: Contents, name: str, one: Result) -> list[Number]:
    recall = one["recall"]
    generator = seeds.generator(contents.seed, "maps", name)
    drawn = [generator.choice(recall, len(recall)).mean() for _ in range(BOOTSTRAPS)]
    low, high = np.percentile(drawn, [2.5, 97.5])
    by_chance = _by_chance(len(recall))
    return [
        Number(f"{name}_trustworthiness", float(one["trustworthiness"]), note="chance: about 0.5"),
        Number(
            f"{name}_recall",
            float(recall.mean()),
            low=float(low),
            high=float(high),
            interval="bootstrap 95 % over contents",
            note=f"by chance {by_chance:.3f}",
        ),
    ]


def _by_chance(rows: int) -> float:
    from clipbatch.measure.maps import nearest_judged

    return nearest_judged(rows, rows) / max(rows - 1, 1)


def _headline(laid: Mapping[str, Result], contents: Contents) -> str:
    if not laid:
        return f"No map of {len(contents)} contents."
    best = max(laid, key=lambda name: float(laid[name]["recall"].mean()))
    share = 100 * float(laid[best]["recall"].mean())
    return (
        f"{len(laid)} maps of {len(contents)} contents; the most faithful, {_title(best)}, keeps "
        f"{share:.0f} % of each picture's nearest neighbours."
    )


def _title(name: str) -> str:
    method, _, dims = name.partition("_")
    return f"{TITLES.get(method, method)} in {dims} dimensions"


def _printed(one: Result) -> str:
    recall, trust = float(one["recall"].mean()), float(one["trustworthiness"])
    return f"trustworthiness {trust:.2f}, neighbour recall {recall:.2f}"


def _figures(contents: Contents, name: str, one: Result, params: "MapsParams") -> list[Figure]:
    spots = one["coordinates"]
    shown = np.sort(seeds.sample(contents.seed, "maps drawn", contents.content_id.tolist(), POINTS))
    views = {"class": _classes(contents, params), "split": _splits(contents)}
    cluster = contents.found["clusters"].per_content["cluster"]
    views["cluster"] = np.array([f"cluster {c}" if c >= 0 else "" for c in cluster.tolist()])
    found = [
        _scatter(f"{_title(name)}, by {view}", one, shown, (0, 1), groups)
        for view, groups in views.items()
        if len(np.unique(groups[groups != ""])) > 1
    ]
    if spots.shape[1] == 3:
        side = f"{_title(name)}, from the side, by class"
        found.append(_scatter(side, one, shown, (2, 1), views["class"]))
    return found


def _scatter(
    title: str, one: Result, shown: NDArray[np.int64], axes: tuple[int, int], groups: NDArray[Any]
) -> Figure:
    shown = shown[groups[shown] != ""] if (groups != "").any() else shown
    shown = shown[np.isfinite(one["coordinates"][shown, 0])]
    x, y = (np.round(one["coordinates"][shown, axis].astype(float), 3) for axis in axes)
    data = {"x": x.tolist(), "y": y.tolist(), "group": groups[shown].tolist()}
    names = [f"axis {axis + 1} (no unit)" for axis in axes]
    return Figure("scatter", f"{title}: {_printed(one)}", data, *names)


def chosen_classes(contents: Contents, at_most: int) -> list[str]:
    """Return the classes that are drawn: all, or those of the smallest seeded hashes."""
    present = [contents.label_names[i] for i in np.unique(contents.label[contents.label >= 0])]
    picked = seeds.sample(contents.seed, "maps classes", present, at_most)
    return sorted(present[i] for i in picked.tolist())


def _classes(contents: Contents, params: "MapsParams") -> NDArray[np.str_]:
    chosen = set(chosen_classes(contents, params.classes))
    names = np.array([n if n in chosen else "" for n in contents.label_names] + [""])
    return names[contents.label]


def _splits(contents: Contents) -> NDArray[np.str_]:
    """Name each content's split; several joined, since a content may be in more than one."""
    found: list[set[str]] = [set() for _ in range(len(contents))]
    for content, split in zip(contents.image_content, contents.image_split, strict=True):
        if split >= 0:
            found[content].add(contents.split_names[split])
    return np.array([" and ".join(sorted(names)) for names in found] or [""], dtype=np.str_)


def _noise(contents: Contents, name: str, one: Result, rows: NDArray[np.int64]) -> Figure:
    levels = [f"noise {v / 1000:g}" if v else "clean" for v in sorted(contents.variants)]
    groups = np.repeat(levels, len(rows))
    few = np.arange(len(rows)) < max(1, POINTS // len(levels))  # rows are drawn by hash already
    shown = np.flatnonzero(np.tile(few, len(levels)))
    title = f"{_title(name)}, {len(rows)} contents at every noise level"
    return _scatter(title, one, shown, (0, 1), groups)


def _table(laid: Mapping[str, Result]) -> Table:
    return Table(
        "How faithful the maps are",
        {
            "map": [_title(name) for name in laid],
            "trustworthiness": [round(float(one["trustworthiness"]), 4) for one in laid.values()],
            "neighbour recall": [round(float(one["recall"].mean()), 4) for one in laid.values()],
            "worst tenth": [
                round(float(np.percentile(one["recall"], 10)), 4) for one in laid.values()
            ],
        },
    )


def _notes(contents: Contents, params: "MapsParams", laid: Mapping[str, Result]) -> list[str]:
    from clipbatch.measure.maps import placed

    notes = []
    if laid and (lost := len(contents) - len(placed(contents))):
        notes.append(f"{lost} contents whose vectors are zero have no place")
    limits = {"umap": params.umap_rows, "tsne": params.tsne_rows}
    for method in params.methods:
        if len(contents) > limits[method]:
            notes.append(
                f"no {TITLES[method]}: {len(contents)} contents are more than "
                f"measure.maps.{method}_rows = {limits[method]}"
            )
    if any(name.startswith("tsne") for name in laid):
        near = contents.found["neighbours"].per_content["neighbour"]
        allowed = layout.perplexity_for((near, np.empty(0, np.float32)), params.perplexity)
        if allowed < params.perplexity:
            notes.append(
                f"perplexity {allowed:.3g}: the graph has {near.shape[1]} neighbours a row"
            )
    names = len(np.unique(contents.label[contents.label >= 0]))
    if laid and names > params.classes:
        notes.append(f"by class: {params.classes} of {names} classes, a seeded sample")
    if laid and len(contents) > POINTS:
        notes.append(f"{POINTS} of {len(contents)} contents are drawn, a seeded sample")
    return notes
