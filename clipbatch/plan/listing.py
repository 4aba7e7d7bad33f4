"""What is in the source, and what of it do the tables lack? Nothing is opened or written."""

import random
import time
from collections import Counter
from collections.abc import Iterator
from typing import Final

from clipbatch import schema
from clipbatch.collect.base import Entry, Place, Source
from clipbatch.collect.listing import Listing, first_entries
from clipbatch.config import Config
from clipbatch.embed.encoder import EncoderSpec
from clipbatch.index import ledger, stores, table
from clipbatch.index.changes import changes
from clipbatch.plan.forecast import ToDo
from clipbatch.progress import Progress

LARGE_CLASS: Final = 20  # pictures from which an analysis compares a class, by default
_OPENED: Final = ("new", "changed", "retried")


class Tally:
    """Counts entries as they pass, and keeps a random sample of them."""

    def __init__(self, sample: int, seed: int) -> None:
        self.size, self.pictures, self.bytes = sample, 0, 0
        self.unknown = False
        self.labels: Counter[str | None] = Counter()
        self.sample: list[Place] = []
        self._draw = random.Random(seed)  # noqa: S311 - a sample, no secret

    def watch(self, entries: Iterator[Entry]) -> Iterator[Entry]:
        """Pass entries on."""
        for entry in entries:
            self._take(entry)
            yield entry

    def _take(self, entry: Entry) -> None:
        self.unknown |= entry.size < 0
        self.bytes += max(0, entry.size)
        self.labels[entry.label] += 1
        place = Place(entry.uri, entry.size, entry.offset)
        if self.pictures < self.size:
            self.sample.append(place)
        elif (at := self._draw.randrange(self.pictures + 1)) < self.size:
            self.sample[at] = place  # every entry is as likely to stay (Vitter's algorithm R)
        self.pictures += 1

    def classes(self) -> int:
        """Count the labels of enough pictures to be compared."""
        return sum(n >= LARGE_CLASS for label, n in self.labels.items() if label is not None)


def look(
    config: Config, spec: EncoderSpec, source: Source, sample: int
) -> tuple[ToDo, list[Place]]:
    """List the source, compare it with the catalog where there is one, and draw a sample.

    Returns:
        What is to do, and ``sample`` random places of the source in the order of their names.
    """
    began = time.monotonic()
    tally = Tally(sample, config.collect.seed)
    entries = tally.watch(first_entries(source, config))
    database = config.index.database
    if not table.exists(database, schema.CATALOG):
        for _ in entries:
            pass
        to_open, known, have = tally.pictures, 0, 0
        listed_bytes = None if tally.unknown else tally.bytes
    else:
        to_open, listed_bytes = _compare(config, entries)
        known, have = _known(config, spec)
    todo = ToDo(
        pictures=tally.pictures,
        to_open=to_open,
        known=known,
        have=have,
        classes=tally.classes(),
        labels=max(1, len(tally.labels)),
        bytes=listed_bytes,
        seconds=time.monotonic() - began,
    )
    return todo, sorted(tally.sample, key=lambda place: place.uri)


def _compare(config: Config, entries: Iterator[Entry]) -> tuple[int, int | None]:
    """Count the pictures that would be opened, and their bytes."""
    listing = Listing(entries, Progress("plan", "listed"))
    to_open, size, unknown = 0, 0, False
    for rows in changes(
        config.index.database, listing.reader, "", retry_bad=config.collect.retry_bad
    ):
        for change, each in zip(
            rows.column("change").to_pylist(), rows.column("size").to_pylist(), strict=True
        ):
            if change in _OPENED:
                to_open += 1
                size += max(0, each)
                unknown |= each < 0
    return to_open, None if unknown else size


def _known(config: Config, spec: EncoderSpec) -> tuple[int, int]:
    """Count the contents that the catalog knows and the wanted vectors that exist."""
    found = stores.find(config, spec)
    if found is not None:
        counts = found.wanted(config).counts()
        return counts["contents"], counts["wanted"] - counts["missing"]
    rows = table.batches(
        config.index.database,
        schema.CATALOG,
        ["content_id"],
        where="content_id is not null and status in ('pending', 'ok')",
    )
    with ledger.connection() as db:
        db.register("rows", rows)
        one = db.execute("select count(distinct content_id) from rows").fetchone()
    return (int(one[0]) if one else 0), 0
