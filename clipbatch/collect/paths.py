"""What a path tells: whether it is a picture, its label, its split."""

import re
from collections.abc import Sequence
from typing import Final

from clipbatch.errors import ConfigError

# Lower-case endings that are listed as pictures. Some may have no decoder here: then they are
# bad rows that say so, rather than files that nobody counted.
EXTENSIONS: Final = frozenset(
    {
        *("avif", "avifs", "bmp", "dds", "dib", "gif", "heic", "heif", "hif", "icns", "ico"),
        *("j2c", "j2k", "jfif", "jp2", "jpc", "jpe", "jpeg", "jpf", "jpg", "jpx", "jxl", "mpo"),
        *("pbm", "pcx", "pfm", "pgm", "png", "pnm", "ppm", "psd", "qoi", "sgi", "tga"),
        *("tif", "tiff", "webp"),
    }
)
_SPLITS: Final = ("train", "val", "valid", "validation", "dev", "test")


def is_picture(name: str) -> bool:
    """Say whether a file name ends as pictures do, in any case."""
    stem, dot, extension = name.rpartition(".")
    return bool(stem and dot) and extension.lower() in EXTENSIONS


def is_split(name: str) -> bool:
    """Say whether a directory is named as a split is."""
    return name.lower() in _SPLITS


class PathRules:
    """How ``collect.label`` and ``collect.split`` read the directories around a picture.

    Args:
        label: "parent", "level:K", "none" or "auto" (parent; but never the split's directory).
        split: "level:K", "regex:...", "none" or "auto" (a top directory named like a split).

    Raises:
        ConfigError: a rule is none of these.
    """

    def __init__(self, label: str, split: str) -> None:
        self._label, self._split = label, split
        if label not in ("auto", "parent", "none", "") and _level(label) is None:
            raise ConfigError(
                f'collect.label: got {label!r}, expected "parent", "level:K" (K from 0) or "none"'
            )
        self._pattern = _pattern(split)
        if split not in ("auto", "none", "") and not self._pattern and _level(split) is None:
            raise ConfigError(
                f'collect.split: got {split!r}, expected "level:K" (K from 0), "regex:..." '
                'with one group, or "none"'
            )

    def label(self, directories: Sequence[str]) -> str | None:
        """Read the label of a picture in these directories, outermost first."""
        level = _level(self._label)
        if level is not None:
            return directories[level] if level < len(directories) else None
        if self._label in ("none", "") or not directories:
            return None
        if self._label == "auto" and len(directories) == 1 and self.split(directories, ""):
            return None
        return directories[-1]

    def split(self, directories: Sequence[str], path: str) -> str | None:
        """Read the split of a picture in these directories with this whole path."""
        level = _level(self._split)
        if level is not None:
            return directories[level] if level < len(directories) else None
        if self._pattern:
            found = self._pattern.search(path)
            return found[1] if found else None
        is_named = self._split == "auto" and directories and is_split(directories[0])
        return directories[0] if is_named else None


def _level(rule: str) -> int | None:
    found = re.fullmatch(r"level:(\d{1,4})", rule)
    return int(found[1]) if found else None


def _pattern(rule: str) -> re.Pattern[str] | None:
    if not rule.startswith("regex:"):
        return None
    try:
        pattern = re.compile(rule.removeprefix("regex:"))
    except re.error as error:
        raise ConfigError(f"collect.split: {rule!r} is no regular expression: {error}") from error
    if not pattern.groups:
        raise ConfigError(
            f"collect.split: {rule!r} has no group; put parentheses round the split's name"
        )
    return pattern
