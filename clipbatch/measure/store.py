"""Answers as bytes and back: deterministic, exact, and never a pickle.

A unit's result is an ordinary ``.npz``. A finding is the same kind of file with one more member,
``finding.json``, beside the arrays of its bulk evidence, so ``unzip -p`` shows it to a person.
"""

import dataclasses
import io
import json
import math
import urllib.parse
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from clipbatch.errors import ContractBroken
from clipbatch.measure.base import Evidence, Figure, Finding, Number, Pairs, Result, Table

FORMAT: Final = 1  # of finding.json; raised when a reader of the old form would misread the new

_JSON: Final = "finding.json"
_PER_CONTENT: Final = "per_content/"
_PAIRS: Final = "pairs/"
_ANY: Final = "surrogatepass"  # names may hold what a file name of another encoding held
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # zip members carry a time; a fixed one keeps bytes equal


def result_to_bytes(result: Result) -> bytes:
    """Store named arrays; equal results give equal bytes.

    Raises:
        ContractBroken: an array holds objects.
    """
    return _pack(result, {})


def result_from_bytes(data: bytes) -> dict[str, NDArray[Any]]:
    """Return what ``result_to_bytes`` stored: same names, dtypes, shapes and values.

    Raises:
        ContractBroken: the bytes are not such a file, or need pickle.
    """
    return _unpack(data)[0]


def finding_to_bytes(finding: Finding) -> bytes:
    """Store a finding with its bulk evidence."""
    arrays = {f"{_PER_CONTENT}{name}": array for name, array in finding.per_content.items()}
    if finding.pairs is not None:
        for part in dataclasses.fields(Pairs):
            arrays[f"{_PAIRS}{part.name}"] = getattr(finding.pairs, part.name)
    return _pack(arrays, {_JSON: finding_to_json(finding).encode("ascii")})


def finding_from_bytes(data: bytes) -> Finding:
    """Return what ``finding_to_bytes`` stored."""
    arrays, others = _unpack(data)
    if _JSON not in others:
        raise ContractBroken(f"got a file without {_JSON}, expected a stored finding")
    finding = finding_from_json(others[_JSON].decode("ascii"))
    pairs = {k.removeprefix(_PAIRS): v for k, v in arrays.items() if k.startswith(_PAIRS)}
    return dataclasses.replace(
        finding,
        per_content={
            k.removeprefix(_PER_CONTENT): v for k, v in arrays.items() if k.startswith(_PER_CONTENT)
        },
        pairs=Pairs(**pairs) if pairs else None,
    )


def finding_to_json(finding: Finding) -> str:
    """Write a finding as strict, pure-ASCII JSON, without its bulk (``per_content``, ``pairs``).

    Inside tables and figures NaN and infinity become null, since JSON has no word for them.

    Raises:
        ContractBroken: a number is not finite, two numbers share a name, or a value is not JSON.
    """
    names = [number.name for number in finding.numbers]
    if repeated := {name for name in names if names.count(name) > 1}:
        raise ContractBroken(f"got numbers {sorted(repeated)} more than once, expected each once")
    for number in finding.numbers:
        for part in ("value", "low", "high"):
            value = getattr(number, part)
            if value is not None and not math.isfinite(value):
                raise ContractBroken(
                    f"number {number.name!r}: got {part} {value}, expected a finite number, or "
                    "None with a note that says why it cannot be answered"
                )
    bulk = ("per_content", "pairs")
    tree = {"format": FORMAT} | {
        field.name: _plain(getattr(finding, field.name), field.name)
        for field in dataclasses.fields(Finding)
        if field.name not in bulk
    }
    return json.dumps(tree, allow_nan=False)


def finding_from_json(text: str) -> Finding:
    """Return what ``finding_to_json`` wrote; sequences in tables and figures come back as lists.

    Raises:
        ContractBroken: another format.
    """
    tree = json.loads(text)
    if tree.get("format") != FORMAT:
        raise ContractBroken(
            f"got a finding of format {tree.get('format')!r}, expected {FORMAT}; another version "
            "of clipbatch wrote it: use that version, or another database"
        )
    return Finding(
        headline=tree["headline"],
        numbers=tuple(Number(**number) for number in tree["numbers"]),
        meaning=tree["meaning"],
        tables=tuple(Table(**table) for table in tree["tables"]),
        figures=tuple(Figure(**figure) for figure in tree["figures"]),
        evidence=tuple(
            Evidence(e["title"], tuple(e["content_ids"]), tuple(e["captions"]))
            for e in tree["evidence"]
        ),
        notes=tuple(tree["notes"]),
    )


def _plain(value: Any, where: str) -> Any:
    """Turn dataclasses, arrays and NumPy scalars into JSON values."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return {f.name: _plain(getattr(value, f.name), f"{where}.{f.name}") for f in fields}
    if isinstance(value, Mapping):
        if wrong := [key for key in value if not isinstance(key, str)]:
            raise ContractBroken(f"{where}: got key {wrong[0]!r}, expected text")
        return {str(key): _plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [_plain(item, where) for item in value]
    raise ContractBroken(
        f"{where}: got a {type(value).__name__}, expected text, numbers, lists or mappings"
    )


def _pack(arrays: Mapping[str, NDArray[Any]], others: Mapping[str, bytes]) -> bytes:
    # Stored, not deflated: compressed bytes differ from one zlib to another.
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(others):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), others[name])
        for name in sorted(arrays):
            member = zipfile.ZipInfo(f"{_quote(name)}.npy", _EPOCH)
            with archive.open(member, "w", force_zip64=True) as file:
                try:
                    array = np.asanyarray(arrays[name])
                    np.lib.format.write_array(file, array, allow_pickle=False)
                except ValueError as error:
                    raise ContractBroken(
                        f"array {name!r}: {error}; expected numbers or fixed-width text"
                    ) from error
    return buffer.getvalue()


def _unpack(data: bytes) -> tuple[dict[str, NDArray[Any]], dict[str, bytes]]:
    arrays: dict[str, NDArray[Any]] = {}
    others: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in archive.namelist():
                if not member.endswith(".npy"):
                    others[member] = archive.read(member)
                    continue
                with archive.open(member) as file:
                    array = np.lib.format.read_array(file, allow_pickle=False)
                arrays[urllib.parse.unquote(member.removesuffix(".npy"), errors=_ANY)] = array
    except (zipfile.BadZipFile, ValueError, EOFError) as error:
        raise ContractBroken(f"got {len(data)} bytes that are no stored arrays: {error}") from error
    return arrays, others


def _quote(name: str) -> str:
    return urllib.parse.quote(name, safe="/ =;,+()[]", errors=_ANY)
