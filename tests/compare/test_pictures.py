"""Pictures that somebody else has made: three formats, bounded before they are decoded."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vae_manager.compare.pictures import FORMATS, read_picture
from vae_manager.errors import IntegrityError

SIZE = (16, 8)
PICTURE = Image.fromarray(np.random.default_rng(1).integers(0, 256, (*SIZE[::-1], 3), np.uint8))
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n"


def written(format: str, picture: Image.Image = PICTURE, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, format, **options)
    return file.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_of(width: int, height: int) -> bytes:
    """A small file that asks for much memory."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + content


@pytest.mark.parametrize("format", FORMATS)
def test_what_is_read(format: str, tmp_path: Path) -> None:
    content = written(format, **({"lossless": True} if format == "WEBP" else {}))
    pixels = read_picture(content)
    assert pixels.shape == (*SIZE[::-1], 3)
    assert format == "JPEG" or np.array_equal(pixels, np.asarray(PICTURE))
    path = tmp_path / "picture"
    path.write_bytes(content)
    assert np.array_equal(read_picture(path), pixels)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16"])
def test_any_kind_of_pixels_becomes_colour(mode: str) -> None:
    assert read_picture(written("PNG", Image.new(mode, SIZE))).shape == (*SIZE[::-1], 3)


def test_grey_of_16_bits_keeps_its_shades() -> None:
    shades = np.arange(16 * 8, dtype=np.uint16).reshape(8, 16) * 512
    pixels = read_picture(written("PNG", Image.fromarray(shades)))
    assert np.array_equal(pixels, np.repeat((shades >> 8)[..., None], 3, axis=2))


def test_a_picture_is_upright() -> None:
    exif = Image.Exif()
    exif[274] = 6
    assert read_picture(written("JPEG", exif=exif)).shape == (*SIZE, 3)


@pytest.mark.parametrize("format", ["GIF", "BMP", "TIFF", "PPM", "ICO", "TGA", "PCX", "PDF"])
def test_other_formats_are_refused(format: str) -> None:
    with pytest.raises(IntegrityError):
        read_picture(written(format))


@pytest.mark.parametrize(
    "content",
    [
        EPS,
        b"",
        b"no picture",
        png_of(60_000, 60_000),
        png_of(2**31 - 1, 2**31 - 1),
        png_of(0, 4),
        png_of(9_000, 9_000),
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", b""),
        b"\x89PNG\r\n\x1a\n" + chunk(b"iCCP", b"x"),
        b"RIFF\xff\xff\xff\xffWEBPVP8 ",
        b"\xff\xd8\xff\xe0\x00",
    ],
)
def test_hostile_files_are_refused(content: bytes) -> None:
    with pytest.raises(IntegrityError):
        read_picture(content)


@pytest.mark.parametrize("format", FORMATS)
def test_a_file_that_was_cut_off_is_refused(format: str) -> None:
    content = written(format)
    for length in range(0, len(content) - 24, 7):
        with pytest.raises(IntegrityError):
            read_picture(content[:length])


def test_flipped_bytes_give_a_picture_or_a_sentence() -> None:
    random = np.random.default_rng(2)
    for format in FORMATS:
        content = np.frombuffer(written(format), np.uint8)
        for _ in range(300):
            spoilt = content.copy()
            spoilt[random.integers(0, len(content), 3)] = random.integers(0, 256, 3)
            try:
                read_picture(spoilt.tobytes(), max_pixels=100_000)
            except IntegrityError:
                continue


def test_bounds(tmp_path: Path) -> None:
    content = written("PNG")
    with pytest.raises(IntegrityError):
        read_picture(content, max_pixels=SIZE[0] * SIZE[1] - 1)
    assert read_picture(content, max_pixels=SIZE[0] * SIZE[1]).size
    path = tmp_path / "picture.png"
    path.write_bytes(content)
    for source in (content, path):
        with pytest.raises(IntegrityError):
            read_picture(source, max_bytes=len(content) - 1)
    with pytest.raises(FileNotFoundError):
        read_picture(tmp_path / "gone.png")
