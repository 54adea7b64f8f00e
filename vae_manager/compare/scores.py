"""Scores of one picture by one VAE: how far the decoded picture is from the original, and in which way.

Colour is measured on means of 8 × 8 pixels, since a VAE of Stable Diffusion has one latent pixel for them, and so that
lost detail does not count as a shift of colour. Detail is measured on the lightness alone, in three bands of one octave
each. Both are kept as sums, from which several pictures together give one contrast, one cast and one loss of detail: a
picture in one colour then has no weight in the contrast.

All pictures are uint8 arrays [height, width, 3] of one size. scikit-image computes CIELAB and CIEDE2000.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..files.state_file import finite
from .metrics import Box, most_different

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .comparison_store import Pixels

    Floats = NDArray[np.floating[Any]]

__all__ = ["BANDS", "NO_PICTURE", "VERSION", "Fit", "Score", "pooled", "score", "score_of_fields", "without_picture"]

VERSION: Final = 1
"""Raised when the same pictures give other scores: scores of another version are measured anew."""
BLOCK: Final = 8
"""Pixels along one side of a part whose mean colour is compared."""
BANDS: Final = ("fine", "medium", "coarse")
"""Details of 2 to 4, 4 to 8 and 8 to 16 pixels."""
WEIGHTS: Final = (0.5, 0.8, 1.0)
"""The weight of an error in each band: the eye is less sensitive to finer detail."""
STRONG: Final = 3.0
"""Times the mean gradient from which a pixel of the original is an edge: outlines and letters."""
CHANNELS: Final = 11
"""Numbers of `Score.channels`."""
NO_PICTURE: Final = 100.0
"""The distance of a picture that a VAE did not give: that from black to white."""
DIGITS: Final = 6
"""Decimals of a distance: sums in 32 bits depend on the place of the numbers in memory beyond them."""
FLAT: Final = 0.25
"""Deviation of the lightness, 0 … 100, below which a picture is one colour alone."""
VIVID: Final = 1.0
"""The same for an original that is certainly more than one colour."""


class Fit(NamedTuple):
    """Means over a picture, for a line from the original's values (x) to those of the decoded picture (y)."""

    x: float
    y: float
    xx: float
    """The variance of x, or its mean square if its mean is zero by construction."""
    xy: float
    yy: float

    def slope(self, least: float) -> float:
        """Return the slope, drawn towards 1 where `xx` is not much more than `least`, a variance without meaning."""
        return (self.xy + least) / (self.xx + least)


@dataclass(frozen=True)
class Score:
    """The measurement of one decoded picture against its original."""

    distance: float
    """One number for all differences, in units of CIELAB: 1 is just visible, `NO_PICTURE` means no picture."""
    colour: float
    """The mean difference of colour, CIEDE2000."""
    lab: tuple[Fit, Fit, Fit]
    """L*, a* and b* of the means of blocks."""
    channels: tuple[float, ...]
    """The mean products of the original's red, green and blue (rows) with those of the picture, in 0 … 1: 9 numbers,
    then the mean squares of the original and of the picture."""
    bands: tuple[Fit, Fit, Fit]
    """The lightness in each of `BANDS`; the means are zero."""
    edges: Fit
    """The gradients where the original has edges; the means are zero."""
    faces: Fit
    """The same within the faces of the original; all zero without one."""
    box: Box
    """The part with the largest difference."""
    is_flat: bool = False
    """The picture is one colour alone, and the original is not."""
    is_nan: bool = False
    """The decode gave NaN, for good or in the first precision."""

    @property
    def has_picture(self) -> bool:
        """False if the VAE gave no picture."""
        return self.distance < NO_PICTURE

    def fields(self) -> list[Any]:
        """Return the score as lists of numbers for a journal; `score_of_fields` reads them."""
        return [list(part) if isinstance(part, tuple) else part for part in astuple(self)]


_NO_FIT: Final = Fit(0.0, 0.0, 0.0, 0.0, 0.0)


def without_picture(*, is_nan: bool = False) -> Score:
    """Return the score of a VAE that gave no picture."""
    three = (_NO_FIT, _NO_FIT, _NO_FIT)
    return Score(
        NO_PICTURE, NO_PICTURE, three, (0.0,) * CHANNELS, three, _NO_FIT, _NO_FIT, Box(0, 0, 0, 0), is_nan=is_nan
    )


def score(original: Pixels, picture: Pixels, *, is_nan: bool = False, faces: Sequence[Box] = ()) -> Score:
    """Return the score of `picture`; `faces` are those of the original. Raises ValueError if the sizes differ."""
    import numpy as np
    from skimage.color import deltaE_ciede2000, rgb2lab

    if original.shape != picture.shape:
        raise ValueError(f"pictures of {original.shape} and {picture.shape}")
    means = _block_means(original), _block_means(picture)
    first, second = (rgb2lab(mean) for mean in means)
    off = deltaE_ciede2000(first, second)
    lights = _lightness(original), _lightness(picture)
    pairs = list(zip(_bands(lights[0]), _bands(lights[1]), strict=True))
    errors = [float(((one - other) ** 2).sum()) / max(one.size, 1) for one, other in pairs]
    squares = float(np.mean(off**2)) + sum(weight**2 * error for weight, error in zip(WEIGHTS, errors, strict=True))
    return Score(
        distance=round(min(squares**0.5, NO_PICTURE - 1), DIGITS),
        colour=round(float(off.mean()), DIGITS),
        lab=_three([_fit(first[..., channel], second[..., channel]) for channel in range(3)]),
        channels=_channels(*means),
        bands=_three([_raw_fit(*pair) for pair in pairs]),
        edges=_edges(*lights),
        faces=_faces(*lights, faces),
        box=next(iter(most_different([original, picture], 1)), Box(0, 0, 0, 0)),
        is_flat=bool(lights[1].std() < FLAT and lights[0].std() >= VIVID),
        is_nan=is_nan,
    )


