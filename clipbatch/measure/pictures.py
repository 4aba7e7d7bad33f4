"""Which pictures are blank, too dark, too bright, blurred, or of an odd size or shape?

Answered from the facts that the decode left in the table of contents: no picture is opened and no
vector is looked at, so no unit is planned.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from clipbatch.errors import ConfigError
from clipbatch.measure import pictures_finding
from clipbatch.measure.base import Analysis, Contents, Finding, Inputs, Result, Results, Unit
from clipbatch.measure.cost import Cost, Size
from clipbatch.measure.pictures_rules import Limits


@dataclass(frozen=True)
class PicturesParams:
    """From where on a picture is told.

    Attributes:
        blank: contrast (standard deviation of luma, [0, 0.5]) up to which a picture is blank.
        mads: how far from the collection's median the others must lie, in median absolute
            deviations scaled to a standard deviation.
        dark: mean luma, [0, 1], above which no picture is too dark.
        bright: mean luma below which no picture is too bright.
        blur_factor: a blurred picture has less than 1 / this of the usual detail of its size.
        size_factor: an odd size is this many times larger or smaller than the usual longest side.
        shape_factor: an odd shape is this many times more elongated than usual.
        bootstraps: draws behind the interval of a count.
        table_rows: rows of an evidence table.
    """

    blank: float = 0.01
    mads: float = 3.5
    dark: float = 0.25
    bright: float = 0.75
    blur_factor: float = 4.0
    size_factor: float = 2.0
    shape_factor: float = 2.0
    bootstraps: int = 200
    table_rows: int = 1000

    def __post_init__(self) -> None:
        for name in ("blank", "dark", "bright"):
            if not 0.0 <= (got := getattr(self, name)) <= 1.0:
                raise ConfigError(f"measure.pictures.{name}: got {got}, expected 0 to 1")
        for name in ("blur_factor", "size_factor", "shape_factor"):
            if (got := getattr(self, name)) < 1.0:
                raise ConfigError(f"measure.pictures.{name}: got {got}, expected 1 or more")
        if self.mads <= 0:
            raise ConfigError(f"measure.pictures.mads: got {self.mads}, expected a number above 0")
        for name, least in (("bootstraps", 2), ("table_rows", 0)):
            if (count := getattr(self, name)) < least:
                raise ConfigError(f"measure.pictures.{name}: got {count}, expected {least} or more")

    @property
    def limits(self) -> Limits:
        """What the rules need of it."""
        return Limits(
            blank=self.blank,
            mads=self.mads,
            dark=self.dark,
            bright=self.bright,
            blur_factor=self.blur_factor,
            size_factor=self.size_factor,
            shape_factor=self.shape_factor,
        )


def plan(contents: Contents, params: PicturesParams) -> Sequence[Unit]:
    """Ask for nothing: the table of contents knows."""
    return []


def compute(inputs: Inputs, unit: Unit, params: PicturesParams) -> Result:
    """Answer no unit: ``plan`` asks for none."""
    return {}


def combine(contents: Contents, results: Results, params: PicturesParams) -> Finding:
    """Hold every picture to the rules."""
    return pictures_finding.tell(contents, params.limits, params.bootstraps, params.table_rows)


def cost(size: Size, params: PicturesParams) -> Cost:
    """Tell what the rules and their intervals take: 1.5e-7 s a content and bootstrap, one core."""
    seconds = 1.5e-7 * size.contents * max(params.bootstraps, 1)
    return Cost(size.contents * 128, seconds, size.contents * 4)


ANALYSIS: Final = Analysis(
    name="pictures",
    version=1,
    params=PicturesParams,
    plan=plan,
    compute=compute,
    combine=combine,
    cost=cost,
)
