"""Between a transfer and its folder: every change of the folder is seen, in order, and can be made to fail.

It does not matter by which calls the changes are made: `FileIO` and `open`, `os.write` and `os.pwrite`, methods of
`Path`. What the tap cannot follow it refuses, and `Tap.escaped` tells what went past it.
"""

from __future__ import annotations

import builtins
import contextlib
import io
import os
import pathlib
import stat
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any, Literal

import pytest

from vae_manager.files import disk

Kind = Literal["create", "open", "write", "truncate", "sync", "rename", "unlink", "sync folder"]
UNKNOWN = (
    "pwritev",
    "writev",
    "sendfile",
    "copy_file_range",
    "splice",
    "truncate",
    "link",
    "symlink",
    "mkdir",
    "mknod",
)
"""Calls that no transfer makes so far: teach the tap what they do before one does."""
_real_open = io.open


@dataclass(frozen=True)
class Op:
    """One change, or one promise of the disk."""

    kind: Kind
    file: int = 0
    """A number for the file, whatever its name is; no file gets the number of an older one."""
    name: str = ""
    new_name: str = ""
    offset: int = 0
    """For a truncation the new size."""
    data: bytes = b""


class Tap:
    """Watches one folder as long as `patch` lasts. `before` may raise what the system might say."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, before: Callable[[Op], None] = lambda _: None) -> None:
        self.ops: list[Op] = []
        self.before = before
        self.folder = folder
        self._lock = threading.RLock()
        self._numbers: dict[int, int] = {}
        self._count = 0
        self.start: dict[str, bytes] = {}
        """What lay there before, in the order of the files' numbers."""
        for path in folder.iterdir():
            self.start[path.name] = path.read_bytes()
            self._born(path.lstat().st_ino)
        self._install(patch)

    # -- what is seen ----------------------------------------------------------------------------------------------
    def is_ours(self, path: object) -> bool:
        return isinstance(path, (str, bytes, os.PathLike)) and Path(os.fsdecode(path)).parent == self.folder

    def number_of(self, descriptor: Any) -> int | None:
        """The file's number; None for a file of another folder."""
        try:
            found = os.fstat(descriptor if isinstance(descriptor, int) else descriptor.fileno())
        except (OSError, ValueError):
            return None
        return self._numbers.get(found.st_ino) if stat.S_ISREG(found.st_mode) else None

    def _born(self, inode: int) -> int:
        self._count += 1
        self._numbers[inode] = self._count
        return self._count

    def change(self, op: Op, call: Callable[[], Any]) -> Any:
        """Do it, and note it if it was done."""
        with self._lock:
            self.before(op)
            result = call()
            self.ops.append(op)
            return result

    def write(self, number: int, offset: int, data: Any, call: Callable[[], int]) -> int:
        with self._lock:
            block = bytes(data)
            self.before(Op("write", number, offset=offset, data=block))
            count = call()
            self.ops.append(Op("write", number, offset=offset, data=block[:count]))
            return count

    def opening(self, path: Any, *, truncates: bool, call: Callable[[], Any], descriptor: Callable[[Any], int]) -> Any:
        """Open for writing."""
        with self._lock:
            name = Path(os.fsdecode(path)).name
            is_new = not os.path.lexists(path)
            self.before(Op("create" if is_new else "open", name=name))
            opened = call()
            inode = os.fstat(descriptor(opened)).st_ino
            if is_new:
                self.ops.append(Op("create", self._born(inode), name))
            elif truncates:
                self.ops.append(Op("truncate", self._numbers[inode]))
            return opened

    def escaped(self, files: dict[str, bytes]) -> list[str]:
        """The names whose content is not what the changes that were seen make of it."""
        real = {path.name: path.read_bytes() for path in self.folder.iterdir()}
        return sorted(name for name in real.keys() | files.keys() if real.get(name) != files.get(name))

    # -- the calls -------------------------------------------------------------------------------------------------
    def _install(self, patch: pytest.MonkeyPatch) -> None:
        file_io = _file_io(self)
        for name, module in list(sys.modules.items()):
            if name.startswith("vae_manager.") and getattr(module, "FileIO", None) is FileIO:
                patch.setattr(module, "FileIO", file_io)
        patch.setattr(io, "FileIO", file_io)
        opener = _opener(self, file_io)
        calls = {**self._descriptor_calls(), **self._name_calls(), "open": self._os_open()}
        for name, call in calls.items():
            patch.setattr(os, name, call)
        for name in UNKNOWN:
            if hasattr(os, name):
                patch.setattr(os, name, self._refusing(name, getattr(os, name)))
        patch.setattr(io, "open", opener)
        patch.setattr(builtins, "open", opener)
        patch.setattr(disk, "_rename_exclusively", self._renaming(disk._rename_exclusively))
        accessor = getattr(pathlib, "_NormalAccessor", None)  # what `Path` goes through in Python 3.10
        if accessor is not None:
            for name in ("replace", "rename", "unlink"):
                patch.setattr(accessor, name, staticmethod(calls[name]))
            patch.setattr(accessor, "open", staticmethod(opener))

    def _descriptor_calls(self) -> dict[str, Any]:
        real = {name: getattr(os, name) for name in _DESCRIPTOR_CALLS if hasattr(os, name)}

        def write(descriptor: int, data: Any) -> int:
            number = self.number_of(descriptor)
            if number is None:
                return int(real["write"](descriptor, data))
            with self._lock:
                offset = os.lseek(descriptor, 0, os.SEEK_CUR)
                return self.write(number, offset, data, lambda: real["write"](descriptor, data))

        def pwrite(descriptor: int, data: Any, offset: int) -> int:
            number = self.number_of(descriptor)
            if number is None:
                return int(real["pwrite"](descriptor, data, offset))
            return self.write(number, offset, data, lambda: real["pwrite"](descriptor, data, offset))

        def ftruncate(descriptor: int, length: int) -> Any:
            number = self.number_of(descriptor)
            if number is None:
                return real["ftruncate"](descriptor, length)
            return self.change(Op("truncate", number, offset=length), lambda: real["ftruncate"](descriptor, length))

        def fallocate(descriptor: int, offset: int, length: int) -> Any:
            number = self.number_of(descriptor)
            if number is None:
                return real["posix_fallocate"](descriptor, offset, length)
            size = max(os.fstat(descriptor).st_size, offset + length)
            op = Op("truncate", number, offset=size)
            return self.change(op, lambda: real["posix_fallocate"](descriptor, offset, length))

        def syncing(name: str) -> Callable[[Any], Any]:
            def sync(descriptor: Any) -> Any:
                found = os.fstat(descriptor if isinstance(descriptor, int) else descriptor.fileno())
                number = self._numbers.get(found.st_ino)
                if os.path.samestat(found, self.folder.stat()):
                    return self.change(Op("sync folder"), lambda: real[name](descriptor))
                if number is None:
                    return real[name](descriptor)
                return self.change(Op("sync", number), lambda: real[name](descriptor))

            return sync

        mine = {"write": write, "pwrite": pwrite, "ftruncate": ftruncate, "posix_fallocate": fallocate}
        mine |= {name: syncing(name) for name in ("fsync", "fdatasync")}
        return {name: call for name, call in mine.items() if name in real}

    def _name_calls(self) -> dict[str, Any]:
        real = {name: getattr(os, name) for name in ("replace", "rename", "unlink", "remove")}

        def removing(name: str) -> Callable[..., Any]:
            def remove(path: Any, **more: Any) -> Any:
                if not self.is_ours(path):
                    return real[name](path, **more)
                return self.change(Op("unlink", name=Path(path).name), lambda: real[name](path, **more))

            return remove

        return {
            name: self._renaming(call) if name in ("replace", "rename") else removing(name)
            for name, call in real.items()
        }

    def _renaming(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def rename(source: Any, target: Any, **more: Any) -> Any:
            if not self.is_ours(source) and not self.is_ours(target):
                return real(source, target, **more)
            assert self.is_ours(source) and self.is_ours(target), f"{source} to {target}"
            op = Op("rename", name=Path(source).name, new_name=Path(target).name)
            return self.change(op, lambda: real(source, target, **more))

        return rename

    def _os_open(self) -> Callable[..., int]:
        real = os.open

        def opened(path: Any, flags: int, *more: Any, **named: Any) -> int:
            if not flags & (os.O_WRONLY | os.O_RDWR) or not self.is_ours(path):
                return real(path, flags, *more, **named)
            assert not flags & os.O_APPEND, "the tap does not know where an appended write goes"
            return int(
                self.opening(
                    path,
                    truncates=bool(flags & os.O_TRUNC),
                    call=lambda: real(path, flags, *more, **named),
                    descriptor=lambda it: it,
                )
            )

        return opened

    def _refusing(self, name: str, real: Any) -> Callable[..., Any]:
        def refuse(*arguments: Any, **named: Any) -> Any:
            for argument in arguments[:2]:
                is_descriptor = isinstance(argument, int) and self.number_of(argument) is not None
                assert not is_descriptor and not self.is_ours(argument), f"the tap does not know os.{name}"
            return real(*arguments, **named)

        return refuse


_DESCRIPTOR_CALLS = ("write", "pwrite", "ftruncate", "posix_fallocate", "fsync", "fdatasync")


def _file_io(tap: Tap) -> type[FileIO]:
    class Watched(FileIO):
        """A `FileIO` whose changes are seen."""

        def __init__(self, file: Any, mode: str = "r", *more: Any, **named: Any) -> None:
            start = super().__init__
            if ("r" in mode and "+" not in mode) or not tap.is_ours(file):
                start(file, mode, *more, **named)
                return
            assert "a" not in mode, "the tap does not know where an appended write goes"

            def opened() -> Watched:
                start(file, mode, *more, **named)
                return self

            tap.opening(file, truncates="w" in mode, call=opened, descriptor=lambda it: it.fileno())

        def write(self, data: Any) -> int:
            number = tap.number_of(self)
            if number is None:
                return int(super().write(data))
            put = super().write
            with tap._lock:
                return tap.write(number, self.tell(), memoryview(data).cast("B"), lambda: int(put(data)))

        def truncate(self, size: int | None = None) -> int:
            number, cut = tap.number_of(self), super().truncate
            if number is None:
                return int(cut(size))
            op = Op("truncate", number, offset=self.tell() if size is None else size)
            return int(tap.change(op, lambda: cut(size)))

    return Watched


def _opener(tap: Tap, file_io: type[FileIO]) -> Callable[..., Any]:
    def opened(file: Any, mode: str = "r", buffering: int = -1, *more: Any, **named: Any) -> Any:
        writes = bool(set(mode) & set("wxa+"))
        if not writes or not tap.is_ours(file):
            return _real_open(file, mode, buffering, *more, **named)
        raw = file_io(os.fsdecode(file), mode.replace("b", "").replace("t", ""))
        with contextlib.ExitStack() as undo:
            undo.callback(raw.close)
            binary: Any = raw
            if buffering != 0:
                binary = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
            result = binary if "b" in mode else io.TextIOWrapper(binary, *more, **named)
            undo.pop_all()
        return result

    return opened
