"""Can the cluster of RAY_ADDRESS be joined, and does it have what the configuration asks for?"""

import os
import socket
from collections.abc import Iterator
from typing import Final

from clipbatch.config import Config
from clipbatch.doctor.diagnosis import Diagnosis, Status, graded, size
from clipbatch.errors import ClipbatchError

_ANSWER_S: Final = 3.0


def ray(config: Config) -> Iterator[Diagnosis]:
    """Join the cluster where one is named; a Ray of our own is not started for a diagnosis."""
    address = os.environ.get("RAY_ADDRESS", "")
    if address in ("", "local"):
        told = "RAY_ADDRESS is not set: an audit starts a Ray of its own here"
        yield Diagnosis("ray", Status.OK, told)
        return
    if (silent := _silent(address)) is not None:
        advice = "check RAY_ADDRESS and that the head node runs, or unset it to run on this machine"
        yield Diagnosis("ray", Status.FAIL, f"{address}: {silent}", advice)
        return
    from clipbatch.runtime.session import Session, memory, nodes

    try:
        with Session() as session:
            session.ensure()
            found, largest = nodes(), memory()
    except ClipbatchError as error:
        yield Diagnosis("ray", Status.FAIL, address, str(error))
        return
    cpus, gpus = (sum(column) for column in zip(*found, strict=True))
    told = f"{address}: {len(found)} nodes, {cpus:g} CPU, {gpus:g} GPU, {size(largest)} the largest"
    short = config.embed.num_gpus > max(gpu for _, gpu in found)
    trouble = "lower embed.num_gpus, or add a GPU worker" if short else ""
    yield graded("ray", told, trouble)


def _silent(address: str) -> str | None:
    """Return why nothing answers at host:port; None where something does, or none is named."""
    host, found, port = address.removeprefix("ray://").rpartition(":")
    if not found or not port.isdecimal():  # "auto"
        return None
    try:
        socket.create_connection((host.strip("[]"), int(port)), _ANSWER_S).close()
    except (OSError, OverflowError) as error:
        return f"nothing answers ({error})"
    return None
