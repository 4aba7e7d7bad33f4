"""Ray's own memory monitor, provoked: does a picture that fills the memory end as a bad row?

python -m tests.memory     # about a minute; says what became of each picture, exits with 1 if wrong
"""

import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil

from tests import groceries
from tests.ray import world

MATES = 6
ROOM = 2 * 2**30  # bytes beyond what the machine holds now, from which the monitor kills
STEP = 64 * 2**20
HUNGRY = b"hungry!!"


def hungry_block(block, source, preprocess, max_pixels):
    """Decode as ever, but take ever more memory for a picture that ends in HUNGRY."""
    from clipbatch.collect.base import Place
    from clipbatch.runtime.decode import decode_block

    places = [Place(r["uri"], r["size"], r["offset"]) for r in block.to_pylist()]
    taken = []
    for data in source.read(places):
        while isinstance(data, bytes) and data.endswith(HUNGRY) and len(taken) < 160:
            taken.append(os.urandom(STEP))  # pages of its own, until the monitor ends it
            time.sleep(0.02)
    return decode_block(block, source, preprocess, max_pixels)


def main() -> int:
    memory = psutil.virtual_memory()
    threshold = (memory.total - memory.available + ROOM) / memory.total
    os.environ["RAY_memory_usage_threshold"] = f"{threshold:.3f}"  # noqa: SIM112 - Ray's name
    os.environ["RAY_memory_monitor_refresh_ms"] = "100"  # noqa: SIM112
    from clipbatch.runtime import embed

    embed.decode_block = hungry_block
    with tempfile.TemporaryDirectory(prefix="cm-") as folder:
        root = Path(folder)
        groceries.folder(root / "pictures", MATES)
        whole = next((root / "pictures").rglob("*.jpg")).read_bytes()
        (root / "pictures" / "hungry.jpg").write_bytes(whole + HUNGRY)
        started = time.monotonic()
        from clipbatch import cli

        settings = ("embed.encoder=pixels", "embed.batch_size=8", "measure.analyses=['duplicates']")
        options = [part for text in settings for part in ("--set", text)]
        where = ("--db", str(root / "db"), "--out", str(root / "report"))
        code = cli.main(["audit", str(root / "pictures"), *where, *options])
        rows = world.catalog(world.load(root))
    told = Counter(f"{row['status']} {row['reason'] or ''}".strip() for row in rows.values())
    hungry = rows["hungry.jpg"]
    print(f"threshold {threshold:.3f}, exit code {code}, {time.monotonic() - started:.0f} s")
    print(f"pictures: {dict(told)}")
    print(f"hungry.jpg: {hungry['status']} {hungry['reason']}: {hungry['message']}")
    # Never a silence: either it is refused and its mates are not, or the run says it is incomplete.
    refused = told == {"ok": MATES, "bad crashed_worker": 1}
    return int(not (refused or code == 3))


if __name__ == "__main__":
    sys.exit(main())
