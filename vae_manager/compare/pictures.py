"""Picture files of a comparison: reading, infotext, and the contact sheet.

Pictures from other people are read in three formats, within bounds that are checked before decoding. Pillow opens some
forty formats, and hands one of them (EPS) to another program; a small file can ask for any amount of memory. So the
format comes from a list, the size from the header, and every error of Pillow becomes one sentence.
"""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..choice import BUILTIN
from ..errors import IntegrityError
from ..infotext import HIRES_VAE, REFINER_VAE
from ..messages import msg

if TYPE_CHECKING:
    from PIL import Image

    from .comparison_store import Pixels

__all__ = [
    "FORMATS",
    "MAX_FILE_BYTES",
    "MAX_PIXELS",
    "Labelled",
    "drawable",
    "letters_of",
    "png",
    "read_picture",
    "sheet",
    "with_fields",
    "with_modules",
    "with_vae",
    "wrapped_lines",
    "written_out",
]


_FIELD: Final = re.compile(r'\s*([\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
"""The WebUI's pattern (infotext_utils.py:23)."""
_HASH, _NAME, _DECODER, _VERSION = "VAE hash", "VAE", "VAE Decoder", "Version"
_MODULE: Final = re.compile(r"Module \d+")
_BEFORE_VAE: Final = (
    *("Steps", "Sampler", "Schedule type", "CFG scale", "Image CFG scale", "Seed", "Face restoration", "Size"),
    *("Model hash", "Model", "FP8 weight", "Cache FP16 weight for LoRA"),
)
"""Fields that precede those of the VAE (processing.py:744)."""

FORMATS: Final = ("PNG", "JPEG", "WEBP")
MAX_PIXELS: Final = 64_000_000
MAX_FILE_BYTES: Final = 256 * 2**20

MARGIN: Final = 16
"""Pixels around each picture."""
MAX_COLUMNS: Final = 4
"""Pictures in a row."""
FONTS: Final = (
    *("NotoSansCJK-Regular.ttc", "msyh.ttc", "PingFang.ttc", "Hiragino Sans GB.ttc", "wqy-microhei.ttc"),
    *("DejaVuSans.ttf", "segoeui.ttf", "Arial.ttf", "Helvetica.ttc"),
)
"""Font files by name; Pillow searches the system's font folders."""
PAPER, INK, FAINT = (250, 250, 250), (20, 20, 20), (90, 90, 90)


def with_vae(infotext: str, name: str | None, short_hash: str | None) -> str:
    """Return `infotext` with the VAE of this file name and hash as the decoder; None: the field is left out.

    A text that is no infotext stays unchanged.
    """
    head, newline, line = infotext.rpartition("\n")
    fields = [(key, value) for key, value in _fields(line) if key not in (_HASH, _NAME, _DECODER)]
    if not fields or fields[0][0] != "Steps":
        return infotext
    place = 0
    while place < len(fields) and fields[place][0] in _BEFORE_VAE:
        place += 1
    new_fields = [(key, _quoted(value)) for key, value in ((_HASH, short_hash), (_NAME, name)) if value is not None]
    fields[place:place] = new_fields
    return head + newline + _joined(_with_decoder_of_its_pass(fields, name))


def with_fields(infotext: str, new: Mapping[str, str]) -> str:
    """Return `infotext` with the fields `new` in place of those of the same names, before the WebUI's version.

    A text that is no infotext stays unchanged.
    """
    head, newline, line = infotext.rpartition("\n")
    fields = [(key, value) for key, value in _fields(line) if key not in new]
    if not fields or fields[0][0] != "Steps":
        return infotext
    place = next((place for place, (key, _) in enumerate(fields) if key == _VERSION), len(fields))
    fields[place:place] = [(key, _quoted(value)) for key, value in new.items()]
    return head + newline + _joined(fields)


def with_modules(infotext: str, vaes: Collection[str], name: str | None, short_hash: str | None) -> str:
    """Return the same in Forge's form: `Module 1: …, Module 2: …`, VAEs and text encoders in one, without suffixes.

    `vaes` are the names of modules that are VAEs. The VAE comes first, as Forge lists it, and its hash last.
    """
    head, newline, line = infotext.rpartition("\n")
    fields = _fields(line)
    if not fields or fields[0][0] != "Steps":
        return infotext
    quoted = {_quoted(vae) for vae in vaes}
    modules = [value for key, value in fields if _MODULE.fullmatch(key) and value is not None and value not in quoted]
    kept = [(key, value) for key, value in fields if not _MODULE.fullmatch(key) and key not in (_HASH, _NAME)]
    new_fields = [*([_quoted(name)] if name is not None else []), *modules]
    kept += [(f"Module {number}", value) for number, value in enumerate(new_fields, 1)]
    kept += [(_HASH, short_hash)] if short_hash is not None else []
    return head + newline + _joined(_with_decoder_of_its_pass(kept, name))


def _with_decoder_of_its_pass(
    fields: Sequence[tuple[str, str | None]], name: str | None
) -> Sequence[tuple[str, str | None]]:
    """Return `fields` with the decoder in the field of the pass that decodes, if that had a VAE of its own."""
    names = [key for key, _ in fields]
    last = next((key for key in (REFINER_VAE, HIRES_VAE) if key in names), None)
    named = name or BUILTIN.word
    return [(key, _quoted(named) if key == last and not _is_stem(named, value) else value) for key, value in fields]


def _is_stem(name: str, value: str | None) -> bool:
    """Return True if a field's value is `name`, possibly with the extension that Forge leaves out."""
    return value is not None and name in (value, Path(value).stem)


def _joined(fields: Iterable[tuple[str, str | None]]) -> str:
    return ", ".join(key if value is None else f"{key}: {value}" for key, value in fields)


def _fields(line: str) -> list[tuple[str, str | None]]:
    """Return name and value, as written, of each part; None as the value of a part without a colon."""
    fields: list[tuple[str, str | None]] = []
    at = 0
    while at < len(line):
        found = _FIELD.match(line, at)
        if found is None:
            end = line.find(",", at)
            end = len(line) if end < 0 else end
            fields.append((line[at:end].strip(), None))
            at = end + 1
        else:
            fields.append((found[1].strip(), found[2]))
            at = found.end()
    return fields


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False) if any(mark in value for mark in ",\n:") else value


