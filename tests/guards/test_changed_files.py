"""A file that somebody writes to, takes away or replaces: while it is read, and after it was loaded."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from vae_manager.maintenance import key_of

from ..live.webui import until
from .bad_files import copy, write_ckpt
from .stage import FROM_AUTOMATIC, FROM_BUILTIN, STARTS, Stage, assert_told
from .ways import OUR_ERRORS

NAME = "guard-changing.safetensors"
PICKLE = "guard-changing.ckpt"
TIMES = 6
"""Swaps while somebody writes: in the stand-in a file is read in a millisecond."""


@pytest.fixture
def changing(stage: Stage) -> Iterator[Path]:
    """A copy of VAE a that tests may write to; nothing else knows it."""
    path = stage.vaes / NAME
    copy(stage.vaes / stage.a, path)
    stage.webui.refresh()
    stage.unknown()
    yield path
    stage.webui.set(sd_vae="None")
    path.unlink(missing_ok=True)
    stage.webui.refresh()
    stage.unknown()


def replace(source: Path, target: Path) -> None:
    """As a download does it: another file under the same name."""
    beside = target.with_name(f".{target.name}.new")
    copy(source, beside)
    beside.replace(target)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def page(path: Path) -> None:
    beside = path.with_name(f".{path.name}.new")
    beside.write_text("<!DOCTYPE html>" * 100)
    beside.replace(path)


SPOILT: dict[str, Callable[[Path], None]] = {
    "truncated": cut,
    "replaced by a page": page,
    "emptied": lambda path: os.truncate(path, 0),
    "deleted": lambda path: path.unlink(),
}


@pytest.mark.parametrize("how", SPOILT)
def test_a_file_spoilt_after_it_was_loaded_goes_on_being_used(stage: Stage, changing: Path, how: str) -> None:
    stage.webui.choose(NAME)
    before = stage.picture()
    assert before.vae == NAME
    SPOILT[how](changing)
    for _ in range(2):
        after = stage.picture()
        assert after.looks_like(before)
        assert after.vae == NAME
        assert after.vae_hash in (None, before.vae_hash) or before.vae_hash is None
        assert stage.webui.option("sd_vae") == NAME
    if how != "deleted":
        assert_told(stage.status(), NAME)
    stage.webui.refresh()
    after = stage.picture()
    if how == "deleted":  # the WebUI's list has forgotten it, and so has everybody
        assert after.vae is None
        assert after.looks_like(stage.known_picture(override_settings={"sd_vae": "None"}))
        assert f"because {NAME} is missing" in stage.status()
    else:
        assert after.looks_like(before)
    replace(stage.vaes / stage.b, changing)
    stage.webui.refresh()
    renewed = stage.picture()
    assert renewed.vae == NAME
    stage.webui.choose(stage.b)
    assert renewed.looks_like(stage.picture())
    assert not renewed.looks_like(before)


def test_a_file_replaced_by_a_good_one_is_used_by_the_next_picture(stage: Stage, changing: Path) -> None:
    stage.webui.choose(stage.b)
    other = stage.picture()
    stage.webui.choose(NAME)
    before = stage.picture()
    replace(stage.vaes / stage.b, changing)
    after = stage.picture()
    assert not after.looks_like(before)
    assert after.looks_like(other)


def test_an_override_whose_file_is_spoilt_while_another_is_in_use(stage: Stage, changing: Path) -> None:
    """It was loaded once, and may be kept in memory: what is on the disk now counts."""
    before = stage.begin(FROM_BUILTIN)
    stage.picture(override_settings={"sd_vae": NAME})
    cut(changing)
    status, answer = stage.try_picture(override_settings={"sd_vae": NAME})
    assert status == 500
    assert answer["error"] in OUR_ERRORS
    assert_told(answer["errors"], NAME)
    assert stage.picture().looks_like(before)


@contextmanager
def writing(path: Path, source: Path) -> Iterator[None]:
    """All the while somebody truncates the file and writes it again, in place."""
    stop = threading.Event()
    with source.open("rb") as file:
        first = file.read(1 << 20)

    def work() -> None:
        size = source.stat().st_size
        with path.open("r+b") as file:
            while not stop.is_set():
                file.truncate(size // 3)
                file.seek(0)
                file.write(first)
                file.flush()
                file.truncate(size)
                os.utime(path)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("start", STARTS)
def test_a_file_that_changes_while_it_is_read(stage: Stage, changing: Path, start: str) -> None:
    """Zeros where the data was: if such weights were ever used, the pixels would tell."""
    stage.begin(start)
    refused = 0
    with writing(changing, stage.vaes / stage.a):
        for _ in range(TIMES):
            status, answer = stage.try_picture(override_settings={"sd_vae": NAME})
            if status == 500:
                assert answer["error"] in OUR_ERRORS
                assert_told(answer["errors"], NAME)
                refused += 1
            stage.assert_as_before()
    assert refused


def test_a_pickle_that_changes_while_it_is_read(stage: Stage) -> None:
    path = stage.vaes / PICKLE
    write_ckpt(stage.vaes / stage.a, path)
    stage.webui.refresh()
    try:
        stage.begin(FROM_AUTOMATIC)
        good = path.read_bytes()[: 1 << 22]
        stop = threading.Event()

        def work() -> None:
            size = path.stat().st_size
            with path.open("r+b") as file:
                while not stop.is_set():
                    file.truncate(size // 3)
                    file.seek(0)
                    file.write(good)
                    file.truncate(size)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            for _ in range(TIMES):
                status, answer = stage.try_picture(override_settings={"sd_vae": PICKLE})
                if status == 200:  # the writer was paused for the whole of a reading: the file was whole, and is right
                    continue
                assert status == 500
                assert answer["error"] in OUR_ERRORS
                assert_told(answer["errors"], PICKLE)
                stage.assert_as_before()
        finally:
            stop.set()
            thread.join()
    finally:
        path.unlink()
        stage.webui.refresh()


def test_a_file_that_is_gone_and_back_is_chosen_still(stage: Stage, changing: Path) -> None:
    stage.webui.choose(NAME)
    before = stage.picture()
    away = changing.with_suffix(".away")
    changing.rename(away)
    stage.webui.refresh()
    assert stage.picture().vae in (NAME, None)
    away.rename(changing)
    stage.webui.refresh()
    after = stage.picture()
    assert after.vae == NAME
    assert after.looks_like(before)


def test_a_file_renamed_while_a_picture_is_made_leaves_the_list(stage: Stage, changing: Path) -> None:
    """The WebUI's own refresh has to wait then: it begins with an empty list."""
    stage.begin(FROM_BUILTIN)
    long, task = stage.steps_of(60.0), "task(rename)"  # interrupted below, on a busy machine too
    thread = threading.Thread(target=lambda: stage.another().picture(steps=long, force_task_id=task))
    thread.start()
    until(lambda: stage.webui.ask("/internal/progress", {"id_task": task})[1]["active"])
    renamed = changing.with_name("guard-renamed.safetensors")
    action = {"do": "rename-file", "file": key_of(changing), "name": renamed.name}
    try:
        status, answer = stage.webui.fire("vae_manager_txt2img_act", json.dumps(action), answers=True)
        assert (status, answer["data"]) == (200, [""])
        assert stage.webui.busy()
        listed = stage.webui.listed()
        assert renamed.name in listed
        assert changing.name not in listed
    finally:
        stage.webui.post("/sdapi/v1/interrupt")
        thread.join()
        renamed.unlink(missing_ok=True)
