"""Operations in processes that are cut off: `python -m tests.library.killing [--ways=WAY] SCENE…`.

Each runs in a fork, which saves the time for imports, and is killed right before its first call that changes the disk,
then before its second one, and so on. The listing that follows runs in another fork. Prints the problems as JSON.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.library.scenes import SCENES, Judge, Scene, Stage, clear
from vae_manager.files import disk

CUT_OFF = 99
"""The exit status of a process that ended in the middle."""
WAYS: dict[str, Callable[[], None]] = {}
"""Functions that disable the better methods of giving a name, by the method that is left."""
EVENTS = frozenset(
    {"os.rename", "os.link", "os.symlink", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.utime", "os.truncate"}
)
"""Audit events of what changes a disk; opening to write is one more."""


def way(function: Callable[[], None]) -> Callable[[], None]:
    WAYS[function.__name__] = function
    return function


@way
def renameat2() -> None:
    """Disable no method."""


@way
def links() -> None:
    disk._renameat2 = lambda: None  # type: ignore[assignment]


@way
def neither() -> None:
    def link(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    links()
    os.link = link


def in_a_fork(work: Callable[[], object]) -> tuple[int, Any]:
    """Run `work` in a separate process; return its exit status, and its result or error."""
    reading, writing = os.pipe()
    process = os.fork()
    if not process:
        with suppress(BaseException):
            os.close(reading)
            try:
                answer = json.dumps(work())
            except BaseException:
                answer = json.dumps([traceback.format_exc()])
            with os.fdopen(writing, "w") as pipe:
                pipe.write(answer)
            os._exit(0)
        os._exit(1)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        answer = pipe.read()
    _, status = os.waitpid(process, 0)
    return os.waitstatus_to_exitcode(status), json.loads(answer) if answer else None


def cut_off_at(count: int) -> None:
    """From now on, this process ends at once, as by a kill, right before its call of that number."""
    left = count

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        if event in EVENTS or (event == "open" and _is_writing(arguments)):
            left -= 1
            if left <= 0:
                os._exit(CUT_OFF)

    sys.addaudithook(hear)


def _is_writing(arguments: tuple[Any, ...]) -> bool:
    *_, flags = arguments
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def far_folder() -> Path | None:
    """A folder on another file system."""
    memory = Path("/dev/shm")
    there = memory.is_dir() and memory.stat().st_dev != Path(tempfile.gettempdir()).stat().st_dev
    return memory if there else None


class Rounds:
    """One scene, cut off again and again."""

    def __init__(self, scene: Scene, near: Path, far: Path) -> None:
        self.scene = scene
        self._near, self._far = near, far
        self._number = 0
        self.looks_cut_off = 0
        """How many of the listings that followed were cut off as well."""
        stage = self.stage()
        before = stage.tree()
        _, error = in_a_fork(lambda: self.act(stage))
        assert error is None, error
        self.judge = Judge(scene, before, stage.tree())
        assert self.judge.after != before
        clear(stage)

    def stage(self) -> Stage:
        self._number += 1
        name = f"{os.getpid()}-{self._number}"
        stage = Stage(self._near / name, self._far / name, self.scene.data_is_far)
        status, error = in_a_fork(lambda: self.scene.stage(stage.root, stage.far) and None)
        assert (status, error) == (0, None), error
        return stage

    def act(self, stage: Stage) -> None:
        self.scene.act(stage)

    def judged(self, stage: Stage) -> list[str]:
        """Return the problems after an operation that was cut off, and remove the stage."""
        wrong = self.judge.at_once(stage)
        status, error = in_a_fork(lambda: self._half_a_look(stage))
        if status not in (0, CUT_OFF) or error is not None:
            wrong.append(f"a look that is cut off too ended with {status}: {error}")
        self.looks_cut_off += status == CUT_OFF
        wrong += self.judge.at_once(stage)
        for look in (self.judge.listed, self.judge.again):
            if not wrong:
                status, found = in_a_fork(lambda look=look: look(stage))  # type: ignore[misc]
                wrong = found if status == 0 else [f"{look.__name__} ended with {status}"]
        clear(stage)
        return wrong

    def _half_a_look(self, stage: Stage) -> None:
        """The listing that comes next is cut off as well, at another call each time."""
        cut_off_at(1 + self._number % 8)
        stage.recover()

    def all(self, way: str) -> Iterator[list[str]]:
        """Cut it off at each call in turn, until it ends before that."""
        for count in range(1, 1000):
            stage = self.stage()

            def work(stage: Stage = stage, count: int = count) -> None:
                WAYS[way]()
                cut_off_at(count)
                self.act(stage)

            status, error = in_a_fork(work)
            if status != CUT_OFF:
                assert (status, error) == (0, None), error
                clear(stage)
                return
            yield [f"{self.scene.name}, {way}, call {count}: {text}" for text in self.judged(stage)]


def main() -> None:
    wrong, kills = [], 0
    only = any(argument.startswith("--ways=") for argument in sys.argv)
    memory = far_folder()  # a file system in memory is faster and shows the same
    with tempfile.TemporaryDirectory(dir=memory) as near, tempfile.TemporaryDirectory() as other:
        for scene in (scene for scene in SCENES if scene.name in sys.argv[1:]):
            rounds = Rounds(scene, Path(near), Path(other))
            for way in (way for way in scene.ways if f"--ways={way}" in sys.argv or not only):
                for found in rounds.all(way):
                    kills += 1
                    wrong += found
    print(json.dumps({"kills": kills, "wrong": wrong}))


if __name__ == "__main__":
    main()
