"""Inspection of one file: by its first bytes and its header, never by its name. No code of the file is run."""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Final

from ..errors import BrokenFileError, DiskError
from ..messages import Message, msg
from .gguf import GGUF_MAGIC, read_gguf
from .headers import TensorTable, begins_like_safetensors, disk_error, read_beginning, read_header, read_open_header
from .layouts import facts_of
from .record import Container, FileRecord, Problem
from .tensor_data import companion_of, find_unfilled
from .torch_reader import is_torch_file, read_open_torch, read_torch

__all__ = ["LFS_POINTER", "WEB_PAGE", "inspect", "inspect_beginning", "inspect_ranges"]

_HEAD: Final = 1024
MAX_ITEMS: Final = 40
"""Items of metadata in a record."""
MAX_TEXT: Final = 500
"""Characters of an item's name and value."""
WEB_PAGE: Final = re.compile(rb"\s*(?:<\?xml|<!--|<!doctype|<(?:html|head|body|script|title)\b)", re.IGNORECASE)
LFS_POINTER: Final = b"version https://git-lfs.github.com/spec/"
_TEXT: Final = re.compile(rb"[\t\n\r\x20-\x7e]+")
_UTF8_MARK: Final = b"\xef\xbb\xbf"
_ONNX: Final = re.compile(rb"\x08[\x01-\x20].{0,200}?(?:onnx|pytorch|ir_version)", re.DOTALL)
"""An ONNX model has no signature: its first field is the version of the format, and its producer follows."""
_PICTURES: Final = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "PNG"),
    (re.compile(rb"\xff\xd8\xff"), "JPEG"),
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), "WebP"),
    (re.compile(rb"GIF8[79]a"), "GIF"),
    (re.compile(rb".{4}ftypavif", re.DOTALL), "AVIF"),
)
_ARCHIVES: Final = (
    (re.compile(rb"7z\xbc\xaf\x27\x1c"), "7z"),
    (re.compile(rb"Rar!\x1a\x07"), "RAR"),
    (re.compile(rb"\x1f\x8b"), "gzip"),
    (re.compile(rb"\xfd7zXZ\x00"), "xz"),
    (re.compile(rb"\x28\xb5\x2f\xfd"), "zstd"),
    (re.compile(rb"BZh[1-9]"), "bzip2"),
)


def inspect(path: Path) -> FileRecord:
    """Inspect `path`. Damage is a result, not an error. Of the weights, only samples are read.

    Raises `NotFoundError` and `DiskError` if the file cannot be read.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe blocks until it has a writer
            raise DiskError(msg("{path} is not a file.", code="not-a-file", path=path))
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            head = file.read(_HEAD)
    except OSError as error:
        raise disk_error(path, error) from error
    return _from_head(path, size, head)


def inspect_beginning(path: Path, count: int) -> FileRecord | None:
    """Inspect a file of which only the first `count` bytes are there; `size` of the record is `count`.

    None if they are not enough to identify it: a safetensors file's header is incomplete, or a PyTorch file's table,
    which is at the end, is needed. Raises `NotFoundError` and `DiskError`.
    """
    try:
        with path.open("rb") as file:
            head = file.read(min(count, _HEAD))
    except OSError as error:
        raise disk_error(path, error) from error
    if len(head) < _HEAD:
        return None
    container, problem = _no_model(path.name, count, head)
    if problem is not None:
        return FileRecord(path, count, container, problems=(problem,))
    if container != "safetensors":
        return None
    try:
        header = read_beginning(path, count)
    except BrokenFileError:
        return None  # the whole file is inspected, and reported, when it is there
    if header is None:
        return None
    return FileRecord(path, count, container, TensorTable.of(header.tensors), _bounded(header.metadata))


def inspect_ranges(file: BinaryIO, path: Path, size: int | None) -> FileRecord:
    """Inspect a file that is elsewhere by a few ranges that `file` reads; `path` has its name, and need not exist.

    `size` is None if the file's end is unknown. Nothing between the weights is read, so damage there is not found. Of a
    GGUF file only the beginning is read, since its header has a vocabulary. Damage is a result, not an error; the
    errors of `file` pass.
    """
    file.seek(0)
    head = file.read(_HEAD)
    known = len(head) if size is None else size
    container, problem = _no_model(path.name, known, head)
    if problem is not None:
        return FileRecord(path, known, container, problems=(problem,))
    try:
        if container == "safetensors":
            header = read_open_header(file, size, path.name)
        else:
            end = file.seek(0, 2) if size is None else size
            header = read_open_torch(file, end, path.name, checks_weights=False)
    except BrokenFileError as error:
        if error.code == "zip-without-model":
            container = "unknown"
        return FileRecord(path, known, container, problems=(Problem(error.code, error.message),))
    if size is None:
        known = header.data_start + max((info.end for info in header.tensors.values()), default=0)
    return FileRecord(path, known, container, TensorTable.of(header.tensors), _bounded(header.metadata))


def _from_head(path: Path, size: int, head: bytes) -> FileRecord:
    is_arriving = companion_of(path) is not None
    container, problem = _no_model(path.name, size, head)
    if container == "gguf" and problem is not None:
        return _gguf(FileRecord(path, size, container, problems=(problem,), is_arriving=is_arriving))
    if problem is not None:
        return FileRecord(path, size, container, problems=(problem,), is_arriving=is_arriving)
    try:
        header = read_header(path) if container == "safetensors" else read_torch(path)
    except BrokenFileError as error:
        if error.code == "zip-without-model":
            container = "unknown"
        return FileRecord(path, size, container, problems=(Problem(error.code, error.message),))
    table = TensorTable.of(header.tensors)
    facts = facts_of(table)
    unfilled = find_unfilled(path, header) if facts.kind in ("ldm", "diffusers") else None
    problems = (unfilled,) if unfilled is not None else ()
    return FileRecord(path, size, container, table, _bounded(header.metadata), problems, is_arriving)


def _gguf(record: FileRecord) -> FileRecord:
    """Return the record of a GGUF file with its tensors, or with its damage beside the problem that it is no VAE."""
    try:
        header = read_gguf(record.path)
    except BrokenFileError as error:
        return replace(record, problems=(*record.problems, Problem(error.code, error.message)))
    return replace(record, table=TensorTable.of(header.tensors), metadata=_bounded(header.metadata))


def _bounded(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return the first items, each cut to a length for display: a trainer may put all its settings there."""
    items = sorted(metadata.items(), key=_is_foreign)[:MAX_ITEMS]
    return {key[:MAX_TEXT]: _cut(value) for key, value in items}


