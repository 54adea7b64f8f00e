"""The ranking of VAEs by their scores on the same pictures: a paired bootstrap over the pictures.

The pictures are the sample: the question is which VAE would be nearest on more pictures of this kind. Each resample
draws pictures with replacement, the same for all VAEs, so that a difficult picture counts against none of them.

The differences of all pairs are tested together, each divided by its standard error (bootstrap-t), and the largest of a
resample counts: with 5 %, one false verdict is expected in twenty rankings, not in twenty pairs, and the VAE that the
same pictures chose as the nearest has no advantage. An interval that lies within `SMALL` on both sides is a finding
too: the two are equal. What is neither is left open, and more pictures decide it.

No resample differs from a sample of pictures that all agree, so the confidence is also bounded by a test that makes no
assumption: equal VAEs differ n times in the same direction in 2 of 2 ^ n samples. Six pictures are the fewest for a
verdict.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from .scores import NO_PICTURE, Score

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["CONFIDENT", "FEWEST", "SMALL", "Ranking", "Row", "Standing", "as_fields", "rank", "resamples"]

RESAMPLES: Final = 2000
SEED: Final = 20240229
"""Fixed, so that the same scores always give the same ranking."""
CONFIDENT: Final = 0.95
SMALL: Final = 0.15
"""The difference of two distances that counts as none, in units of CIELAB: 1 is just visible side by side."""
RESOLUTION: Final = 0.03
"""The error of one distance by the rounding of pixels. Without it, two VAEs that differ in the rounding of one picture
would have no error at all in the resamples without that picture."""
FEWEST: Final = 6
"""Pictures, below which no confidence reaches `CONFIDENT`."""


class Standing(enum.Enum):
    """A VAE beside the nearest one."""

    NEAREST = "nearest"
    EQUAL = "equal"
    """The difference is certainly small."""
    UNCLEAR = "unclear"
    """These pictures do not decide."""
    WORSE = "worse"
    USELESS = "useless"
    """It gives no picture, or nothing of the originals: it is ranked behind all others."""


@dataclass(frozen=True)
class Row:
    """One VAE of a ranking."""

    vae: str
    place: int
    """From 1; VAEs that are equal to the nearest share its place."""
    standing: Standing
    confidence: float
    """Of the standing, 0 … 1. Of the nearest: that it is better than the next that is not equal to it."""
    distance: float
    """The mean over the pictures: see `Score.distance`."""
    behind: float
    """The distance less that of the nearest."""
    low: float
    """The simultaneous interval of `behind` at `CONFIDENT`."""
    high: float


@dataclass(frozen=True)
class Ranking:
    """VAEs, the nearest first."""

    pictures: int
    """The pictures that every VAE was measured with."""
    rows: tuple[Row, ...] = ()

    def of(self, vae: str) -> Row | None:
        """Return the row of a VAE; None if it is not ranked."""
        return next((row for row in self.rows if row.vae == vae), None)


def rank(scores: Mapping[str, Mapping[str, Score]], useless: Collection[str] = ()) -> Ranking:
    """Return the ranking of VAEs, from the scores of each by picture. Only pictures that all have count.

    VAEs of one distance stay in their order. Those of `useless` are the last, and none of them is ever the nearest.
    """
    shared = sorted(set.intersection(*(set(of) for of in scores.values()))) if scores else []
    if not shared:
        return Ranking(0)
    rows = _rows({vae: of for vae, of in scores.items() if vae not in useless}, shared)
    nearest = rows[0].distance if rows else 0.0
    means = {vae: sum(scores[vae][picture].distance for picture in shared) / len(shared) for vae in useless}
    for vae in sorted(means, key=lambda vae: means[vae]):
        behind = means[vae] - nearest
        rows.append(Row(vae, len(rows) + 1, Standing.USELESS, 1.0, means[vae], behind, behind, behind))
    return Ranking(len(shared), tuple(rows))


def _rows(scores: Mapping[str, Mapping[str, Score]], shared: Sequence[str]) -> list[Row]:
    """Return the rows of VAEs by the pictures `shared`, the nearest first."""
    import numpy as np

    vaes = list(scores)
    if not vaes:
        return []
    distances = np.array([[scores[vae][picture].distance for vae in vaes] for picture in shared])
    means = distances.mean(0)
    order = sorted(range(len(vaes)), key=lambda at: (round(float(means[at]), 9), at))
    pairs = _Pairs(distances[:, order], resamples(len(shared)))
    return _with_nearest([_row(vaes[order[at]], at, pairs) for at in range(len(order))])


def resamples(pictures: int) -> Floats:
    """Return [RESAMPLES, pictures]: how often each picture is in each resample."""
    import numpy as np

    return np.random.default_rng(SEED).multinomial(pictures, [1 / pictures] * pictures, RESAMPLES).astype(np.float64)


class _Pairs:
    """The differences of all pairs, with their errors and the largest relative deviation of each resample."""

    def __init__(self, distances: Floats, counts: Floats) -> None:
        import numpy as np

        self.distances = distances
        self.count = len(distances)
        self.largest = np.zeros(len(counts))
        for first in range(distances.shape[1]):
            apart = distances[:, first + 1 :] - distances[:, [first]]
            if apart.shape[1]:
                self.largest = np.maximum(self.largest, _deviations(apart, counts).max(1))
        self.largest.sort()

    def behind(self, at: int) -> tuple[float, float]:
        """Return the difference of a VAE from the first one, and its standard error."""
        apart = self.distances[:, at] - self.distances[:, 0]
        variance = float(apart.var(ddof=1)) if self.count > 1 else NO_PICTURE**2
        return float(apart.mean()), float(((variance + RESOLUTION**2) / self.count) ** 0.5)

    @property
    def wide(self) -> float:
        """The half width of an interval at `CONFIDENT`, in standard errors."""
        return float(self.largest[min(int(CONFIDENT * len(self.largest)), len(self.largest) - 1)])

    def confidence(self, errors: float) -> float:
        """Return the share of resamples in which no pair deviates by as many standard errors."""
        import numpy as np

        share = float(np.searchsorted(self.largest, errors)) / len(self.largest)
        return max(0.0, min(share, 1 - 2 * 0.5**self.count))


def _deviations(apart: Floats, counts: Floats) -> Floats:
    """Return [resamples, pairs]: the deviation of each resample's mean, in its own standard errors."""
    import numpy as np

    count = len(apart)
    centred = apart - apart.mean(0)
    means = counts @ centred / count
    variances = np.maximum(counts @ centred**2 / count - means**2, 0) / max(count - 1, 1)
    found: Floats = np.abs(means) / np.sqrt(variances + RESOLUTION**2 / count)
    return found


