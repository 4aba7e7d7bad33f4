"""What is the configured encoder, before anything is started?"""

from clipbatch import embed
from clipbatch.collect import open_source
from clipbatch.collect.base import Place
from clipbatch.collect.decode import decode
from clipbatch.config import Config
from clipbatch.embed.encoder import EncoderSpec
from clipbatch.errors import BadImage, ConfigError

TRIED = 20  # first pictures that may be bad before a size is given up


def spec_of(config: Config) -> EncoderSpec:
    """Describe the encoder; ``pixels`` at the pictures' own size looks at the first of them.

    Raises:
        ConfigError: no such encoder, no weights, or no picture whose size could be seen.
    """
    own_size = config.embed.encoder == "pixels" and config.embed.pixels_side == 0
    return embed.describe(config.embed, _first_size(config) if own_size else None)


def _first_size(config: Config) -> tuple[int, int]:
    source = open_source(config.collect)
    for _, entry in zip(range(TRIED), source.entries(), strict=False):
        data = next(source.read([Place(entry.uri, entry.size, entry.offset)]))
        if isinstance(data, BadImage):
            continue
        try:
            picture = decode(data, max_pixels=config.collect.max_pixels)
        except BadImage:
            continue
        height, width = picture.pixels.shape[:2]
        return height, width
    raise ConfigError(
        f"embed.pixels_side=0 takes the pictures' own size, but none of the first {TRIED} could be "
        "decoded; set embed.pixels_side to a number, e.g. 28"
    )
