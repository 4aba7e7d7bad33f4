"""Tar files, among them WebDataset shards: listed from their headers, read by ranges."""

import json
import struct
import tarfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final

from clipbatch import storage
from clipbatch.collect.base import Entry, Place
from clipbatch.collect.columns import cell_text, labels_of
from clipbatch.collect.paths import PathRules, is_picture
from clipbatch.collect.places import containers, damaged, open_place, read_ahead
from clipbatch.config import CollectConfig
from clipbatch.errors import BadImage, ConfigError, Reason
from clipbatch.storage import Object

_NOTE_BYTES: Final = 1 << 16  # a longer label, caption or JSON is not read
_GROUP: Final = 1024  # members that share a name; more are not one WebDataset sample
# What tarfile was seen to raise for damaged bytes, and what its code can raise.
_DAMAGE: Final = (
    *(tarfile.TarError, OSError, ValueError, OverflowError, MemoryError, RecursionError),
    *(IndexError, KeyError, TypeError, AttributeError, struct.error),
)


@dataclass
class _Sample:
    """Neighbouring members whose names agree up to the first dot of the file name."""

    key: str = ""
    size: int = 0
    pictures: list[tarfile.TarInfo] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)  # extension -> text


class Tar:
    """One tar file, a folder of them, or a pattern. Nothing is ever unpacked to disk.

    Names inside are only names: ``../../x.jpg`` is a uri like any other. The second member of one
    name gets the uri ``shard.tar#name#2``. The names of one shard are held at a time.

    Attributes:
        skipped: members seen by the last listing that are neither pictures nor notes on them.

    Raises:
        ConfigError: the source does not exist, is compressed, or a rule cannot be read.
    """

    def __init__(self, config: CollectConfig) -> None:
        self._config = config
        self._containers = containers(config.source, (".tar",), config.timeout_s)
        self._label_note = _note(config.label, "cls")
        self._caption_note = _note(config.caption, "txt")
        if config.caption not in ("auto", "none", "") and not self._caption_note:
            raise ConfigError(
                f'collect.caption: got {config.caption!r}, expected "member:txt" or "none"'
            )
        self._rules = PathRules("none" if self._label_note else config.label, config.split)
        self._notes = {self._label_note, self._caption_note, "json"} - {""}
        self.skipped = 0

    def entries(self) -> Iterator[Entry]:
        """List the pictures of every shard from its headers.

        A shard that breaks off ends with an entry of its own name, whose opening says so.
        """
        self.skipped = 0
        for shard in self._containers.files(self._config.timeout_s):
            names: Counter[str] = Counter()
            for sample in self._samples(shard):
                if sample is None:
                    yield Entry(shard.uri, -1, shard.stamp)
                    continue
                for member in sample.pictures:
                    names[member.name] += 1
                    yield self._entry(shard, member, names[member.name], sample.notes)

    def read(self, places: Sequence[Place]) -> Iterator[bytes | BadImage]:
        """Read the members' bytes where the listing found them."""
        at_once = storage.at_once_for(self._containers.root)
        return read_ahead(self._open, places, at_once, self._config.max_bytes)

    def _open(self, place: Place) -> bytes | BadImage:
        shard, _, member = place.uri.partition("#")
        if not member:
            return damaged(
                self._containers.root,
                shard,
                self._config,
                "the tar breaks off or has no end mark; members after that are lost; pack it again",
            )
        if place.offset is None:
            return BadImage(
                Reason.UNSUPPORTED,
                "a link or sparse file inside a tar; pack it again with tar --dereference "
                "--hard-dereference",
            )
        return open_place(self._containers.root, shard, place, self._config)

    def _samples(self, shard: Object) -> Iterator[_Sample | None]:
        """Yield the samples of a shard, and None where it breaks off."""
        sample = _Sample()
        try:
            with storage.open_file(
                self._containers.root, shard.uri, self._config.timeout_s
            ) as file:
                for member in _headers(file):
                    key, note = _split_name(member.name)
                    if key != sample.key or sample.size >= _GROUP:
                        yield sample
                        sample = _Sample(key)
                    sample.size += 1
                    self._put(member, note, sample, file)
        except _DAMAGE:
            yield sample  # it was listed before the damage
            yield None
            return
        yield sample

    def _put(self, member: tarfile.TarInfo, note: str, sample: _Sample, file: BinaryIO) -> None:
        if is_picture(member.name):
            sample.pictures.append(member)
        elif note in self._notes and member.isreg() and member.size <= _NOTE_BYTES:
            file.seek(member.offset_data)
            sample.notes[note] = file.read(member.size).decode(errors="backslashreplace")
        else:
            self.skipped += 1

    def _entry(
        self, shard: Object, member: tarfile.TarInfo, repeat: int, notes: dict[str, str]
    ) -> Entry:
        name = storage.encode_uri(member.name.encode("utf-8", "surrogateescape"))
        directories = _directories(shard.uri) + _directories(name)
        path = f"{storage.uri_text(shard.uri)}#{storage.uri_text(name)}"
        label, labels = self._labels(notes, directories)
        is_plain = member.isreg() and not member.issparse()
        return Entry(
            f"{shard.uri}#{name}" + (f"#{repeat}" if repeat > 1 else ""),
            member.size if is_plain else -1,
            f"{shard.stamp};{int(member.mtime)};{member.size}",
            offset=member.offset_data if is_plain else None,
            label=label,
            labels=labels,
            split=self._rules.split(directories, path) or _told(notes, "split", self._config.split),
            caption=cell_text(notes.get(self._caption_note))
            or _told(notes, "caption", self._config.caption),
        )

    def _labels(
        self, notes: dict[str, str], directories: list[str]
    ) -> tuple[str | None, tuple[str, ...]]:
        if not self._label_note:
            return self._rules.label(directories), ()
        if self._label_note in notes:
            return labels_of(notes[self._label_note])
        return labels_of(_json(notes).get("label") if self._config.label == "auto" else None)


