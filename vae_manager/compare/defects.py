"""Defects of a VAE, named by its pictures: a profile of all its scores, and the limits from which a shift is named.

A shift is named if it would be seen and if the pictures agree on it: its interval, by a bootstrap over the pictures,
lies on one side of zero. Detail is relative to the VAE of the ranking that keeps the most of it, since every VAE of
Stable Diffusion loses fine detail, and how much depends on the pictures. No defect is ever guessed from the look of one
picture: each is a difference between what went in and what came out.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING, Any, Final

from .metrics import BRIGHTER, CONTRAST, SATURATED, TINTED
from .ranking import resamples
from .scores import BANDS, Score

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Defect", "Kind", "Profile", "Shift", "defects", "is_useless", "profile_of"]

SURE: Final = 0.95
PLAIN: Final = 4.0
"""A variance of L*, a* or b* without meaning: that of a deviation of 2."""
FAINT: Final = 0.02
"""The mean square of detail or gradients without meaning."""
MIDDLE: Final = 53.6
"""L* of middle grey, about which a VAE with less contrast contracts."""
SOFTER: Final = 0.12
"""The part of the fine detail that a VAE loses beside the sharpest one."""
KEPT: Final = 0.25
"""The part of a band that some VAE has to keep, or that band says nothing about the others."""
EXCHANGED: Final = 0.5
"""Channels are exchanged if an exchange explains the picture by at least this part better."""
EXPLAINED: Final = 0.05
"""The part of the squares that an exchange leaves at most: it is the same picture then, in other channels."""
AKIN: Final = 0.5
"""The correlation of the lightness with the original's, below which a picture is another one."""
IDENTITY: Final = (0, 1, 2)


class Kind(enum.Enum):
    """A kind of defect."""

    NO_PICTURE = "no-picture"
    NAN = "nan"
    """NaN in the first precision; the picture came from a second decode."""
    OVERFLOW = "overflow"
    """Values of a layer are beyond the range of 16 bits."""
    FLAT = "flat"
    BROKEN = "broken"
    """The picture has next to nothing of the original."""
    INVERTED = "inverted"
    """Light is dark, and dark is light."""
    EXCHANGED = "channels-exchanged"
    CONTRAST = "contrast"
    SATURATION = "saturation"
    BRIGHTNESS = "brightness"
    GREEN_RED = "green-red"
    BLUE_YELLOW = "blue-yellow"
    BLUR = "blur"
    EDGES = "edges"


@dataclass(frozen=True)
class Defect:
    """One named defect."""

    kind: Kind
    amount: float = 0.0
    """Signed: a part of 1 for contrast, saturation, blur and edges, L*, a* or b* for the others, else pictures."""
    beside: str = ""
    """The layer, or the order of the channels (`bgr`)."""


@dataclass(frozen=True)
class Shift:
    """A measure over all pictures, with its interval at 95 %."""

    value: float
    low: float
    high: float

    def is_beyond(self, limit: float) -> bool:
        """Return True if it reaches the limit in either direction, and the pictures agree on the direction."""
        return abs(self.value) >= limit and (self.low > 0 or self.high < 0)


