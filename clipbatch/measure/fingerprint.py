"""What an answer depends on, as a short hash: the same hash means that the answer can be reused."""

import hashlib
import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from clipbatch.errors import ContractBroken
from clipbatch.measure.base import Analysis, Contents, Unit

# Whose arithmetic is in the answers: another version of one, and all is answered anew.
LIBRARIES: Final = ("numpy", "scipy", "numba", "scikit-learn", "ripser", "persim", "umap-learn")
TEXT_LIBRARIES: Final = ("torch", "open_clip_torch", "transformers", "tokenizers")

_ANY: Final = "surrogatepass"


def of_unit(
    analysis: Analysis[Any], unit: Unit, contents: Contents, params: Any, noise: str
) -> str:
    """Fingerprint one unit: the analysis, its parameters, and exactly the rows it looks at.

    Args:
        analysis: with its version.
        unit: with its rows, variants and arguments.
        contents: of the run.
        params: of the analysis.
        noise: identity of the noise in the vectors.

    Raises:
        ContractBroken: an argument of the unit is no number, text, array, list or mapping.
    """
    state = _start(analysis, params, contents, noise)
    _add(state, unit.key, unit.variants, contents.content_id[unit.rows])
    if analysis.reads_labels:
        # By name: another class in the collection renumbers the labels of all.
        _add(state, np.array([*contents.label_names, ""])[contents.label[unit.rows]])
    _add(state, unit.arguments)
    for variant in unit.variants:
        _add(state, contents.variants[variant][unit.rows])
    if analysis.names_positions:
        _add(state, unit.rows)
    if analysis.reads_new and contents.new is not None:
        _add(state, contents.new[unit.rows])
    return state.hexdigest()


def of_finding(
    analysis: Analysis[Any],
    contents: Contents,
    params: Any,
    noise: str,
    needed: Mapping[str, str],
    facts: str,
) -> str:
    """Fingerprint a whole finding: the analysis, its parameters, and all of the collection.

    Args:
        analysis: with its version.
        contents: of the run.
        params: of the analysis.
        noise: identity of the noise in the vectors.
        needed: analysis -> fingerprint of its finding, of those that this one needs.
        facts: what ``of_facts`` gave.
    """
    state = _start(analysis, params, contents, noise)
    _add(state, needed, facts)
    for variant in sorted(contents.variants):
        _add(state, variant, contents.variants[variant])
    _add(state, contents.content_id, contents.label, contents.label_names, contents.split_names)
    _add(state, contents.image_uri, contents.image_content, contents.image_label)
    _add(state, contents.image_split)
    if analysis.reads_new and contents.new is not None:
        _add(state, contents.new)
    if analysis.reads_text:
        _add(state, _versions(TEXT_LIBRARIES))
    return state.hexdigest()


def of_facts(contents: Contents) -> str:
    """Fingerprint the facts of the decode: once a run, since they hold every thumbnail."""
    state = hashlib.blake2b(digest_size=16)
    _add(state, contents.facts)
    return state.hexdigest()


def for_now(key: str) -> str:
    """Name a finding that lacks what could be had tomorrow: it is never found by its own key."""
    return hashlib.blake2b(f"for now {key}".encode(), digest_size=16).hexdigest()


def _start(
    analysis: Analysis[Any], params: Any, contents: Contents, noise: str
) -> "hashlib.blake2b":
    state = hashlib.blake2b(digest_size=16)
    _add(state, analysis.name, analysis.version, asdict(params), _versions(LIBRARIES))
    _add(state, contents.encoder, contents.seed, noise)
    return state


@cache
def _versions(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_version(name) for name in names)


def _version(name: str) -> str:
    try:
        return f"{name} {importlib.metadata.version(name)}"
    except importlib.metadata.PackageNotFoundError:
        return f"no {name}"


def _add(state: "hashlib.blake2b", *values: Any) -> None:
    """Hash values such that no two different ones look alike: kinds and lengths are hashed too."""
    for value in values:
        if isinstance(value, np.ndarray):
            _add_array(state, value)
        elif isinstance(value, Mapping):
            state.update(f"mapping of {len(value)};".encode())
            for name in sorted(value):
                _add(state, name, value[name])
        elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
            state.update(f"sequence of {len(value)};".encode())
            _add(state, *value)
        elif value is None or isinstance(value, bool | int | float | str | np.generic):
            text = f"{value!r}".encode("utf-8", _ANY)
            state.update(f"{len(text)} bytes;".encode() + text)
        else:
            raise ContractBroken(
                f"got a {type(value).__name__} to fingerprint, expected numbers, text, arrays, "
                "lists or mappings: what else an object holds would go unseen"
            )


def _add_array(state: "hashlib.blake2b", value: NDArray[Any]) -> None:
    # The width of a column of text depends on its neighbours; its texts do not.
    if value.dtype.kind == "U":
        state.update(f"texts {value.shape};".encode())
        state.update(np.char.str_len(value).astype(np.int64).tobytes())
        state.update("".join(value.ravel().tolist()).encode("utf-8", _ANY))
    else:
        state.update(f"array {value.dtype} {value.shape};".encode())
        state.update(np.ascontiguousarray(value).tobytes())
