"""Named points of a driver at which it kills itself, put round Lance from outside.

A point is ``<stage>.<operation>.<table>.<when>``, e.g. ``embed.merge.contents.before``: the stage
is the module of ours that asked, the operation is Lance's own, so the points follow the product
wherever it moves its writes. ``during`` is a number of milliseconds after the operation began;
where such a kill really fell is read from the log afterwards (``fell``), never taken from the plan.
"""

import functools
import json
import os
import re
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STAGES = {
    "clipbatch.runtime.isolate": "isolate",
    "clipbatch.runtime.collect": "collect",
    "clipbatch.runtime.embed": "embed",
    "clipbatch.runtime.attempt": "embed",
    "clipbatch.runtime.measure": "measure",
    "clipbatch.runtime.units": "measure",
    "clipbatch.index.maintain": "tidy",
    "clipbatch.index.commit": "index",
    "clipbatch.report.build": "report",
    "clipbatch.runtime.verbs": "verbs",
}


@dataclass(frozen=True)
class Kill:
    """Where a driver dies.

    Attributes:
        point: its name; "" for nowhere.
        nth: at which arrival.
        after_ms: so long after it, from a thread of its own; 0 dies at once.
    """

    point: str = ""
    nth: int = 1
    after_ms: float = 0.0


class Log:
    """One JSON line an event, whole even when the writer is killed: one write call each."""

    def __init__(self, path: str) -> None:
        self.path = path

    def write(self, **event: Any) -> None:
        line = json.dumps(event | {"time": round(time.time(), 3)}) + "\n"
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, line.encode())
        finally:
            os.close(handle)


def read(path: Path) -> list[dict[str, Any]]:
    """Return the events of a log."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def fell(events: Sequence[Mapping[str, Any]]) -> str:
    """Say where a process was when its log ended: at a point, or inside an operation.

    An operation is logged before it is called and once it has returned, so one that was begun last
    and never ended is what the process died in: "embed.merge.vectors.inside".
    """
    points = [event["at"] for event in events if "at" in event and not event.get("beside")]
    last = points[-1] if points else "start"
    # Blocks are encoded before the first of them is merged: collect has ended by then.
    if last.startswith("collect.") and any("embedded" in event for event in events):
        return "embed.block.after"
    return f"{last.removesuffix('during')}inside" if last.endswith(".during") else last


class Points:
    """Counts arrivals at points, and dies at one of them."""

    def __init__(self, kill: Kill, log: Log) -> None:
        self.kill, self.log = kill, log
        self.seen: Counter[str] = Counter()

    def reach(self, name: str, when: str) -> None:
        """Arrive at a point; it may be the last thing this process does."""
        point = f"{stage()}.{name}.{when}"
        self.seen[point] += 1
        main = threading.current_thread() is threading.main_thread()
        self.log.write(at=point, **({} if main else {"beside": True}))
        if point != self.kill.point or self.seen[point] != self.kill.nth:
            return
        if self.kill.after_ms:
            threading.Timer(self.kill.after_ms / 1000, self._die, (point,)).start()
        else:
            self._die(point)

    def _die(self, point: str) -> None:
        self.log.write(died=point)
        os.kill(os.getpid(), signal.SIGKILL)

    @contextmanager
    def around(self, name: str) -> Iterator[None]:
        """Arrive before, during (the same moment, for delayed kills) and after an operation."""
        self.reach(name, "before")
        self.reach(name, "during")
        began = time.perf_counter()
        yield
        self.log.write(took=f"{stage()}.{name}", ms=round((time.perf_counter() - began) * 1e3, 3))
        self.reach(name, "after")


def stage() -> str:
    """Return which part of the product is asking: the innermost that has a name."""
    frame = sys._getframe(1)
    while frame is not None:
        if name := STAGES.get(frame.f_globals.get("__name__", "")):
            return name
        frame = frame.f_back  # type: ignore[assignment]
    return "other"


def kind(uri: str) -> str:
    """Return what a table is: its name without its encoder."""
    name = Path(uri.rstrip("/")).name.removesuffix(".lance")
    return re.sub(r"__.*", "", name)


def install(points: Points) -> None:
    """Put the points round Lance's writes in this process."""
    import lance

    module = sys.modules["lance.dataset"]
    _merges(points, module)
    _named(points, module.LanceDataset, "cleanup_old_versions", "cleanup", lambda self: self.uri)
    _named(points, module.LanceDataset, "delete", "delete", lambda self: self.uri)
    _named(points, module.LanceDataset, "update_config", "config", lambda self: self.uri)
    _named(points, module.Tags, "create", "tag", lambda self: self._ds.uri)
    _compaction(points, module.DatasetOptimizer)
    create = lance.write_dataset

    def write_dataset(data: Any, uri: Any, *args: Any, **options: Any) -> Any:
        if Path(str(uri)).parent.name.startswith("clipbatch-"):  # a scratch folder: no commit
            return create(data, uri, *args, **options)
        with points.around(f"create.{kind(str(uri))}"):
            return create(data, uri, *args, **options)

    lance.write_dataset = write_dataset
    _files(points)


