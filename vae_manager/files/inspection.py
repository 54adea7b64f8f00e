"""What a file is: from its first bytes and its header, never from its name; nothing in it is run or unpickled."""

from __future__ import annotations

import math
import re
import stat
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from ..catalogue.entry import Layout
from ..errors import DiskError, IntegrityError
from ..sentences import Sentence, say
from .headers import MAX_HEADER, TensorInfo, disk_error, read_header
from .layouts import dtype_of, read_layout

__all__ = ["Container", "Inspection", "Problem", "inspect"]

Container = Literal["safetensors", "pickle", "web page", "lfs pointer", "empty", "unknown"]

_HEAD: Final = 1024
_WEB_PAGE: Final = re.compile(rb"\s*(?:<\?xml|<!--|<!doctype|<(?:html|head|body|script|title)\b)", re.IGNORECASE)
_LFS_POINTER: Final = b"version https://git-lfs.github.com/spec/"
_TEXT: Final = re.compile(rb"[\t\n\r\x20-\x7e]+")
_PICKLE: Final = re.compile(rb"\x80[\x02-\x05]", re.DOTALL)
_BAD_ZIP: Final = (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError, OverflowError, struct.error)


@dataclass(frozen=True)
class Problem:
    """Something that is wrong with a file."""

    code: str
    sentence: Sentence


@dataclass(frozen=True)
class Inspection:
    """What one file is, and what is wrong with it."""

    path: Path
    size: int
    """Bytes."""
    container: Container
    layout: Layout = "unknown"
    latent_channels: int | None = None
    """4 for SD 1.x, 2.x and SDXL alike; None where the header does not tell."""
    dtype: str | None = None
    """`fp32`, `fp16`, `bf16`, …: what most of the weights are."""
    tensors: Mapping[str, TensorInfo] = field(default_factory=dict)
    """Empty for all but safetensors."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    """Why the WebUI cannot load it as a VAE; empty where nothing speaks against it."""
    parameters: int | None = None
    """Numbers in the VAE's tensors."""
    has_encoder: bool = False
    has_decoder: bool = False
    prefix: str = ""
    """What stands before the VAE's names."""
    convertible: bool = False
    """A conversion would make it loadable by this WebUI."""

    @property
    def problem(self) -> Sentence | None:
        """The first of the problems."""
        return self.problems[0].sentence if self.problems else None

    @property
    def loadable(self) -> bool:
        """Whether the WebUI can load such a file as a VAE. A pickle is not opened: True says that nothing is known
        against it."""
        return self.problem is None and self.container in ("safetensors", "pickle")


def inspect(path: Path) -> Inspection:
    """Look at `path`; what is wrong with the bytes is an answer, not an error.

    Raises `NotFoundError` and `DiskError` where they cannot be read.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # to open a pipe would wait for somebody to write to it
            raise DiskError(say("{path} is not a file.", path=path))
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            head = file.read(_HEAD)
        return _from_head(path, size, head)
    except OSError as error:
        raise disk_error(path, error) from error


def _from_head(path: Path, size: int, head: bytes) -> Inspection:
    name = path.name
    if size == 0:
        problem = say("{file} is empty. Get it again.", file=name)
        return Inspection(path, size, "empty", problems=(Problem("empty", problem),))
    if head.startswith(_LFS_POINTER):
        problem = say("{file} is a Git LFS pointer: a note that stands for the VAE. Get it again.", file=name)
        return Inspection(path, size, "lfs pointer", problems=(Problem("lfs-pointer", problem),))
    if _WEB_PAGE.match(head.removeprefix(b"\xef\xbb\xbf")):
        problem = say("{file} is a web page, not a VAE: the link led to a page. Get it again.", file=name)
        return Inspection(path, size, "web page", problems=(Problem("web-page", problem),))
    if head.startswith(b"PK\x03\x04"):
        return _zip(path, size)
    if _begins_like_safetensors(head):
        return _safetensors(path, size)
    if _PICKLE.match(head):
        return Inspection(path, size, "pickle")
    if _TEXT.fullmatch(head):
        problem = say("{file} is text, not a VAE; perhaps a server's message. Get it again.", file=name)
    else:
        problem = say("{file} is neither a safetensors file nor a PyTorch file. Get it again.", file=name)
    return Inspection(path, size, "unknown", problems=(Problem("not-a-model", problem),))


def _begins_like_safetensors(head: bytes) -> bool:
    """A header length that can be, then a JSON object (the library allows white space before it)."""
    return int.from_bytes(head[:8], "little") <= MAX_HEADER and head[8:].lstrip()[:1] == b"{"


def _safetensors(path: Path, size: int) -> Inspection:
    try:
        header = read_header(path)
    except IntegrityError as error:
        return Inspection(path, size, "safetensors", problems=(Problem("bad-header", error.sentence),))
    reading = read_layout(header.tensors, path.name)
    code = reading.layout if reading.layout != "ldm" else "no-decoder"
    prefix = next((p for p in ("first_stage_model.", "vae.") if any(n.startswith(p) for n in header.tensors)), "")
    inner = {name[len(prefix) :]: tensor for name, tensor in header.tensors.items() if name.startswith(prefix)}
    return Inspection(
        path,
        size,
        "safetensors",
        reading.layout,
        reading.latent_channels,
        dtype_of(header.tensors),
        header.tensors,
        header.metadata,
        (Problem(code, reading.problem),) if reading.problem is not None else (),
        sum(math.prod(tensor.shape) for tensor in inner.values()),
        any(name.startswith("encoder.") for name in inner),
        any(name.startswith("decoder.") for name in inner),
        prefix,
        reading.layout in ("diffusers", "prefixed", "checkpoint") and "decoder.conv_in.weight" in inner,
    )


def _zip(path: Path, size: int) -> Inspection:
    """A file of `torch.save` is a zip archive with a `data.pkl`; its table of contents stands at the end."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except _BAD_ZIP:
        problem = say("{file} ends too early. The download was probably cut off; get it again.", file=path.name)
        return Inspection(path, size, "pickle", problems=(Problem("truncated", problem),))
    if any(name.rpartition("/")[2] == "data.pkl" for name in names):
        return Inspection(path, size, "pickle")
    problem = say("{file} is a zip archive, not a VAE.", file=path.name)
    return Inspection(path, size, "unknown", problems=(Problem("zip-without-model", problem),))