def _headers(file: BinaryIO) -> Iterator[tarfile.TarInfo]:
    """Yield the header of every member, holding one at a time.

    Raises:
        tarfile.TarError: the archive breaks off, or lacks the empty block that ends it. TarFile's
            own iteration ends there in silence, and keeps every header.
    """
    archive = tarfile.TarFile(fileobj=file, encoding="utf-8", errors="surrogateescape")
    archive.offset = 0
    while True:
        file.seek(archive.offset)
        block = file.read(tarfile.BLOCKSIZE)
        if block == bytes(tarfile.BLOCKSIZE):
            return
        if len(block) < tarfile.BLOCKSIZE:
            raise tarfile.ReadError("the archive ends without its end mark")
        file.seek(archive.offset)
        member = tarfile.TarInfo.fromtarfile(archive)
        if not member.isdir() and not _is_hidden(member.name):
            yield member


def _split_name(name: str) -> tuple[str, str]:
    """Split a member's name as WebDataset does: at the first dot of the file name."""
    folder, slash, file_name = name.rpartition("/")
    stem, _, extension = file_name.partition(".")
    return folder + slash + stem, extension


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") and part.strip(".") for part in name.split("/"))


def _directories(uri: str) -> list[str]:
    return [part for part in storage.uri_text(uri).split("/")[:-1] if part not in ("", ".", "..")]


def _note(rule: str, auto: str) -> str:
    """Return the extension of the member that tells something, or "" where none does."""
    return auto if rule == "auto" else rule.removeprefix("member:") * rule.startswith("member:")


def _told(notes: dict[str, str], key: str, rule: str) -> str | None:
    return cell_text(_json(notes).get(key)) if rule == "auto" else None


def _json(notes: dict[str, str]) -> dict[str, Any]:
    try:
        told = json.loads(notes.get("json", "{}"))
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}