_NONE: Final = Shift(0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Profile:
    """All scores of one VAE together."""

    pictures: int
    missing: int
    """Pictures that it did not give."""
    nan: int
    """Pictures whose first decode gave NaN."""
    flat: int
    colour: float = 0.0
    """The mean CIEDE2000."""
    contrast: Shift = _NONE
    """The relative change."""
    saturation: Shift = _NONE
    brightness: Shift = _NONE
    """Of L*, without the part that the contrast explains."""
    green_red: Shift = _NONE
    """Of a*, without the part that the saturation explains; negative is greener."""
    blue_yellow: Shift = _NONE
    """Of b*; negative is bluer."""
    detail: tuple[Shift, ...] = ()
    """The relative change in each of `BANDS`, without the part that the contrast explains."""
    edges: Shift = _NONE
    """The same where the original has edges."""
    faces: float | None = None
    """The same within faces; None without a face in any picture."""
    order: str = "rgb"
    """The order of the channels that explains the pictures best."""
    likeness: float = 1.0
    """The correlation of the lightness with the original's, -1 … 1; 1 for pictures in one colour."""

    @property
    def is_flat(self) -> bool:
        """True if most pictures are one colour alone."""
        return self.flat * 2 > self.pictures - self.missing

    @property
    def is_whole(self) -> bool:
        """True if the pictures are those that went in, so that a shift of them has a meaning."""
        return self.missing < self.pictures and not self.is_flat and self.order == "rgb" and self.likeness >= AKIN


def profile_of(scores: Sequence[Score]) -> Profile:
    """Return the profile of one VAE. Pictures that it did not give count as missing alone."""
    import numpy as np

    made = [score for score in scores if score.has_picture]
    missing, nan, flat = len(scores) - len(made), sum(s.is_nan for s in scores), sum(s.is_flat for s in scores)
    if not made:
        return Profile(len(scores), missing, nan, flat)
    counts = np.vstack([np.ones(len(made)), resamples(len(made))]) / len(made)

    def line(fits: Sequence[Any]) -> Floats:
        """Return [5, 1 + resamples]: the pooled fit of all pictures first, then that of each resample."""
        pooled: Floats = np.array(fits).T @ counts.T
        return pooled

    light, green, blue = (line([score.lab[at] for score in made]) for at in range(3))
    contrast = _slope([light], PLAIN)
    saturation = _slope([green, blue], PLAIN)
    bands = [_slope([line([score.bands[at] for score in made])], FAINT) for at in range(len(BANDS))]
    edges = _slope([line([score.edges for score in made])], FAINT)
    safe = np.maximum(contrast, 0.05)
    with_face = [score.faces for score in made if score.faces.xx > 0]
    faces = sum(fit.xy for fit in with_face) / sum(fit.xx for fit in with_face) if with_face else None
    return Profile(
        len(scores),
        missing,
        nan,
        flat,
        colour=sum(score.colour for score in made) / len(made),
        contrast=_shift(contrast - 1),
        saturation=_shift(saturation - 1),
        brightness=_shift(light[1] - MIDDLE - contrast * (light[0] - MIDDLE)),
        green_red=_shift(green[1] - saturation * green[0]),
        blue_yellow=_shift(blue[1] - saturation * blue[0]),
        detail=tuple(_shift(band / safe - 1) for band in bands),
        edges=_shift(edges / safe - 1),
        faces=faces / float(safe[0]) - 1 if faces is not None else None,
        order=_order([score.channels for score in made]),
        likeness=_likeness(light[:, 0]),
    )


def _likeness(light: Floats) -> float:
    """Return the correlation of the pooled lightness; 1 where the originals have no variance with a meaning."""
    _, _, xx, xy, yy = (float(value) for value in light)
    return (xy + PLAIN) / ((xx + PLAIN) * (yy + PLAIN)) ** 0.5 if xx > PLAIN else 1.0


def _slope(lines: Sequence[Floats], least: float) -> Floats:
    """Return the slope of each column of fits, drawn towards 1 as in `Fit.slope`; the lines share one slope."""
    xx, xy = sum(line[2] for line in lines), sum(line[3] for line in lines)
    slope: Floats = (xy + least) / (xx + least)
    return slope


def _shift(values: Floats) -> Shift:
    """Return the first value with the interval of the others."""
    import numpy as np

    low, high = np.quantile(values[1:], [(1 - SURE) / 2, (1 + SURE) / 2])
    return Shift(float(values[0]), float(low), float(high))


def _order(channels: Sequence[tuple[float, ...]]) -> str:
    """Return `rgb`, or the order of channels that leaves far less of an error than that."""
    means = [sum(values) / len(channels) for values in zip(*channels, strict=True)]
    products, squares = means[:9], means[9] + means[10]

    def error(order: Sequence[int]) -> float:
        return float(squares - 2 * sum(products[3 * order[at] + at] for at in range(3)))

    best = min(permutations(IDENTITY), key=error)
    is_exchanged = best != IDENTITY and error(best) < min(EXCHANGED * error(IDENTITY), EXPLAINED * squares)
    return "".join("rgb"[at] for at in best) if is_exchanged else "rgb"


def defects(profiles: Mapping[str, Profile], layers: Mapping[str, str | None] | None = None) -> dict[str, list[Defect]]:
    """Return the defects of each VAE, the worst kind first. `layers` has the layer that overflows in 16 bits."""
    sharp = [of.detail for of in profiles.values() if of.detail and of.is_whole]
    # What is beyond the original is no detail that another VAE loses
    most = [min(1 + max(of[band].value for of in sharp), 1.0) for band in range(len(BANDS))] if len(sharp) > 1 else []
    found = {}
    for vae, profile in profiles.items():
        layer = (layers or {}).get(vae)
        overflow = [Defect(Kind.OVERFLOW, beside=layer)] if layer is not None else []
        found[vae] = [*_without_picture(profile), *overflow, *_shifts(profile), *_softer(profile, most)]
    return found


def is_useless(defects: Sequence[Defect], profile: Profile) -> bool:
    """Return True for a VAE that gives no picture at all, or others than those that went in."""
    others = (Kind.BROKEN, Kind.INVERTED)
    return profile.missing == profile.pictures or profile.is_flat or any(one.kind in others for one in defects)


def _without_picture(profile: Profile) -> list[Defect]:
    counts = [
        (Kind.NO_PICTURE, profile.missing),
        (Kind.NAN, profile.nan if not profile.missing else 0),
        (Kind.FLAT, profile.flat),
    ]
    return [Defect(kind, count) for kind, count in counts if count]


def _shifts(profile: Profile) -> list[Defect]:
    if profile.is_flat:
        return []
    if profile.order != "rgb":
        return [Defect(Kind.EXCHANGED, beside=profile.order)]
    if profile.likeness < AKIN:
        return [Defect(Kind.INVERTED if profile.likeness <= -AKIN else Kind.BROKEN)]
    limits = [
        (Kind.CONTRAST, profile.contrast, CONTRAST),
        (Kind.SATURATION, profile.saturation, SATURATED),
        (Kind.GREEN_RED, profile.green_red, TINTED),
        (Kind.BLUE_YELLOW, profile.blue_yellow, TINTED),
        (Kind.BRIGHTNESS, profile.brightness, BRIGHTER),
    ]
    return [Defect(kind, shift.value) for kind, shift, limit in limits if shift.is_beyond(limit)]


def _softer(profile: Profile, most: Sequence[float]) -> list[Defect]:
    """Compare with `most`, the largest part that any VAE keeps of each band, in the finest band that one keeps."""
    band = next((at for at, kept in enumerate(most) if kept >= KEPT), None)
    if band is None or not profile.detail or profile.flat or not profile.is_whole:
        return []
    lost = max((1 + profile.detail[band].value) / most[band] - 1, -1.0)
    return [Defect(Kind.BLUR, lost)] if lost <= -SOFTER else []
