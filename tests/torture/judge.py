"""What was lost, repeated or changed? Asked of the tables alone, with plain pylance and pyarrow.

Nothing of clipbatch is imported here: its own checks are among what is judged.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import unquote

import lance
import pyarrow as pa

from tests.torture.collection import Phase
from tests.torture.collection import uri as uri_of

KEYS = {
    "catalog": ("uri",),
    "contents": ("content_id",),
    "vectors": ("content_id", "variant"),
    "findings": ("fingerprint", "analysis", "unit"),
    "runs": ("run_id",),
    "pairs": ("content_a", "content_b"),
    "neighbours": ("content_id",),
    "thumbnails": ("content_id",),
}
COSINE = 1e-6  # of a pair that two nights computed


@dataclass
class Judgement:
    """Counts of what is wrong, each with a few examples; and of what was looked at.

    Attributes:
        rows: keys that had to be there.
        vectors: distinct keys of vectors that are there, wanted or not.
        lost: keys that had to be there and are not, or whose table cannot be read.
        repeated: rows beyond the first of a key.
        disagreements: catalog rows that differ from the source; contents that differ from them.
        bits: vectors whose bits differ from the undisturbed run's.
        compared: vectors whose bits were compared.
        tags: run rows whose versions are not tagged, or do not open whole.
        findings: results that differ from the undisturbed run's.
        evidence: pairs, neighbours and thumbnails that differ from the undisturbed run's.
        examples: what, for a person.
    """

    rows: int = 0
    vectors: int = 0
    lost: int = 0
    repeated: int = 0
    disagreements: int = 0
    bits: int = 0
    compared: int = 0
    tags: int = 0
    findings: int = 0
    evidence: int = 0
    examples: list[str] = field(default_factory=list)

    def wrong(self, what: str, found: Iterable[Any]) -> None:
        """Count some failures of one sort."""
        cases = list(found)
        setattr(self, what, getattr(self, what) + len(cases))
        self.examples += [f"{what}: {case}" for case in cases[:3]]

    @property
    def sound(self) -> bool:
        """Tell whether nothing is wrong."""
        return not (
            self.lost
            or self.repeated
            or self.disagreements
            or self.bits
            or self.tags
            or self.findings
            or self.evidence
        )

    def counts(self) -> dict[str, int]:
        """Return every count, without the examples."""
        return {k: v for k, v in asdict(self).items() if k != "examples"}


def open_table(database: str, name: str, version: int | str | None = None) -> Any:
    """Open a table, or say that it is not there."""
    try:
        return lance.dataset(f"{database}/{name}.lance", version=version)
    except (ValueError, OSError, FileNotFoundError):
        return None


def rows(database: str, name: str) -> pa.Table:
    """Read a whole table; an absent one is empty."""
    dataset = open_table(database, name)
    return pa.table({}) if dataset is None else dataset.to_table()


def runs(database: str) -> list[dict[str, Any]]:
    """Return the run rows, oldest first."""
    found = rows(database, "runs").to_pylist()
    for row in found:
        row |= {name: json.loads(row[name]) for name in ("tables", "counts", "fingerprints")}
    return sorted(found, key=lambda row: row["run_id"])


def vectors(database: str) -> list[tuple[tuple[str, int], bytes]]:
    """Return (key, bits) of every row of every vectors table that a run names."""
    names = {name for run in runs(database) for name in run["tables"] if name.startswith("vectors")}
    found = []
    for name in sorted(names):
        table = rows(database, name).combine_chunks()
        if not table.num_rows:
            continue
        column = table.column("vector").combine_chunks()
        flat = column.flatten().to_numpy(zero_copy_only=False)
        bits = flat.reshape(len(table), column.type.list_size)
        ids, variants = table.column("content_id").to_pylist(), table.column("variant").to_pylist()
        found += [((ids[i], variants[i]), bits[i].tobytes()) for i in range(len(table))]
    return found


def judge(
    database: str,
    phase: Phase,
    variants: Iterable[int],
    kept: dict[str, list[list[str]]],
    calm: str = "",
) -> Judgement:
    """Judge a database after a run over a phase has ended with 0 or 1.

    Args:
        database: what was tortured.
        phase: what the source holds.
        variants: that every good content shall have.
        kept: table -> keys of runs and findings whose merge was once answered.
        calm: database of an undisturbed run over the same phase, or "".
    """
    found = Judgement()
    good = phase.good()
    wanted = {(content, variant) for content in good for variant in variants}
    have = vectors(database)
    _repeated(found, database, have)
    keys = {key for key, _ in have}
    found.vectors = len(keys)
    found.rows += len(wanted)
    found.wrong("lost", (f"vector {key}" for key in sorted(wanted - keys)))
    _catalog(found, database, phase)
    _contents(found, database, phase)
    for name, expected in kept.items():
        there = {tuple(row[k] for k in KEYS[name]) for row in rows(database, name).to_pylist()}
        missing = {tuple(key) for key in expected} - there
        found.rows += len({tuple(key) for key in expected})
        found.wrong("lost", (f"{name} {key}" for key in sorted(missing)))
    _tags(found, database, wanted)
    if calm:
        _bits(found, dict(have), dict(vectors(calm)), wanted)
        _findings(found, database, calm)
        _evidence(found, database, calm, good)
    return found


def _repeated(found: Judgement, database: str, have: list[tuple[tuple[str, int], bytes]]) -> None:
    names = {name for run in runs(database) for name in run["tables"]}
    names |= {"runs", "findings", "thumbnails"}
    names |= {name for run in runs(database) for name in evidence(run)}
    for name in sorted(names):
        kind = name.partition("__")[0]
        table = rows(database, name)
        columns = [c for c in KEYS[kind] if c in table.column_names]
        if kind == "vectors" or not columns:
            continue
        counts = Counter(zip(*(table.column(c).to_pylist() for c in columns), strict=True))
        found.wrong("repeated", (f"{name} {k}" for k, n in counts.items() for _ in range(n - 1)))
    counted = Counter(key for key, _ in have)
    found.wrong("repeated", (f"vector {k}" for k, n in counted.items() for _ in range(n - 1)))


def _catalog(found: Judgement, database: str, phase: Phase) -> None:
    """The listing and the catalog are the same set, and the catalog knows what each holds."""
    expected = phase.contents()
    bad = {uri for uri in expected if uri in {uri_of(path) for path in phase.bad}}
    catalog = {row["uri"]: row for row in rows(database, "catalog").to_pylist()}
    found.rows += len(expected) + len(phase.gone)
    found.wrong(
        "lost", (f"catalog {u}" for u in sorted((set(expected) | phase.gone) - set(catalog)))
    )
    for uri, row in sorted(catalog.items()):
        status = "bad" if uri in bad else "ok" if uri in expected else "gone"
        content = expected.get(uri, row["content_id"])
        label = unquote(uri.split("/")[-2]) if uri in expected else row["label"]
        if (row["status"], row["content_id"], row["label"]) != (status, content, label):
            found.wrong("disagreements", [f"catalog {uri}: {row['status']}, expected {status}"])
    strangers = set(catalog) - set(expected) - phase.gone
    found.wrong("disagreements", (f"catalog {uri}: never listed" for uri in sorted(strangers)))


def _contents(found: Judgement, database: str, phase: Phase) -> None:
    status = {
        row["content_id"]: row["status"]
        for row in rows(database, "contents").select(["content_id", "status"]).to_pylist()
    }
    good = phase.good()
    refused = set(phase.contents().values()) - good
    found.rows += len(good)
    found.wrong("lost", (f"contents {c}" for c in sorted(good - set(status))))
    wrong = [c for c in sorted(good) if status.get(c, "ok") != "ok"]
    wrong += [c for c in sorted(refused) if status.get(c) != "bad"]
    found.wrong("disagreements", (f"contents {c}: {status.get(c)}" for c in wrong))


def _tags(found: Judgement, database: str, wanted: set[tuple[str, int]]) -> None:
    """Every version that a run row names is tagged with the run and opens, to the last row."""
    every = runs(database)
    for run in every:
        for name, version in run["tables"].items():
            dataset = open_table(database, name, version)
            if dataset is None:
                found.wrong("tags", [f"{run['run_id']}: {name} version {version} is not there"])
                continue
            tagged = dataset.tags.list().get(f"run-{run['run_id']}", {}).get("version")
            if tagged != version:
                found.wrong("tags", [f"{run['run_id']}: {name} is tagged {tagged}, not {version}"])
            try:
                table = dataset.to_table(columns=list(KEYS[name.partition("__")[0]]))
                dataset.to_table()
            except (OSError, ValueError) as error:
                found.wrong("tags", [f"{run['run_id']}: {name}: {str(error)[:100]}"])
                continue
            distinct = table.group_by(table.column_names).aggregate([]).num_rows
            found.wrong("repeated", (f"{name} at {version}" for _ in range(len(table) - distinct)))
    if not every:
        found.wrong("lost", ["no run row"])
        return
    # The last run's readers see every wanted vector.
    seen: set[tuple[str, int]] = set()
    for name, version in every[-1]["tables"].items():
        dataset = open_table(database, name, version)
        if name.startswith("vectors") and dataset is not None:
            table = dataset.to_table(columns=["content_id", "variant"]).to_pydict()
            seen |= set(zip(table["content_id"], table["variant"], strict=True))
    found.wrong("lost", (f"{key} in the last run's version" for key in sorted(wanted - seen)))


def _bits(
    found: Judgement,
    have: dict[tuple[str, int], bytes],
    calm: dict[tuple[str, int], bytes],
    wanted: set[tuple[str, int]],
) -> None:
    if missing := wanted - set(calm):
        raise AssertionError(f"the undisturbed run lacks {len(missing)} vectors")
    both = sorted(wanted & set(have))
    found.compared += len(both)
    found.wrong("bits", (f"vector {key}" for key in both if have[key] != calm[key]))


def _findings(found: Judgement, database: str, calm: str) -> None:
    """The last run's findings have the names and the bytes of the undisturbed run's."""
    tortured, quiet = _answers(database), _answers(calm)
    names = {key for key in quiet if tortured.get(key) != quiet[key]}
    found.wrong("findings", (f"finding {key}" for key in sorted(names)))


def evidence(run: dict[str, Any]) -> tuple[str, str]:
    """Return the names of a run's tables of bulk evidence."""
    return f"pairs__{run['encoder']}", f"neighbours__{run['encoder']}"


