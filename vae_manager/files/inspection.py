"""What a file is: from its first bytes and its header, never from its name; nothing in it is run."""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from ..catalogue.entry import Layout
from ..errors import BrokenFileError, DiskError
from ..sentences import Sentence, say
from .headers import Header, TensorInfo, begins_like_safetensors, disk_error, read_header
from .layouts import read_layout
from .pickles import is_torch_file, read_torch
from .problems import Problem

__all__ = ["Container", "Inspection", "inspect"]

Container = Literal["safetensors", "pickle", "web page", "lfs pointer", "empty", "unknown"]

_HEAD: Final = 1024
_WEB_PAGE: Final = re.compile(rb"\s*(?:<\?xml|<!--|<!doctype|<(?:html|head|body|script|title)\b)", re.IGNORECASE)
_LFS_POINTER: Final = b"version https://git-lfs.github.com/spec/"
_TEXT: Final = re.compile(rb"[\t\n\r\x20-\x7e]+")
_UTF8_MARK: Final = b"\xef\xbb\xbf"


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
    """`fp32`, `fp16`, `bf16`, …: what most of the VAE's weights are."""
    tensors: Mapping[str, TensorInfo] = field(default_factory=dict)
    """All of the file, by their names in it; empty where it could not be read."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    """Why the WebUI cannot load it as a VAE, the weightiest first; none where nothing speaks against it."""
    parameters: int | None = None
    """Numbers in the VAE's tensors; None where there is no VAE."""
    has_encoder: bool = False
    has_decoder: bool = False
    prefix: str = ""
    """What stands before the names of the VAE's tensors: `first_stage_model.` in most checkpoints."""
    convertible: bool = False
    """Whether the WebUI could load its VAE after a conversion. False where it can already."""

    @property
    def problem(self) -> Sentence | None:
        """The weightiest of `problems`, in words."""
        return self.problems[0].sentence if self.problems else None

    @property
    def loadable(self) -> bool:
        """Whether the WebUI can load such a file as a VAE, as far as names and shapes tell."""
        return not self.problems and self.container in ("safetensors", "pickle")


def inspect(path: Path) -> Inspection:
    """Look at `path`; what is wrong with the bytes is an answer, not an error. The weights are not read.

    Raises `NotFoundError` and `DiskError` where they cannot be read.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # to open a pipe would wait for somebody to write to it
            raise DiskError(say("{path} is not a file.", path=path))
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            head = file.read(_HEAD)
    except OSError as error:
        raise disk_error(path, error) from error
    return _from_head(path, size, head)


def _from_head(path: Path, size: int, head: bytes) -> Inspection:
    container, problem = _no_model(path.name, size, head)
    if problem is not None:
        return Inspection(path, size, container, problems=(problem,))
    try:
        if container == "safetensors":
            return _weighed(path, size, container, read_header(path))
        header = read_torch(path)
    except BrokenFileError as error:
        if error.code == "zip-without-model":
            container = "unknown"
        return Inspection(path, size, container, problems=(Problem(error.code, error.sentence),))
    return _weighed(path, size, container, header, _for_a_pickle(path))


def _no_model(name: str, size: int, head: bytes) -> tuple[Container, Problem | None]:
    """The container, by the first bytes, and why nobody need look further."""
    if size == 0:
        return "empty", Problem("empty", say("{file} is empty. Get it again.", file=name))
    if head.startswith(_LFS_POINTER):
        pointer = say("{file} is a Git LFS pointer: a note that stands for the VAE. Get it again.", file=name)
        return "lfs pointer", Problem("lfs-pointer", pointer)
    if _WEB_PAGE.match(head.removeprefix(_UTF8_MARK)):
        page = say("{file} is a web page, not a VAE: the link led to a page. Get it again.", file=name)
        return "web page", Problem("web-page", page)
    if begins_like_safetensors(head):
        return "safetensors", None
    if is_torch_file(head):
        return "pickle", None
    if _TEXT.fullmatch(head):
        text = say("{file} is text, not a VAE; perhaps a server's message. Get it again.", file=name)
        return "unknown", Problem("not-a-model", text)
    if head[8:10] == b'{"':  # the length of its header cannot be; the reader says so
        return "safetensors", None
    neither = say("{file} is neither a safetensors file nor a PyTorch file. Get it again.", file=name)
    return "unknown", Problem("not-a-model", neither)


def _for_a_pickle(path: Path) -> tuple[Problem, ...]:
    """What keeps the WebUI from loading a file of torch, whatever is in it; a conversion helps against it."""
    if path.suffix.lower() == ".safetensors":
        suffix = say("{file} is a PyTorch file by its content: its ending is wrong. Rename it.", file=path.name)
        return (Problem("wrong-suffix", suffix),)
    return ()


def _weighed(
    path: Path, size: int, container: Container, header: Header, more: tuple[Problem, ...] = ()
) -> Inspection:
    """The answer for a file whose header was read; `more` is said after what its layout says."""
    reading = read_layout(header.tensors, path.name)
    return Inspection(
        path,
        size,
        container,
        reading.layout,
        reading.latent_channels,
        reading.dtype,
        header.tensors,
        header.metadata,
        (*reading.problems, *more),
        reading.parameters,
        reading.has_encoder,
        reading.has_decoder,
        reading.prefix,
        reading.whole and bool(reading.problems or more),
    )
