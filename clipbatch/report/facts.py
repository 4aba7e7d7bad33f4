"""The facts of a run in words: what changed, what was done, how to open the tables."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from clipbatch.progress import duration
from clipbatch.report.model import RunRecord
from clipbatch.report.text import number, signed
from clipbatch.text import visible

HELD: Final = {
    "images": "images",
    "contents": "distinct contents",
    "ok": "usable",
    "bad": "bad",
}
CHANGES: Final = {
    "new": "new",
    "changed": "changed",
    "renamed": "renamed",
    "relabelled": "relabelled",
    "back": "back again",
    "gone": "gone",
}
WORK: Final = {
    "listed": "listed",
    "opened": "opened",
    "retried": "tried again",
    "decoded": "decoded",
    "embedded_rows": "vectors made",
    "vectors_rows": "vectors in the table",
    "units_computed": "units measured",
    "units_reused": "units reused",
    "shown": "opened to be shown",
    "pending": "pictures left to do",
}
_COMPARED: Final = ("baseline_run", "reference_run")  # the checks name them
_ONLY_IF_ANY: Final = ("back", "retried", "pending")
REASONS: Final = {
    "empty": "zero bytes",
    "not_an_image": "no decoder knows the bytes",
    "truncated": "the bytes end before the picture does",
    "corrupt": "the decoder refused the bytes",
    "too_many_pixels": "larger than collect.max_pixels",
    "too_many_bytes": "larger than collect.max_bytes",
    "too_much_memory": "its pixels are few, but decoding them takes too much",
    "unsupported": "a known format that this installation cannot decode",
    "vanished": "listed, but gone when it was opened",
    "changed": "other bytes when opened than when listed",
    "unreadable": "permission denied, or an I/O error",
    "timed_out": "the store did not answer in time",
    "damaged_container": "the tar, parquet file or folder around it cannot be read",
    "crashed_worker": "alone, it killed the process that decoded or embedded it",
}


def tiles(run: RunRecord, names: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return (words, number) of the counts that the run has, in the order of ``names``."""
    counts = {name: run.counts[name] for name in names if name in run.counts}
    return [
        (names[name], number(count))
        for name, count in counts.items()
        if count or name not in _ONLY_IF_ANY
    ]


def quiet(run: RunRecord) -> bool:
    """Whether nothing changed and nothing had to be done."""
    names = (*CHANGES, "opened", "decoded", "embedded_rows")
    return not any(run.counts.get(name) for name in names)


def rejects(run: RunRecord) -> list[tuple[str, int, str]]:
    """Return (reason code, images, what it means), most images first."""
    found: Mapping[str, int] = run.counts.get("rejects") or {}
    rows = [(code, count, REASONS.get(code, "")) for code, count in found.items() if count]
    return sorted(rows, key=lambda row: (-row[1], row[0]))


def times(run: RunRecord) -> list[tuple[str, str]]:
    """Return (what, how long or how fast)."""
    seconds = run.counts.get("seconds") or {}
    rates = run.counts.get("rates") or {}
    return [
        *((name, duration(value)) for name, value in seconds.items()),
        *((name.replace("_", " "), f"{number(value)}/s") for name, value in rates.items()),
    ]


def forecast(run: RunRecord) -> list[tuple[str, str]]:
    """Return (what, actual and how far off the plan was) where a plan was made for this run."""
    told = run.counts.get("forecast") or {}
    return [
        (name.replace("_", " "), f"{number(value)} ({_off(told['error'].get(name))})")
        for name, value in (told.get("actual") or {}).items()
    ]


def _off(error: float | None) -> str:
    return "not planned" if error is None else f"planned {signed(round(100 * error, 1))} %"


def others(run: RunRecord) -> list[tuple[str, Any]]:
    """Return the counts that have no place of their own."""
    placed = {*HELD, *CHANGES, *WORK, "rejects", "seconds", "rates", "forecast", *_COMPARED}
    return [
        (name, json.dumps(value, default=str) if isinstance(value, Mapping | list) else value)
        for name, value in run.counts.items()
        if name not in placed
    ]


def opening(run: RunRecord) -> str:
    """Return the lines of Python that open the run's vectors and search them."""
    name = next((n for n in sorted(run.tables) if n.startswith("vectors__")), "catalog")
    lines = [
        "import lancedb",
        f"table = {connecting(run)}.open_table({name!r})",
    ]
    if name in run.tables:
        lines.append(f"table.checkout({run.tables[name]})  # as this run left it")
    if name != "catalog":
        query = 'table.search(table.head(1)["vector"][0].as_py()).distance_type("cosine")'
        lines.append(f'{query}.where("variant = 0").limit(5).to_list()')
    return "\n".join(lines)


def connecting(run: RunRecord) -> str:
    """Return the Python that opens the run's database."""
    return f"lancedb.connect({run.database!r})"


def span(run: RunRecord) -> str:
    """Return when the run finished and how long it took."""
    told = []
    if run.finished is not None:
        told.append(run.finished.strftime("%d %B %Y, %H:%M %Z").strip().lstrip("0"))
    if run.seconds is not None:
        told.append(f"took {duration(run.seconds)}")
    return " · ".join(told)


def pretty(value: Any) -> str:
    """Return JSON values as a person reads them."""
    text = json.dumps(value, indent=2, default=str, ensure_ascii=False)
    return "\n".join(visible(line) for line in text.splitlines())


def anchor(name: str) -> str:
    """Return a name for links within the page, of letters and digits only."""
    plain = "".join(c for c in name if c.isascii() and (c.isalnum() or c in "_-"))
    if plain and plain == name:
        return plain
    return f"{plain}-{hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()[:6]}"