def read_picture(source: Path | bytes, *, max_pixels: int = MAX_PIXELS, max_bytes: int = MAX_FILE_BYTES) -> Pixels:
    """Return the pixels of a PNG, JPEG or WEBP, in colour and upright: [height, width, 3] of 8 bits.

    Raises IntegrityError for another format, for a picture that is too large, and for a damaged file; OSError for a
    path that cannot be read.
    """
    import numpy as np
    from PIL import Image

    if isinstance(source, Path):
        with source.open("rb") as file:
            source = file.read(max_bytes + 1)
    if len(source) > max_bytes:
        raise IntegrityError(msg("The picture's file has more than {count} MB.", count=max_bytes // 2**20))
    try:
        with Image.open(io.BytesIO(source), formats=FORMATS) as image:
            width, height = image.size
            if width * height <= max_pixels:
                return np.asarray(_in_eight_bits(_upright(image)).convert("RGB"))
    except Image.DecompressionBombError as error:
        raise _too_large(max_pixels) from error
    except Exception as error:  # Pillow raises many classes of errors for a damaged file
        raise IntegrityError(
            msg("The picture is no PNG, JPEG or WEBP, or it is damaged. Save it as a PNG and try again.")
        ) from error
    raise _too_large(max_pixels)


def _too_large(max_pixels: int) -> IntegrityError:
    return IntegrityError(
        msg("The picture has more than {count} megapixels. Scale it down and try again.", count=max_pixels // 1_000_000)
    )


def _in_eight_bits(image: Image.Image) -> Image.Image:
    """Take the upper 8 of 16 bits of grey, as Pillow does for colour; its own conversion makes nearly all white."""
    import numpy as np
    from PIL import Image as images

    if not image.mode.startswith("I"):
        return image
    return images.fromarray((np.asarray(image) >> 8).astype(np.uint8))


def _upright(image: Image.Image) -> Image.Image:
    """Rotate as EXIF specifies; a picture with unreadable EXIF stays as it is."""
    from PIL import ImageOps

    image.load()  # a damaged picture must not be reported as damaged EXIF
    try:
        return ImageOps.exif_transpose(image) or image
    except Exception:  # noqa: BLE001 - any, over damaged EXIF
        return image


class Labelled(NamedTuple):
    """A picture of a sheet."""

    name: str
    pixels: Pixels | None
    """None: there is no picture, and the lines give the reason."""
    lines: Sequence[str]
    """The text below it: figures and words."""


def png(pixels: Pixels, infotext: str | None = None) -> bytes:
    """Return a PNG of exactly these pixels (colour, or grey [height, width]) with the text in the WebUI's field.

    Compression is light: the browser is usually on the same machine, and waits.
    """
    from PIL import Image

    return _written(Image.fromarray(pixels), infotext)


def sheet(title: str, pictures: Sequence[Labelled], *, infotext: str | None = None, font: str | None = None) -> bytes:
    """Return a PNG with all of `pictures` in their own size, in rows, with names and lines.

    `font` is the file of the preferred font, if it can be read.
    """
    from PIL import Image, ImageDraw

    height, width = max((one.pixels.shape[:2] for one in pictures if one.pixels is not None), default=(256, 256))
    type_size = max(13, min(width // 24, 40))
    line, letters = round(type_size * 1.5), letters_of(type_size, font)
    texts = [[one.name, *wrapped_lines(one.lines, letters, width)] for one in pictures]
    columns = min(MAX_COLUMNS, max(1, math.ceil(math.sqrt(len(pictures)))))
    top = MARGIN + 2 * line
    wide, high = width + MARGIN, height + MARGIN + line * max((len(text) for text in texts), default=0)
    paper = Image.new("RGB", (MARGIN + columns * wide, top + math.ceil(len(pictures) / columns) * high), PAPER)
    draw = ImageDraw.Draw(paper)
    draw.text((MARGIN, MARGIN), drawable(title, letters), INK, letters)
    for number, (one, text) in enumerate(zip(pictures, texts, strict=True)):
        left, upper = MARGIN + number % columns * wide, top + number // columns * high
        if one.pixels is not None:
            paper.paste(Image.fromarray(one.pixels), (left, upper))
        else:
            draw.rectangle((left, upper, left + width - 1, upper + height - 1), outline=FAINT)
        for place, words in enumerate(text):
            at = left, upper + height + place * line + line // 4
            draw.text(at, drawable(words, letters), FAINT if place else INK, letters)
    return _written(paper, infotext)


def written_out(text: str, size: tuple[int, int]) -> Image.Image:
    """Return a picture of `size` with the text in it, as large as it fits."""
    from PIL import Image, ImageDraw

    width, height = size
    margin = min(MARGIN, width // 16)
    for type_size in range(max(8, min(width // 16, 40)), 7, -1):
        letters, line = letters_of(type_size, None), round(type_size * 1.3)
        lines = wrapped_lines([text], letters, width - 2 * margin)
        if len(lines) * line <= height - 2 * margin:
            break
    paper = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(paper)
    for place, words in enumerate(lines):
        draw.text((margin, margin + place * line), drawable(words, letters), INK, letters)
    return paper


def _written(image: Image.Image, infotext: str | None) -> bytes:
    from PIL.PngImagePlugin import PngInfo

    texts = PngInfo()
    if infotext:
        texts.add_text("parameters", infotext)
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1, pnginfo=texts)
    return file.getvalue()


def wrapped_lines(lines: Sequence[str], letters: Any, width: int) -> list[str]:
    """Return lines that are no wider than the picture, broken at spaces, and within what is too wide without one."""
    wrapped: list[str] = []
    for text in lines:
        rest = ""
        for word in _narrow_words(text, letters, width):
            longer = f"{rest} {word}".strip()
            if rest and letters.getlength(drawable(longer, letters)) > width:
                wrapped.append(rest)
                rest = word
            else:
                rest = longer
        wrapped.append(rest)
    return wrapped


def _narrow_words(text: str, letters: Any, width: int) -> Iterator[str]:
    """Yield the words of a text, those that are too wide in parts: Chinese has no spaces."""
    for word in text.split(" "):
        part = ""
        for letter in word if letters.getlength(drawable(word, letters)) > width else ():
            if part and letters.getlength(drawable(part + letter, letters)) > width:
                yield part
                part = ""
            part += letter
        yield part or word


def letters_of(size: int, wanted: str | None) -> Any:
    """Return a font that supports Chinese if there is one; at worst Pillow's own."""
    from PIL import ImageFont

    for file in (*([wanted] if wanted else []), *FONTS):
        try:
            return ImageFont.truetype(file, size)
        except OSError:
            continue
    return ImageFont.load_default()


def drawable(text: str, letters: Any) -> str:
    """Return `text` without the characters at which Pillow's own font raises: all but Latin-1."""
    from PIL import ImageFont

    return text.encode("latin-1", "replace").decode("latin-1") if type(letters) is ImageFont.ImageFont else text
