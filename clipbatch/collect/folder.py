"""A folder or prefix of picture files; directories may tell label and split."""

from collections.abc import Iterator, Sequence

from clipbatch import storage
from clipbatch.collect.base import Entry, Place
from clipbatch.collect.paths import PathRules, is_picture
from clipbatch.collect.places import missing, open_place, read_ahead
from clipbatch.config import CollectConfig
from clipbatch.errors import BadImage, ConfigError, Reason


class Folder:
    """Every file below a root whose name ends as pictures do; hidden names are left out.

    A folder below it that may not be listed is an entry, whose opening says so.

    Attributes:
        skipped: other files seen by the last listing.

    Raises:
        ConfigError: the folder does not exist, or a rule cannot be read.
    """

    def __init__(self, config: CollectConfig) -> None:
        self._config, self._root = config, config.source
        self._rules = PathRules(config.label, config.split)
        self.skipped = 0
        if config.caption not in ("auto", "none", ""):
            raise ConfigError(
                f'collect.caption: got {config.caption!r}, expected "none": a folder has no '
                "captions; list them in a .csv manifest"
            )
        if storage.kind(config.source, config.timeout_s) != "folder":
            raise missing(config.source)

    def entries(self) -> Iterator[Entry]:
        """List the pictures by the names of their files."""
        self.skipped = 0
        for found in storage.walk(self._root, self._config.timeout_s):
            if found.uri.endswith("/"):
                yield Entry(found.uri, found.size, found.stamp)
                continue
            if not is_picture(found.uri):
                self.skipped += 1
                continue
            path = storage.uri_text(found.uri)
            directories = path.split("/")[:-1]
            yield Entry(
                found.uri,
                found.size,
                found.stamp,
                label=self._rules.label(directories),
                split=self._rules.split(directories, path),
            )

    def read(self, places: Sequence[Place]) -> Iterator[bytes | BadImage]:
        """Open files, several at once where they lie in a store."""
        return read_ahead(
            self._open, places, storage.at_once_for(self._root), self._config.max_bytes
        )

    def _open(self, place: Place) -> bytes | BadImage:
        if place.uri.endswith("/"):
            return BadImage(
                Reason.DAMAGED_CONTAINER,
                "the folder may not be listed, and pictures in it are not counted; mend its "
                "permissions",
            )
        return open_place(self._root, place.uri, place, self._config)