def score_of_fields(fields: Sequence[Any]) -> Score:
    """Return the score that `Score.fields` wrote. Raises ValueError or TypeError for any other value."""
    distance, colour, lab, channels, bands, edges, faces, box, is_flat, is_nan = fields
    if len(channels) != CHANNELS:
        raise ValueError("no score")
    return Score(
        finite(distance),
        finite(colour),
        _three([_fit_of(fit) for fit in lab]),
        tuple(finite(value) for value in channels),
        _three([_fit_of(fit) for fit in bands]),
        _fit_of(edges),
        _fit_of(faces),
        Box(*(int(side) for side in box)),
        is_flat is True,
        is_nan is True,
    )


def pooled(fits: Sequence[Fit]) -> Fit:
    """Return the fit of several pictures together; each picture counts once. The variances are those within one."""
    count = max(len(fits), 1)
    return Fit(*(sum(fit[place] for fit in fits) / count for place in range(5)))


def _three(fits: Sequence[Fit]) -> tuple[Fit, Fit, Fit]:
    first, second, third = fits
    return first, second, third


def _fit_of(values: Sequence[Any]) -> Fit:
    return Fit(*(finite(value) for value in values))


def _block_means(pixels: Pixels) -> Floats:
    """Return the means of blocks, 0 … 1, [rows, columns, 3]. Rows and columns that fill no block are left out."""
    import numpy as np

    height, width = pixels.shape[:2]
    high, wide = min(BLOCK, height), min(BLOCK, width)
    rows, columns = height // high, width // wide
    # Sums of whole numbers in two steps: reduceat and float64 take several times as long
    used = pixels[: rows * high, : columns * wide].reshape(rows, high, columns * wide * 3).sum(1, dtype=np.uint32)
    sums: Floats = used.reshape(rows, columns, wide, 3).sum(2).astype(np.float64)
    return sums / (255.0 * high * wide)


def _lightness(pixels: Pixels) -> NDArray[np.float32]:
    """Return the luma, 0 … 100: near L*, which is not linear in the pixels either, and far quicker."""
    import numpy as np

    # Value by value: a product of matrices differs in its last bits with the place of the numbers in memory
    light = pixels[..., 0] * np.float32(0.2126 * 100 / 255)
    light += pixels[..., 1] * np.float32(0.7152 * 100 / 255)
    light += pixels[..., 2] * np.float32(0.0722 * 100 / 255)
    return light


def _fit(x: Floats, y: Floats) -> Fit:
    mean_x, mean_y = float(x.mean()), float(y.mean())
    off_x, off_y = x - mean_x, y - mean_y
    return Fit(
        mean_x, mean_y, float((off_x * off_x).mean()), float((off_x * off_y).mean()), float((off_y * off_y).mean())
    )


def _raw_fit(x: Floats, y: Floats) -> Fit:
    """Return the fit of values whose mean is zero."""
    import numpy as np

    flat_x, flat_y = x.ravel(), y.ravel()
    count = max(flat_x.size, 1)
    pairs = ((flat_x, flat_x), (flat_x, flat_y), (flat_y, flat_y))
    xx, xy, yy = (float(np.dot(one, other)) / count for one, other in pairs)
    return Fit(0.0, 0.0, xx, xy, yy)


def _bands(light: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Return what a blur by quarters of 1 2 1 takes from the picture, and from that blur at half its size, twice.

    Such a blur takes next to nothing from a smooth gradient, so each band is detail alone.
    """
    bands = []
    for _ in BANDS:
        smooth = _smooth(_smooth(light).T).T
        inner = light[1:-1, 1:-1] if min(light.shape) > 2 else light[:0, :0]
        bands.append(inner - smooth if inner.size else inner)
        light = smooth[::2, ::2]
    return bands


def _smooth(light: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return means of 1 2 1 down the rows; the first and the last row are left out."""
    smooth: NDArray[np.float32] = light[1:-1] * 2
    smooth += light[:-2]
    smooth += light[2:]
    smooth *= 0.25
    return smooth


def _edges(first: NDArray[np.float32], second: NDArray[np.float32]) -> Fit:
    import numpy as np

    across = [(light[:-1, 1:] - light[:-1, :-1]) for light in (first, second)]
    down = [(light[1:, :-1] - light[:-1, :-1]) for light in (first, second)]
    much = across[0] ** 2 + down[0] ** 2
    if not much.size:
        return _NO_FIT
    strong = much > max(STRONG**2 * float(np.sqrt(much).mean()) ** 2, 1.0)
    if not strong.any():
        return _NO_FIT
    one, other = (np.concatenate([across[at][strong], down[at][strong]]) for at in range(2))
    return _raw_fit(one, other)


def _faces(first: NDArray[np.float32], second: NDArray[np.float32], faces: Sequence[Box]) -> Fit:
    """Return the fit of the gradients within the faces; each face counts once."""
    fits = []
    for face in faces:
        part = slice(face.top, face.top + face.height), slice(face.left, face.left + face.width)
        fits.append(_edges(first[part], second[part]))
    return pooled(fits) if fits else _NO_FIT


def _channels(first: Floats, second: Floats) -> tuple[float, ...]:
    one, other = first.reshape(-1, 3), second.reshape(-1, 3)
    products = one.T @ other / len(one)
    squares = float((one**2).sum(1).mean()), float((other**2).sum(1).mean())
    return (*(float(value) for value in products.ravel()), *squares)