def _evidence(found: Judgement, database: str, calm: str, good: set[str]) -> None:
    """Evidence about pictures that are there is the undisturbed run's; of gone ones it may stay.

    A pair keeps the cosine of the night that found it, computed in a block of another shape; so
    its last bits may differ.
    """
    ours, theirs = evidence(runs(database)[-1]), evidence(runs(calm)[-1])
    pairs, quiet = _pairs(database, ours[0], good), _pairs(calm, theirs[0], good)
    differ = {key for key in pairs.keys() | quiet.keys() if key not in pairs or key not in quiet}
    differ |= {k for k in pairs.keys() & quiet.keys() if abs(pairs[k] - quiet[k]) > COSINE}
    found.wrong("evidence", (f"pair {key}" for key in sorted(differ)))
    for names, columns, all_of_ours in (
        ((ours[1], theirs[1]), ("neighbours", "cosines"), True),
        (("thumbnails", "thumbnails"), ("jpeg",), False),
    ):
        mine, other = (
            {r["content_id"]: [r[c] for c in columns] for r in rows(at, name).to_pylist()}
            for at, name in zip((database, calm), names, strict=True)
        )
        asked = (set(mine) & good) | set(other) if all_of_ours else set(other)
        wrong = sorted(key for key in asked if mine.get(key) != other.get(key))
        found.wrong("evidence", (f"{names[0]} {key}" for key in wrong))


def _pairs(database: str, name: str, good: set[str]) -> dict[tuple[str, str], float]:
    return {
        (row["content_a"], row["content_b"]): row["cosine"]
        for row in rows(database, name).to_pylist()
        if {row["content_a"], row["content_b"]} <= good
    }


def _answers(database: str) -> dict[tuple[str, str], str]:
    last = runs(database)[-1]
    table = rows(database, "findings").to_pylist()
    stored = {row["fingerprint"]: row["result"] for row in table if row["unit"] == ""}
    return {
        (name, key): hashlib.sha256(stored.get(key, b"")).hexdigest()
        for name, key in last["fingerprints"].items()
    }