def _named(
    points: Points, cls: type, method: str, operation: str, uri: Callable[[Any], str]
) -> None:
    real = getattr(cls, method)

    @functools.wraps(real)
    def wrapped(self: Any, *args: Any, **options: Any) -> Any:
        with points.around(f"{operation}.{kind(uri(self))}"):
            return real(self, *args, **options)

    setattr(cls, method, wrapped)


def _merges(points: Points, module: Any) -> None:
    """Wrap merges; those that were answered are logged with their keys, where these are few."""
    begin, execute = module.LanceDataset.merge_insert, module.MergeInsertBuilder.execute

    def merge_insert(self: Any, *args: Any, **options: Any) -> Any:
        builder = begin(self, *args, **options)
        builder.torture = kind(self.uri)
        return builder

    def wrapped(self: Any, data: Any, **options: Any) -> Any:
        with points.around(f"merge.{self.torture}"):
            answer = execute(self, data, **options)
            if self.torture in ("runs", "findings"):
                names = {"runs": ["run_id"], "findings": ["fingerprint", "analysis", "unit"]}
                keys = names[self.torture]
                rows = data.select(keys).to_pylist()
                points.log.write(kept=self.torture, keys=[[r[k] for k in keys] for r in rows])
        return answer

    module.LanceDataset.merge_insert = merge_insert
    module.MergeInsertBuilder.execute = wrapped


def _compaction(points: Points, cls: Any) -> None:
    """Wrap compaction, and take it apart where the kill lies between its three steps."""
    from lance.optimize import Compaction

    whole = cls.compact_files

    def compact_files(self: Any, **options: Any) -> Any:
        dataset = self._dataset
        name = f"compact.{kind(dataset.uri)}"
        with points.around(name):
            if points.kill.point.rpartition(".")[2] not in ("planned", "executed"):
                for when in ("planned", "executed"):  # could be reached, but are not
                    points.log.write(knows=f"{stage()}.{name}.{when}")
                return whole(self, **options)
            plan = Compaction.plan(dataset, options)
            points.reach(name, "planned")
            results = [task.execute(dataset) for task in plan.tasks]
            points.reach(name, "executed")
            return Compaction.commit(dataset, results)

    cls.compact_files = compact_files


def _files(points: Points) -> None:
    """Wrap whole files: of the report, and the manifest with which a table is founded."""
    from clipbatch import storage

    for method in ("write_atomic", "create"):
        real = getattr(storage, method, None)
        if real is None:  # `create` came later
            continue

        @functools.wraps(real)
        def wrapped(address: str, *args: Any, _real: Any = real, **options: Any) -> Any:
            with points.around(f"write.{_file(address)}"):
                return _real(address, *args, **options)

        setattr(storage, method, wrapped)


def _file(address: str) -> str:
    """Return a file's name, or what part of which table it is; random names are left out."""
    before, inside, after = address.partition(".lance/")
    if inside:
        return f"{after.partition('/')[0].strip('_')} of {kind(before)}"
    return re.sub(r"[0-9a-f-]{8,}", "", Path(address).name).strip(".-")
