"""Where an encoder's vectors go: one table, or a second one for noise of another kind."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clipbatch import schema
from clipbatch.config import Config
from clipbatch.embed.encoder import EncoderSpec
from clipbatch.embed.noise import NoiseSettings
from clipbatch.errors import ConfigError
from clipbatch.index import table
from clipbatch.index.wanted import Wanted


@dataclass(frozen=True)
class Shape:
    """What the bits of a vector depend on besides its picture, so it never changes in a table.

    Attributes:
        batch_size: rows of a forward pass; the last is padded.
        threads: CPU threads that compute it.
    """

    batch_size: int
    threads: int


@dataclass(frozen=True)
class Stores:
    """The tables of one encoder and what is pinned with them.

    Attributes:
        tables: variant -> table name.
        shape: of every forward pass into them.
    """

    tables: dict[int, str]
    shape: "Shape"

    def wanted(self, config: Config, versions: Mapping[str, int] | None = None) -> Wanted:
        """Return which keys the configuration wants in these tables."""
        noise = (config.embed.noise_all_below, config.embed.noise_per_class)
        return Wanted(config.index.database, self.tables, noise, config.collect.seed, versions)

    def ensure(self, config: Config, spec: EncoderSpec) -> None:
        """Create the table of another noise, where there is one and it is not there yet."""
        for name in set(self.tables.values()) - {self.tables[schema.CLEAN]}:
            create(config, spec, name, self.shape)


def noise_settings(config: Config) -> NoiseSettings:
    """Return the noise that the configuration names."""
    return NoiseSettings(
        units=config.embed.noise_units, levels=config.embed.levels, seed=config.collect.seed
    )


def find(config: Config, spec: EncoderSpec) -> Stores | None:
    """Return the encoder's tables if they exist."""
    database = config.index.database
    clean = schema.vectors_table(spec.slug)
    if not table.exists(database, clean):
        return None
    pinned = table.pinned(database, clean)
    stored = table.open_table(database, clean).schema.field("vector").type.value_type
    if stored != schema.vectors_schema(1, config.embed.dtype).field("vector").type.value_type:
        raise ConfigError(
            f"{clean}: got vectors of {stored}, expected {config.embed.dtype}; set embed.dtype as "
            "the table has it, or name another index.database"
        )
    _refuse_other(clean, pinned, spec)
    table.check(database, clean, schema.vectors_schema(spec.dim, config.embed.dtype))
    noisy = _noisy(clean, pinned, noise_settings(config))
    shape = Shape(int(pinned["batch_size"]), int(pinned["threads"]))
    tables = {schema.variant(level): noisy for level in config.embed.levels}
    return Stores({schema.CLEAN: clean} | tables, shape)


def _refuse_other(name: str, pinned: Mapping[str, str], spec: EncoderSpec) -> None:
    """The facts pinned with a table say whose vectors these are and how they are computed."""
    wanted = {"encoder": spec.name, "weights": spec.weights}
    needed = {*wanted, "batch_size", "threads", "noise", "seed"}
    advice = "restore the table from a copy, or name another index.database"
    if lacking := sorted(needed - pinned.keys()):
        raise ConfigError(
            f"{name}: got a table without the pinned facts {', '.join(lacking)}, expected one that "
            f"clipbatch created; {advice}"
        )
    for key, value in wanted.items():
        if pinned[key] != value:
            raise ConfigError(
                f"{name}: got vectors of {key} {pinned[key]!r}, expected {value!r}; {advice}"
            )
    for key in ("batch_size", "threads"):
        if not pinned[key].isdecimal() or int(pinned[key]) < 1:
            raise ConfigError(f"{name}: got {key} {pinned[key]!r}, expected a number; {advice}")


def _noisy(clean: str, pinned: dict[str, Any], noise: NoiseSettings) -> str:
    """Two noises never share a key, and another noise never costs the clean vectors again."""
    same = pinned["noise"] == noise.fingerprint()
    return clean if same else f"{clean}__noise_{noise.fingerprint()}"


def create(config: Config, spec: EncoderSpec, name: str, shape: Shape) -> None:
    """Create a table of vectors, with what belongs to it for good."""
    if spec.dim < 1:
        raise ConfigError(f"{spec.name}: got vectors of length {spec.dim}, expected 1 or more")
    noise = noise_settings(config)
    pinned = {
        "encoder": spec.name,
        "weights": spec.weights,
        "batch_size": str(shape.batch_size),
        "threads": str(shape.threads),
        "noise": noise.fingerprint(),
        "noise_units": noise.units,
        "noise_generator": noise.generator,
        "seed": str(noise.seed),
    }
    columns = schema.vectors_schema(spec.dim, config.embed.dtype)
    table.create(config.index.database, name, columns, pinned)