def _row(vae: str, at: int, pairs: _Pairs) -> Row:
    distance = float(pairs.distances[:, at].mean())
    if at == 0:
        return Row(vae, 1, Standing.NEAREST, 1.0, distance, 0.0, 0.0, 0.0)
    behind, error = pairs.behind(at)
    low, high = behind - pairs.wide * error, behind + pairs.wide * error
    worse, equal = pairs.confidence(behind / error), pairs.confidence(max(SMALL - behind, 0.0) / error)
    if high <= SMALL and equal >= CONFIDENT:
        return Row(vae, at + 1, Standing.EQUAL, equal, distance, behind, low, high)
    standing = Standing.WORSE if low > 0 and worse >= CONFIDENT else Standing.UNCLEAR
    return Row(vae, at + 1, standing, worse, distance, behind, low, high)


def _with_nearest(rows: Sequence[Row]) -> list[Row]:
    """Let equal ones share the first place, and give the nearest its confidence."""
    placed = [replace(row, place=1) if row.standing is Standing.EQUAL else row for row in rows]
    others = [row.confidence for row in placed[1:] if row.standing is not Standing.EQUAL]
    return [replace(placed[0], confidence=min(others, default=1.0)), *placed[1:]]


def as_fields(row: Row) -> dict[str, Any]:
    """Return the fields of a row for JSON, rounded."""
    return {
        "vae": row.vae,
        "place": row.place,
        "standing": row.standing.value,
        "confidence": round(row.confidence, 4),
        "distance": round(row.distance, 3),
        "behind": round(row.behind, 3),
        "interval": [round(row.low, 3), round(row.high, 3)],
    }
