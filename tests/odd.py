"""Odd pictures: Pillow's own corpus of them, bombs that unpack to gigabytes, and what each costs.

python -m tests.odd     # the tables of docs/bad-pictures.md; two minutes
"""

import contextlib
import hashlib
import io
import json
import os
import re
import struct
import subprocess
import sys
import tarfile
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pyarrow as pa
from PIL import Image

VERSION = "13.0.0"
SHA256 = "cdcd1ba258178f7356d74170c9a81ba4eab6a5d55748bc402a5a2a6fe6be3510"
FILES = 1060
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "clipbatch-tests"

_OURS = re.compile(r"/proc/self/|\.(py|pyc|so)\b")  # our limits; what Python imports
_TOUCHES = ("subprocess.", "os.system", "os.exec", "os.spawn", "os.posix_spawn", "socket.", "open")


def corpus() -> Path:
    """Return the folder ``Tests/images`` of Pillow's source package, from the index that pip asks.

    Raises:
        ConnectionError: pip could not get it.
    """
    images = CACHE / f"pillow-{VERSION}" / "Tests" / "images"
    if not images.is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
            with tarfile.open(_download(Path(scratch))) as tar:
                wanted = [m for m in tar if f"pillow-{VERSION}/Tests/images/" in m.name]
                tar.extractall(scratch, wanted, filter="data")
            with contextlib.suppress(FileExistsError, OSError):  # another process was quicker
                (Path(scratch) / f"pillow-{VERSION}").rename(images.parents[1])
    return images


def files(folder: Path) -> list[Path]:
    """Return every file below a folder, sorted."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _download(scratch: Path) -> Path:
    wanted = scratch / "requirements.txt"
    wanted.write_text(f"pillow=={VERSION} --hash=sha256:{SHA256}\n")
    options = ["--quiet", "--no-deps", "--no-binary=pillow", "--require-hashes"]
    command = [sys.executable, "-m", "pip", "download", *options, "-d", scratch, "-r", wanted]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    found = list(scratch.glob("pillow-*.tar.gz"))
    if done.returncode or not found:
        raise ConnectionError(f"pip cannot download pillow's source: {done.stderr[-300:]}")
    assert hashlib.sha256(found[0].read_bytes()).hexdigest() == SHA256
    return found[0]


@cache
def bombs() -> dict[str, tuple[bytes, str]]:
    """Return name -> (a small file that unpacks to much, the reason expected or "ok")."""
    much = zlib.compress(bytes(1 << 28), 9)
    large = encoded(Image.new("L", (7_000, 7_000)), "PNG")
    wide = Image.new("1", (10_000, 10_000))
    texts = [(b"zTXt", b"k%d\0\0" % i + zlib.compress(bytes(1 << 20))) for i in range(400)]
    return {
        "pixels.png": (encoded(wide, "PNG"), "too_many_pixels"),
        "pixels.gif": (encoded(Image.new("P", (60_000, 500)), "GIF"), "too_many_pixels"),
        "pixels.tif": (encoded(wide, "TIFF", compression="tiff_deflate"), "too_many_pixels"),
        "pixels.webp": (encoded(Image.new("L", (6_000, 5_000)), "WEBP"), "too_many_pixels"),
        "inside.ico": (icon(large), "too_many_pixels"),
        "inside.icns": (
            b"icns" + struct.pack(">I4sI", 16 + len(large), b"ic07", 8 + len(large)) + large,
            "too_many_pixels",
        ),
        "tile.tif": (tiled_tiff(16_384), "too_much_memory"),
        "text.png": (png([(b"zTXt", b"k\0\0" + much)]), "too_much_memory"),
        "texts.png": (png(texts), "too_much_memory"),
        "profile.png": (png([(b"iCCP", b"k\0\0" + much)]), "too_much_memory"),
        "stream.png": (png([], much), "ok"),  # more rows than the header says are not read
        "tags.tif": (many_tags(400, 4 << 20), "ok"),  # 400 tags that share 4 MB
        "exif.png": (png([(b"eXIf", many_tags(400, 4 << 20))]), "ok"),
        "frames.gif": (frames(2_000), "ok"),
    }


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def icon(inner: bytes) -> bytes:
    """An icon whose directory says 16 x 16, whatever the picture in it is."""
    entry = struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, len(inner), 22)
    return struct.pack("<HHH", 0, 1, 1) + entry + inner


def png(chunks: list[tuple[bytes, bytes]], stream: bytes = b"") -> bytes:
    """A picture of 10 x 10 pixels with more chunks, or another stream of pixels."""
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", 10, 10, 8, 2, 0, 0, 0)),
        *chunks,
        (b"IDAT", stream or zlib.compress(bytes(10 * 31))),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )


def tiled_tiff(side: int) -> bytes:
    """A picture of 10 x 10 pixels in one tile of side x side."""
    data = zlib.compress(bytes(side * side * 3), 1)
    depths = 8 + 2 + 12 * 11 + 4
    tags = {256: 10, 257: 10, 258: depths, 259: 8, 262: 2, 277: 3, 284: 1}
    tags |= {322: side, 323: side, 324: depths + 6, 325: len(data)}
    entries = [(tag, 3 if tag == 258 else 4, 3 if tag == 258 else 1, v) for tag, v in tags.items()]
    return (
        b"II*\0" + struct.pack("<I", 8) + _directory(entries) + struct.pack("<3H", 8, 8, 8) + data
    )


def many_tags(count: int, size: int) -> bytes:
    """A picture of one pixel with many tags that all name the same bytes."""
    usual = {256: 1, 257: 1, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 1, 279: 1}
    entries = [(tag, 4, 1, value) for tag, value in usual.items()]
    entries += [(40_000 + i, 7, size, 8) for i in range(count)]
    return b"II*\0" + struct.pack("<I", 8 + size) + bytes(size) + _directory(entries)


def _directory(entries: list[tuple[int, int, int, int]]) -> bytes:
    packed = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    return struct.pack("<H", len(entries)) + packed + bytes(4)


def frames(count: int) -> bytes:
    """An animation of many frames of 50 x 50 pixels."""
    first, *others = [Image.new("L", (50, 50), i % 255) for i in range(count)]
    return encoded(first, "GIF", save_all=True, append_images=others)


def examine(paths: list[Path], max_pixels: int, *, guarded: bool = True) -> Iterator[dict]:
    """Decode files as the workers do, one by one, in one fresh process; yields what each costs.

    Yields:
        name, reason ("ok" for none), seconds, peak (bytes added to the process so far), bound (the
        most that this file may add), touched (programs, connections and files that decoding
        reached for).
    """
    request = json.dumps([max_pixels, guarded, [str(path) for path in paths]])
    done = subprocess.run(
        [sys.executable, "-c", "from tests import odd; odd._child()"],
        input=request,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # libtiff prints there
        text=True,
        check=True,
        timeout=280,
        cwd=Path(__file__).parents[1],
    )
    yield from map(json.loads, done.stdout.splitlines())


def _child() -> None:
    import time

    from clipbatch.embed.encoder import Preprocess
    from clipbatch.runtime import limits
    from clipbatch.runtime.decode import decode_block

    max_pixels, guarded, paths = json.load(sys.stdin)
    if not guarded:
        limits.within = lambda *_: contextlib.nullcontext()
    touched: list[str] = []
    armed = False

    def hook(event: str, arguments: tuple) -> None:
        if armed and event.startswith(_TOUCHES) and not _OURS.search(str(arguments[:1])):
            touched.append(f"{event} {arguments[:1]}")

    sys.addaudithook(hook)

    def decode(name: str, data: bytes) -> str:
        nonlocal armed
        row = {"uri": name, "content_id": hashlib.sha256(data).hexdigest(), "size": len(data)}
        block = pa.Table.from_pylist([row | {"offset": None, "variants": [0]}])
        armed = True
        found = decode_block(block, _Given(data), Preprocess(224, 224), max_pixels)
        armed = False
        return found.column("reason")[0].as_py() or "ok"

    for kind in ("PNG", "JPEG"):  # what is loaded once
        decode("warm", encoded(Image.new("RGB", (64, 64)), kind))
    before = _peak()
    for path in paths:
        touched.clear()
        data, start = Path(path).read_bytes(), time.monotonic()
        answer = {"name": path, "reason": decode(path, data)}
        answer |= {"seconds": time.monotonic() - start, "peak": _peak() - before}
        answer |= {"bound": limits.memory_bound(max_pixels, len(data)), "touched": touched}
        print(json.dumps(answer))


class _Given:
    """A source of one picture that is there already."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def read(self, places: list) -> Iterator[bytes]:
        yield from (self.data for _ in places)


