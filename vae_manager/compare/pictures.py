"""Reading a picture that somebody else has made: three formats, and bounds before anything is decoded.

Pillow opens some forty formats, and hands one of them (EPS) to another program; a small file can ask for any amount of
memory. So the format comes from a list, the size from the header, and what Pillow raises becomes one sentence.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..errors import IntegrityError
from ..sentences import say

if TYPE_CHECKING:
    from PIL.Image import Image

    from .comparison_values import Pixels

__all__ = ["FORMATS", "MAX_FILE_BYTES", "MAX_PIXELS", "read_picture"]

FORMATS: Final = ("PNG", "JPEG", "WEBP")
MAX_PIXELS: Final = 64_000_000
MAX_FILE_BYTES: Final = 256 * 2**20


def read_picture(source: Path | bytes, *, max_pixels: int = MAX_PIXELS, max_bytes: int = MAX_FILE_BYTES) -> Pixels:
    """The pixels of a PNG, JPEG or WEBP, in colour and upright: [height, width, 3] of 8 bits.

    Raises IntegrityError for anything else, for what is too large, and for a damaged file; OSError for a path that
    cannot be read.
    """
    import numpy as np
    from PIL import Image

    if isinstance(source, Path):
        with source.open("rb") as file:
            source = file.read(max_bytes + 1)
    if len(source) > max_bytes:
        raise IntegrityError(say("The picture's file has more than {count} MB.", count=max_bytes // 2**20))
    try:
        with Image.open(io.BytesIO(source), formats=FORMATS) as image:
            width, height = image.size
            if width * height <= max_pixels:
                return np.asarray(_in_eight_bits(_upright(image)).convert("RGB"))
    except Image.DecompressionBombError as error:
        raise _too_large(max_pixels) from error
    except Exception as error:  # Pillow raises all kinds of errors over a damaged file
        raise IntegrityError(
            say("The picture is no PNG, JPEG or WEBP, or it is damaged. Save it as a PNG and try again.")
        ) from error
    raise _too_large(max_pixels)


def _too_large(max_pixels: int) -> IntegrityError:
    return IntegrityError(
        say("The picture has more than {count} megapixels. Scale it down and try again.", count=max_pixels // 1_000_000)
    )


def _in_eight_bits(image: Image) -> Image:
    """Grey of 16 bits by its upper 8, as Pillow takes colour of 16 bits; its own conversion makes nearly all white."""
    import numpy as np
    from PIL import Image as images

    if not image.mode.startswith("I"):
        return image
    return images.fromarray((np.asarray(image) >> 8).astype(np.uint8))


def _upright(image: Image) -> Image:
    """Rotate as EXIF specifies; a picture with unreadable EXIF stays as it is."""
    from PIL import ImageOps

    image.load()  # a damaged picture is not to be taken for damaged EXIF
    try:
        return ImageOps.exif_transpose(image) or image
    except Exception:  # noqa: BLE001 - any, over damaged EXIF
        return image
