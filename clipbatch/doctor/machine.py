"""Disk, memory, shared memory, open files and GPUs of this machine."""

import os
import resource
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from clipbatch import storage
from clipbatch.config import Config
from clipbatch.doctor.diagnosis import Diagnosis, Status, graded, size

GIB: Final = 1 << 30
LEAST_DISK: Final = GIB  # below it not even a small collection's tables and spills are safe
SPILL_STOPS: Final = 0.95  # Ray's local_fs_capacity_threshold: it stores nothing on a fuller disk
LEAST_MEMORY: Final = 4 * GIB  # an audit of 1,393 photographs on two CPUs held 3.7 GiB at its peak
LEAST_FILES: Final = 4096  # below it Ray itself warns: it holds sockets to every worker


def disks(config: Config) -> Iterator[Diagnosis]:
    """Look at the disks under the database, the temporary folder and Ray's spilled objects."""
    places = {
        "database": config.index.database,
        "temporary files": tempfile.gettempdir(),
        "Ray's spills": os.environ.get("RAY_TMPDIR", "/tmp"),  # noqa: S108 - Ray's own default
    }
    for name, where in places.items():
        if storage.is_remote(where):
            continue
        folder = existing(where)
        usage = shutil.disk_usage(folder)
        full = 1 - usage.free / usage.total
        trouble = ""
        if usage.free < LEAST_DISK:
            trouble = f"make room: at least {size(LEAST_DISK)}; `clipbatch plan` says how much more"
        elif name == "Ray's spills" and full > SPILL_STOPS:
            trouble = "free some of it or set RAY_TMPDIR: Ray stores nothing on a disk so full"
        yield graded(
            f"disk: {name}",
            f"{folder}: {size(usage.free)} free of {size(usage.total)}, {full:.0%} used",
            trouble,
        )


def existing(where: str) -> Path:
    """Return the folder, or the nearest one above it that exists."""
    path = Path(where.removeprefix("file://")).expanduser().absolute()
    return next(folder for folder in (path, *path.parents) if folder.is_dir())


def memory(_config: Config) -> Iterator[Diagnosis]:
    """Look at the memory that is free, within the limit of a container."""
    total, free = available()
    trouble = (
        f"end other programs, or take a machine with {size(LEAST_MEMORY)} free; "
        "embed.actors=1 and measure.memory_gb bound what is used"
        if free < LEAST_MEMORY
        else ""
    )
    yield graded("memory", f"{size(free)} free of {size(total)}", trouble, Status.WARN)


def available() -> tuple[int, int]:
    """Return (total, free) bytes that this process may use."""
    facts = {}
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        facts[name] = int(value.split()[0]) * 1024
    total, free = facts["MemTotal"], facts["MemAvailable"]
    limit, used = (_number(f"/sys/fs/cgroup/memory.{name}") for name in ("max", "current"))
    if limit is not None and limit < total:
        return limit, min(free, limit - (used or 0))
    return total, free


def _number(path: str) -> int | None:
    try:
        return int(Path(path).read_text(encoding="ascii"))
    except (OSError, ValueError):  # no such file, or the word "max"
        return None


def shared_memory(_config: Config) -> Iterator[Diagnosis]:
    """Look at /dev/shm, where Ray keeps the object store of a Ray of our own."""
    from clipbatch.runtime.session import OBJECT_STORE_BYTES

    folder = Path("/dev/shm")  # noqa: S108
    if os.environ.get("RAY_ADDRESS") or not folder.is_dir():
        return
    free = shutil.disk_usage(folder).free
    trouble = (
        f"give it {size(OBJECT_STORE_BYTES)} (docker run --shm-size=1g): Ray puts its object "
        "store on the disk otherwise, which is slow"
        if free < OBJECT_STORE_BYTES
        else ""
    )
    yield graded("shared memory", f"{folder}: {size(free)} free", trouble, Status.WARN)


def open_files(_config: Config) -> Iterator[Diagnosis]:
    """Look at how many files a process may hold open; Ray raises the soft limit to the hard one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = hard != resource.RLIM_INFINITY and hard < LEAST_FILES
    trouble = (
        "raise the hard limit (limits.conf, or docker run --ulimit nofile=65536)" if few else ""
    )
    told = "any number" if hard == resource.RLIM_INFINITY else str(hard)
    yield graded("open files", f"{soft} a process, at most {told}", trouble, Status.WARN)


def gpus(config: Config) -> Iterator[Diagnosis]:
    """Compare the GPUs of the driver with those that torch sees."""
    import torch

    seen = torch.cuda.device_count() if torch.cuda.is_available() else 0
    driver = _driver()
    if seen:
        names = ", ".join(torch.cuda.get_device_name(n) for n in range(seen))
        free = ", ".join(size(torch.cuda.mem_get_info(n)[0]) for n in range(seen))
        yield Diagnosis("gpus", Status.OK, f"torch sees {seen}: {names}; {free} free; {driver}")
        return
    found = f"torch {torch.__version__} sees none; {driver or 'no NVIDIA driver'}"
    if config.embed.num_gpus > 0:
        advice = "set embed.num_gpus=0, or join a cluster that has GPUs with RAY_ADDRESS"
        here = bool(os.environ.get("RAY_ADDRESS"))
        yield Diagnosis("gpus", Status.WARN if here else Status.FAIL, found, advice)
    elif driver:
        advice = (
            "install a torch built for this driver's CUDA (pip install torch), and see that "
            "CUDA_VISIBLE_DEVICES names a GPU"
        )
        yield Diagnosis("gpus", Status.WARN, found, advice)
    else:
        yield Diagnosis("gpus", Status.OK, f"{found}: the CPU embeds")


def _driver() -> str:
    try:
        text = Path("/proc/driver/nvidia/version").read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
    words = text.splitlines()[0].split()
    return "NVIDIA driver " + next((w for w in words if w[:1].isdigit()), "of unknown version")
