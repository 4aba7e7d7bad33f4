"""The control: the same pictures and kills through Ray Data's checkpointing into lance-ray.

A harness that cannot catch a loss proves nothing; this one shows that it does.
"""

import time
from collections import Counter
from pathlib import Path
from typing import Any

import lance
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.torture import judge
from tests.torture.collection import Phase, phases, uri
from tests.torture.points import Kill
from tests.torture.series import Failed, Series
from tests.torture.session import SETTINGS, VARIANTS, Driver

ROWS_A_FILE = 8  # each file is a read task
# Logical ones of each node: Ray Data reads, filters what is checkpointed, and writes with a CPU
# each, beside the actors; it waits for ever where one of these has no place.
CPUS = 4
POINTS = ("other.commit.vectors.before", "other.commit.vectors.after")


class Control(Series):
    """One series of the control, over the last phase's pictures; its drivers end with 0."""

    def run(self) -> dict[str, Any]:
        started = time.monotonic()
        phase = phases(self.drawn.seed, self.drawn.phases)[-1]
        self.table = f"{self.place.database}/control.lance"
        found = judge.Judgement()
        try:
            self._calm(phase)
            self._todo(phase)
            self._phase(0)
            found = self._judge(phase)
        except (Failed, TimeoutError, OSError, ValueError) as error:
            self.tally.failures.append(f"{type(error).__name__}: {error}")
        line = self._line(found, time.monotonic() - started)
        return line | {"control": True, "embedded_again": 0}

    def _driver(self, kill: Kill | None = None, pause_s: float = 0.0) -> Driver:
        settings = (
            *SETTINGS,
            f"embed.encoder={self.drawn.encoder}",
            f"collect.source={self.place.pictures}",
        )
        return Driver(
            self.session,
            "tests.torture.control_driver",
            *(f"--die={kill.point if kill else ''}", f"--pause-s={pause_s}"),
            *(f"--todo={self.folder / 'todo'}", f"--table={self.table}"),
            *(f"--checkpoint={self.folder / 'checkpoint'}", "--", *settings),
        )

    def _points(self, phase: int) -> None:
        """The control has two points only: round its one commit."""
        rng = self.drawn.rng("control")
        for _ in range(self.kills_a_phase):
            if not self._over() and self._once(Kill(rng.choice(POINTS))) >= 0:
                self.tally.unreached += 1

    def _shots(self, phase: int) -> None:
        """Kill drivers once more ids are checkpointed; fragments are written, none is committed."""
        rng = self.drawn.rng("control")
        for _ in range(self.kills_a_phase):
            if self._over():
                break
            wanted = len(self._checkpointed()) + rng.randint(1, 3)
            driver = self._driver(None, self.drawn.pause_s)
            while driver.process.poll() is None and len(self._checkpointed()) < wanted:
                if driver.stuck(self.stuck_s):
                    break
                time.sleep(0.01)
            shot = driver.shot()
            self.tally.unreached += not shot
            code = driver.end()
            self.tally.take(driver, code, shot=shot)
            if code == 0:
                break

    def _finish(self) -> None:
        # One that is done forgets its checkpoint, and another one would write all again.
        if not any(code.startswith("0") for code in self.tally.codes):
            super()._finish()

    def _checkpointed(self) -> list[Path]:
        """Return Ray Data's files of the ids that it takes to be written."""
        return list((self.folder / "checkpoint").rglob("*.parquet"))

    def _todo(self, phase: Phase) -> None:
        """Write what is to do as parquet files, and the empty table that is appended to."""
        places: dict[str, dict[str, Any]] = {}
        contents = phase.contents()
        for path, data in sorted(phase.files.items()):
            if path not in phase.bad:
                place = {"uri": uri(path), "size": len(data), "offset": None}
                row = {"content_id": contents[uri(path)], "variants": list(VARIANTS)}
                places.setdefault(row["content_id"], row | place)
        columns = pa.schema(
            [
                ("content_id", pa.string()),
                ("variants", pa.list_(pa.int32())),
                ("uri", pa.string()),
                ("size", pa.int64()),
                ("offset", pa.int64()),
            ]
        )
        rows = pa.Table.from_pylist(list(places.values()), schema=columns)
        (self.folder / "todo").mkdir()
        for start in range(0, rows.num_rows, ROWS_A_FILE):
            pq.write_table(
                rows.slice(start, ROWS_A_FILE), self.folder / "todo" / f"{start:04}.parquet"
            )
        width = len(next(iter(dict(judge.vectors(self.calm.database)).values()))) // 4
        wide = pa.list_(pa.float32(), width * len(VARIANTS))
        empty = pa.schema([("content_id", pa.string()), ("vectors", wide)])
        lance.write_dataset(empty.empty_table(), self.table, data_storage_version="2.2")

    def _judge(self, phase: Phase) -> judge.Judgement:
        """Ask of the control's table what is asked of the product's vectors."""
        found = judge.Judgement()
        calm = dict(judge.vectors(self.calm.database))
        table = judge.rows(self.place.database, "control").combine_chunks()
        ids = table.column("content_id").to_pylist()
        counts = Counter((content, variant) for content in ids for variant in VARIANTS)
        wanted = {(content, variant) for content in phase.good() for variant in VARIANTS}
        found.rows, found.vectors = len(wanted), len(counts)
        found.wrong("lost", (f"vector {key}" for key in sorted(wanted - set(counts))))
        found.wrong("repeated", (f"vector {k}" for k, n in counts.items() for _ in range(n - 1)))
        flat = table.column("vectors").combine_chunks().flatten().to_numpy(zero_copy_only=False)
        wides = flat.reshape(len(ids), len(VARIANTS), -1) if ids else []  # it may have lost all
        for content, wide in zip(ids, wides, strict=True):
            for variant, vector in zip(VARIANTS, wide, strict=True):
                found.compared += 1
                if np.asarray(vector, np.float32).tobytes() != calm[content, variant]:
                    found.wrong("bits", [f"vector {content} {variant}"])
        return found