def _is_foreign(item: tuple[str, str]) -> bool:
    """Return False for metadata of this program, which comes first: a result names its source there."""
    return not item[0].startswith("vae_manager.")


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…"


def _no_model(name: str, size: int, head: bytes) -> tuple[Container, Problem | None]:
    """Return the container, by the first bytes, and the reason why the file is no model."""
    if size == 0:
        return "empty", Problem("empty", msg("{file} is empty. Get it again.", code="empty", file=name))
    if head.startswith(LFS_POINTER):
        pointer = msg(
            "{file} is a Git LFS pointer: a note that stands for the VAE. Get it again.", code="lfs-pointer", file=name
        )
        return "lfs pointer", Problem("lfs-pointer", pointer)
    if WEB_PAGE.match(head.removeprefix(_UTF8_MARK)):
        page = msg("{file} is a web page, not a VAE: the link led to a page. Get it again.", code="web-page", file=name)
        return "web page", Problem("web-page", page)
    if begins_like_safetensors(head):
        return "safetensors", None
    if is_torch_file(head):
        return "pickle", None
    other = _other_format(name, head)
    if other is not None:
        return "gguf" if head.startswith(GGUF_MAGIC) else "unknown", Problem("other-format", other)
    if _TEXT.fullmatch(head):
        text = msg("{file} is text, not a VAE; perhaps a server's message. Get it again.", code="text", file=name)
        return "unknown", Problem("not-a-model", text)
    if head[8:10] == b'{"':  # the length of its header is impossible; the reader reports that
        return "safetensors", None
    neither = msg(
        "{file} is neither a safetensors file nor a PyTorch file. Get it again.", code="unknown-format", file=name
    )
    return "unknown", Problem("not-a-model", neither)


def _other_format(name: str, head: bytes) -> Message | None:
    """Return the sentence for a file of a format that has a name and holds no VAE for a WebUI."""
    if head.startswith(GGUF_MAGIC):
        return msg(
            "{file} is a GGUF file: a quantised text encoder or diffusion model, not a VAE.", code="gguf", file=name
        )
    if _ONNX.match(head):
        return msg("{file} is an ONNX model. A WebUI needs the VAE as a safetensors file.", code="onnx", file=name)
    for pattern, kind in _ARCHIVES:
        if pattern.match(head):
            return msg(
                "{file} is a {kind} archive. Unpack it, and import the file in it.",
                code="archive",
                file=name,
                kind=kind,
            )
    for pattern, kind in _PICTURES:
        if pattern.match(head):
            return msg("{file} is a {kind} picture, not a VAE.", code="picture", file=name, kind=kind)
    return None