def _peak() -> int:
    """Return the most memory that this process held; ru_maxrss would count its parent's as well."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))


FORMATS = {  # what costs the most of each: transparency, or numbers that must be scaled
    "JPEG": ("RGB", {}),
    "PNG": ("RGBA", {"compress_level": 1}),
    "GIF": ("P", {}),
    "WEBP": ("RGBA", {"method": 0}),
    "TIFF": ("F", {"compression": "tiff_deflate"}),
    "JPEG2000": ("RGBA", {}),
    "AVIF": ("RGBA", {"speed": 10}),
}


def largest(folder: Path, side: int) -> list[Path]:
    """Write pictures of side x side pixels, one for each format."""
    paths = []
    for kind, (mode, options) in FORMATS.items():
        paths.append(folder / f"{mode}.{kind.lower()}")
        paths[-1].write_bytes(encoded(Image.new(mode, (side, side)), kind, **options))
    return paths


def main() -> None:
    """Print the tables of docs/bad-pictures.md."""
    found = list(examine(files(corpus()), 100_000_000))
    counts = Counter(row["reason"] for row in found).most_common()
    _print(f"{len(found)} files of pillow {VERSION}, files", *((f"`{r}`", n) for r, n in counts))
    slowest = max(found, key=lambda row: row["seconds"])
    name, seconds, peak = Path(slowest["name"]).name, slowest["seconds"], found[-1]["peak"]
    print(f"Slowest: {name}, {seconds:.1f} s. Peak of all: {_mib(peak)}.\n")
    with tempfile.TemporaryDirectory() as scratch:
        rows = []
        for bomb, (data, _) in bombs().items():
            path = Path(scratch) / bomb
            path.write_bytes(data)
            (row,), (free,) = (list(examine([path], 1_000_000, guarded=g)) for g in (True, False))
            memory = map(_mib, (row["peak"], free["peak"], row["bound"]))
            rows.append((bomb, f"{len(data):,}", f"`{row['reason']}`", *memory))
        _print("bomb, bytes, reason, peak, peak without the guard, bound", *rows)
        rows = []
        for path in largest(Path(scratch), 5_000):
            (row,) = examine([path], 25_000_000)
            name = f"{path.suffix[1:].upper()} {path.stem}"
            rows.append((name, _mib(row["peak"]), round(row["peak"] / 25e6)))
        _print("picture of 25 million pixels, peak, bytes a pixel", *rows)


def _print(header: str, *rows: tuple) -> None:
    names = header.split(", ")
    for row in (names, ["---"] * len(names), *rows):
        print(f"| {' | '.join(map(str, row))} |")
    print()


def _mib(count: int) -> str:
    return f"{count / 2**20:.0f} MiB"


if __name__ == "__main__":
    main()
