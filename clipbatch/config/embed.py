"""[embed]: which encoder, and which noise."""

from dataclasses import dataclass

from clipbatch.build import refuse


@dataclass(frozen=True)
class EmbedConfig:
    """Which encoder, and which noise.

    Attributes:
        encoder: "offline-lite", "pixels", or any open_clip model, e.g. "ViT-B-32".
        weights: open_clip: a hub tag ("laion2b_s34b_b79k") or a path to a local file.
        pixels_side: encoder pixels: input side; 0 keeps the pictures' own size (all equal).
        dtype: of stored vectors: "float32" or "float16".
        levels: noise levels beside clean; [] for none.
        noise_units: "normalised" (added to the normalised input) or "unit" (to [0, 1], clipped).
        noise_all_below: collections up to this many contents get noise on all of them.
        noise_per_class: above it, this many contents a class do (the smallest seeded hashes).
        batch_size: pictures a forward pass; 0 lets a probe choose once per table.
        num_gpus: of one encoding actor, fractions allowed; -1 takes 1 where there are GPUs.
        actors: encoding actors; 0 takes what the cluster's resources allow.
        threads: CPU threads of one encoding actor; 0 chooses.
        crash_limit: how often a picture may kill its worker, alone, before it is a bad row.
        max_passes: how often the remaining work is tried again.
        merge_rows: rows a merge; 0 grows with the table.
    """

    encoder: str = "offline-lite"
    weights: str = ""
    pixels_side: int = 28
    dtype: str = "float32"
    levels: tuple[float, ...] = (0.5, 1.0, 2.0)
    noise_units: str = "normalised"
    noise_all_below: int = 20_000
    noise_per_class: int = 200
    batch_size: int = 0
    num_gpus: float = -1.0
    actors: int = 0
    threads: int = 0
    crash_limit: int = 2
    max_passes: int = 8
    merge_rows: int = 0

    def __post_init__(self) -> None:
        self._check_levels()
        if self.noise_units not in ("normalised", "unit"):
            raise refuse("embed.noise_units", self.noise_units, '"normalised" or "unit"')
        if self.dtype not in ("float32", "float16"):
            raise refuse("embed.dtype", self.dtype, '"float32" or "float16"')
        for name in (
            "batch_size", "actors", "threads", "merge_rows", "noise_per_class", "noise_all_below"
        ):  # fmt: skip
            if getattr(self, name) < 0:
                raise refuse(f"embed.{name}", getattr(self, name), "0 or more")
        for name in ("crash_limit", "max_passes"):
            if getattr(self, name) < 1:
                raise refuse(f"embed.{name}", getattr(self, name), "1 or more")

    def _check_levels(self) -> None:
        for level in self.levels:
            if not 0 < level <= 100:
                raise refuse(
                    "embed.levels", level, "noise levels above 0 and at most 100, e.g. [0.5, 1.0]"
                )
            if abs(1000 * level - round(1000 * level)) > 1e-6:
                raise refuse("embed.levels", level, "multiples of 0.001, which are the keys")
        if len(set(self.levels)) < len(self.levels):
            raise refuse("embed.levels", list(self.levels), "each level once")
