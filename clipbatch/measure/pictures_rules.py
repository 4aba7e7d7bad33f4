"""The rules of ``pictures``: which pictures stand apart, and where the line was drawn.

A blank picture is told by an absolute limit. Every other rule asks for two things: the picture
lies far from the collection's own median (in median absolute deviations, which half the pictures
could not move), and the difference is one that an eye would see. The first alone would tell
pictures of a collection in which all are alike; the second alone would tell most of a collection
that is dark on purpose. Capitals: N contents.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

NEEDS: Final = ("brightness", "contrast", "sharpness", "width", "height")
RULES: Final = ("blank", "dark", "bright", "blurred", "small", "large", "odd_shape")
TO_SIGMA: Final = 1.4826  # a normal distribution's standard deviation in its MADs
DETAIL_SIDE: Final = 512  # longest side at which the decode measures sharpness
ENOUGH: Final = 50  # pictures of one scale that give it a median of its own
DRAWN: Final = 20_000  # pictures drawn at most in a bootstrap
TONES: Final = (5, 95)  # percentiles of a thumbnail's pixels: its darkest and its lightest tones
HALF: Final = 0.5  # of luma: a picture with tones on both sides of it is neither dark nor bright
_LEAST: Final = 1e-3  # of brightness and its complement: keeps the logit finite

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Limits:
    """From where on a picture is told; see ``PicturesParams``."""

    blank: float
    mads: float
    dark: float
    bright: float
    blur_factor: float
    size_factor: float
    shape_factor: float


@dataclass(frozen=True)
class Rule:
    """One relative rule.

    Attributes:
        name: of ``RULES``.
        value: (N,) what is compared, on a scale where a spread is symmetric; NaN takes no part.
        sign: -1 tells what lies below the median, +1 above.
        visible: (N,) whether the difference is one that an eye would see.
    """

    name: str
    value: Floats
    sign: int
    visible: Flags

    def told(self, middle: float, scale: float, mads: float) -> Flags:
        """Tell pictures that lie beyond ``mads`` scales of the middle, (N,)."""
        beyond = self.sign * (self.value - middle) > mads * scale
        found: Flags = beyond & self.visible
        return found

    def mirrored(self, middle: float, scale: float, mads: float) -> int:
        """Count what lies as far on the other side, whatever an eye would see."""
        return int((self.sign * (middle - self.value) > mads * scale).sum())


def usual(value: Floats) -> tuple[float, float]:
    """Return median and scaled median absolute deviation of what is not NaN; 0, 0 of nothing."""
    known = value[np.isfinite(value)]
    if not len(known):
        return 0.0, 0.0
    middle = float(np.median(known))
    return middle, TO_SIGMA * float(np.median(np.abs(known - middle)))


def missing(facts: Mapping[str, Any]) -> list[str]:
    """Return the facts that the rules need and do not have."""
    return [name for name in NEEDS if name not in facts]


def blank(facts: Mapping[str, NDArray[Any]], limits: Limits) -> Flags:
    """Tell pictures of one colour, (N,)."""
    found: Flags = facts["contrast"] <= limits.blank
    return found


def rules(facts: Mapping[str, NDArray[Any]], limits: Limits) -> list[Rule]:
    """Return the relative rules; blank pictures take no part in those of light and detail."""
    empty = blank(facts, limits)
    light = facts["brightness"].astype(np.float64)
    bounded = light.clip(_LEAST, 1 - _LEAST)
    logit = np.where(empty, np.nan, np.log(bounded / (1 - bounded)))
    detail = np.where(empty, np.nan, relative_detail(facts, empty))
    darkest, lightest = _tones(facts)
    width, height = (facts[side].astype(np.float64) for side in ("width", "height"))
    longest = np.log(np.maximum(width, height))
    shape = np.abs(np.log(width / height))
    size, factor = longest - usual(longest)[0], np.log(limits.size_factor)
    return [
        Rule("dark", logit, -1, (light <= limits.dark) & (lightest <= HALF)),
        Rule("bright", logit, +1, (light >= limits.bright) & (darkest >= HALF)),
        Rule("blurred", detail, -1, detail <= -np.log(limits.blur_factor)),
        Rule("small", longest, -1, size <= -factor),
        Rule("large", longest, +1, size >= factor),
        Rule("odd_shape", shape, +1, shape - usual(shape)[0] >= np.log(limits.shape_factor)),
    ]


def relative_detail(facts: Mapping[str, NDArray[Any]], empty: Flags) -> Floats:
    """How much detail has each picture, against what is usual at its scale? (N,), logarithm.

    Sharpness by the square of the contrast, since a dark or pale picture is not a blurred one. The
    decode measures it at a longest side of at most 512; smaller pictures have more detail a pixel,
    so each is compared with pictures within the same half octave, where there are enough.
    """
    side = np.maximum(facts["width"], facts["height"]).clip(1, DETAIL_SIDE)
    contrast = np.maximum(facts["contrast"].astype(np.float64), 1e-6)
    detail: Floats = np.log(np.maximum(facts["sharpness"].astype(np.float64), 1e-12) / contrast**2)
    octave = np.round(2 * np.log2(side)).astype(np.int64)
    known = np.where(empty, np.nan, detail)
    overall = usual(known)[0]
    for scale in np.unique(octave):
        here = octave == scale
        enough = int((here & ~empty).sum()) >= ENOUGH
        detail[here] -= usual(known[here])[0] if enough else overall
    return detail


def _tones(facts: Mapping[str, NDArray[Any]]) -> tuple[Floats, Floats]:
    """Return the darkest and the lightest tones in [0, 1]; the mean where there is no thumbnail.

    A product on white paper or a lamp at night has a mean far off, and is exposed as it should be.
    """
    if "thumbnail" not in facts or not len(facts["thumbnail"]):
        light = facts["brightness"].astype(np.float64)
        return light, light
    pixels = facts["thumbnail"].reshape(len(facts["thumbnail"]), -1)
    darkest, lightest = np.percentile(pixels, TONES, axis=1) / 255.0
    return darkest, lightest


def interval(rule: Rule, mads: float, draws: int, rng: np.random.Generator) -> tuple[int, int]:
    """Between which counts would the rule tell, had other pictures set its line?

    Percentile bootstrap, 95 %, of median and deviation; who is visible is held.
    """
    known = rule.value[np.isfinite(rule.value)]
    if not len(known):
        return 0, 0
    counts = []
    for _ in range(draws):
        drawn = known[rng.integers(0, len(known), min(len(known), DRAWN))]
        counts.append(int(rule.told(*usual(drawn), mads).sum()))
    low, high = np.percentile(counts, [2.5, 97.5])
    return int(np.floor(low)), int(np.ceil(high))
