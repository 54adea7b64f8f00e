"""After a comparison that is cancelled, meets a damaged file or runs out of memory, the next picture is to the bit the
one before. All of it is done from outside, so that any WebUI can be asked."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..live.webui import Picture, until
from .memory import memory_left
from .stage import Stage, assert_told
from .test_comparison import BUILTIN, ask, at_rest  # noqa: F401  # a fixture, used by each

ENOUGH = 0.5
"""Seconds of a decode, in which a test can do something."""
LARGEST = 1024
MB = 1_000_000
ACT = "vae_manager_library_act"
"""The hidden button by which the page sends its messages."""


class Asked:
    """A comparison of `vaes` that is under way in another thread."""

    def __init__(self, stage: Stage, vaes: list[str], infotext: str) -> None:
        self._answer: list[tuple[int, Any]] = []
        own = stage.another()
        self._thread = threading.Thread(target=lambda: self._answer.append(ask(own, vaes=vaes, infotext=infotext)))
        self._thread.start()

    def answer(self) -> tuple[int, Any]:
        self._thread.join()
        return self._answer[0]


def slow_picture(stage: Stage) -> Picture:
    """One whose decode takes long enough."""
    side = 64
    while True:
        picture = stage.picture(width=side, height=side)
        status, answer = ask(stage, vaes=[stage.a])
        assert status == 200, answer
        if side == LARGEST or answer["results"][0]["seconds"] > ENOUGH:
            return picture
        side *= 2


def running(stage: Stage) -> Any:
    """What a page that is open tells of the comparison that runs, once its first picture is there."""

    def seen() -> Any:
        return stage.webui.state(comparison="", shown="")["comparison"]

    return until(seen, lambda comparison: comparison["active"] and comparison["view"] is not None)


def assert_same_again(stage: Stage, shown: Picture) -> None:
    assert stage.picture(width=shown.size[0], height=shown.size[1]).looks_like(shown)


@contextmanager
def cut_off(stage: Stage, name: str) -> Iterator[None]:
    """For a while there is only half of the file."""
    file, whole = stage.vaes / name, stage.vaes / f"{name}.whole"
    half = stage.vaes / f"{name}.half"
    shutil.copyfile(file, half)
    os.truncate(half, half.stat().st_size // 2)
    file.rename(whole)
    half.rename(file)
    try:
        yield
    finally:
        whole.replace(file)


def test_cancelled_in_the_middle(stage: Stage) -> None:
    shown = slow_picture(stage)
    asked = Asked(stage, [stage.b, stage.c, BUILTIN], shown.infotext)
    message = {"do": "stop-comparison", "id": running(stage)["view"]["id"]}
    assert stage.webui.fire(ACT, json.dumps(message), answers=True)[0] == 200
    status, answer = asked.answer()
    assert (status, answer["code"]) == (409, "comparison-stopped")
    assert_same_again(stage, shown)


def test_a_file_is_cut_off_while_another_decodes(stage: Stage) -> None:
    shown = slow_picture(stage)
    asked = Asked(stage, [stage.c, stage.b], shown.infotext)
    running(stage)
    with cut_off(stage, stage.b):
        assert_only_b_failed(stage, asked.answer(), shown)
    assert_same_again(stage, shown)


def test_a_file_is_cut_off_while_the_comparison_waits(stage: Stage) -> None:
    long, task, own = stage.steps_of(3.0), "task(cut off)", stage.another()
    shown = stage.picture()
    picture = threading.Thread(target=lambda: own.picture(steps=long, force_task_id=task))
    picture.start()
    until(lambda: stage.webui.ask("/internal/progress", {"id_task": task})[1]["active"])
    asked = Asked(stage, [stage.c, stage.b], shown.infotext)
    with cut_off(stage, stage.b):
        picture.join()
        assert_only_b_failed(stage, asked.answer(), shown)


def assert_only_b_failed(stage: Stage, answer: tuple[int, Any], shown: Picture) -> None:
    status, told = answer
    assert status == 200, told
    first, second, third = told["results"]
    assert [one["vae"] for one in told["results"]] == [stage.a, stage.c, stage.b]
    assert (first["error"], second["error"], third["picture"]) == (None, None, None)
    assert_told(third["error"], stage.b)


def test_out_of_memory(stage: Stage) -> None:
    """Less and less is left, until it does not suffice: then it is done in tiles, or said that it cannot be done."""
    for side in (256, 512):  # what a small picture needs may lie among what the process keeps for itself
        shown = stage.picture(width=side, height=side)
        told = told_with_less_and_less(stage, shown)
        if told:
            break
    assert [text for text in told if "memory" in text], told
    assert_same_again(stage, shown)


def told_with_less_and_less(stage: Stage, shown: Picture) -> list[str]:
    """The notes and errors of the first comparison that had any."""
    for left in (200, 100, 50, 25):
        with memory_left(stage.webui.url, left * MB):
            status, answer = ask(stage, vaes=[stage.a], infotext=shown.infotext)
        results = answer["results"] if status == 200 else [answer]
        told = [text for one in results for text in (one.get("note"), one.get("error")) if text]
        if told:
            return told
    return []
