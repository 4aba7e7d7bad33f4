"""Can the source be read, and can the tables and the report be written safely?"""

from collections.abc import Iterator
from itertools import islice

from clipbatch import storage
from clipbatch.collect import nothing_listed, open_source
from clipbatch.collect.base import Place
from clipbatch.config import Config
from clipbatch.doctor.diagnosis import Diagnosis, Status
from clipbatch.doctor.machine import existing
from clipbatch.errors import BadImage, ClipbatchError


def source(config: Config) -> Iterator[Diagnosis]:
    """List the first picture of the source and open it."""
    if not config.collect.source:
        yield Diagnosis(
            "source", Status.WARN, "none is named", "name one: clipbatch doctor photos/"
        )
        return
    where = storage.redact(config.collect.source)
    try:
        opened = open_source(config.collect)
        first = next(islice(opened.entries(), 1), None)
        if first is None:
            raise nothing_listed(config.collect, opened)
        (data,) = opened.read([Place(first.uri, first.size, first.offset)])
    except ClipbatchError as error:
        yield Diagnosis("source", Status.FAIL, where, str(error))
        return
    if isinstance(data, BadImage):
        yield Diagnosis(
            "source",
            Status.WARN,
            f"{where}: it lists pictures, but the first, {first.uri}, cannot be read: {data}",
            "check the permissions; a picture that cannot be read becomes a bad row",
        )
        return
    kind = type(opened).__name__.lower()
    yield Diagnosis("source", Status.OK, f"{where}: a {kind}; {first.uri} has {len(data)} bytes")


def outputs(config: Config) -> Iterator[Diagnosis]:
    """Probe where the tables and the report go with two conditional writes of a scratch key."""
    for name, where in (("database", config.index.database), ("report", config.report.folder)):
        try:
            # A folder that is not there yet is not made for this: the one above it is probed.
            probed = where if storage.is_remote(where) else str(existing(where))
            storage.probe(probed)
        except ClipbatchError as error:
            yield Diagnosis(name, Status.FAIL, storage.redact(where), str(error))
        else:
            yield Diagnosis(
                name, Status.OK, f"{storage.redact(where)}: written, conditional writes hold"
            )
