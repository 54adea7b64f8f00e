"""All ways in at once, while pictures, a download, hashing and full previews go on: everything ends, nothing mixes."""

from __future__ import annotations

import itertools
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ..hub import Hub, Link
from ..live.catalogue import Offered, OwnCatalogue
from ..live.webui import Picture, until
from .bad_files import BadFile, copy, one_key_missing
from .stage import FROM_AUTOMATIC, FROM_FILE, STARTS, Stage
from .ways import CARD, HIRES, OUR_ERRORS, REFINED

ROUNDS = 4
LIMIT = 420.0
"""Seconds; a deadlock would last for ever."""
BYTES_A_SECOND = 20_000_000
BAD_AT_ONCE = BadFile("bad-at-once.safetensors", one_key_missing)
TASK = "task(at-once)"
STEPS = 12
"""Of a picture: enough for somebody to see it becoming."""
DEFAULTS = {"show_progress_type": "Approx NN", "show_progress_every_n_steps": 10, "live_previews_enable": True}


@pytest.fixture
def offered(stage: Stage, tmp_path: Path) -> Iterator[Offered]:
    """A VAE that the page offers, on a slow line."""
    source = tmp_path / "guard-offered.safetensors"
    copy(stage.vaes / stage.b, source)
    catalogue = OwnCatalogue(stage.folder / "vae-manager" / "catalogue.yaml")
    endpoint = stage.webui.option("vae_manager_endpoint")
    with Hub(link=Link(rate_total=BYTES_A_SECOND)) as hub:
        hub.add("guards/vae", source.name, source)
        stage.webui.set(vae_manager_endpoint=hub.endpoint)
        yield catalogue.add("guard-offered", "guards/vae", source)
        stage.webui.set(vae_manager_endpoint=endpoint)
    catalogue.restore()
    (stage.vaes / source.name).unlink(missing_ok=True)
    stage.webui.refresh()


@pytest.fixture
def bad_file(stage: Stage, marker: Path) -> Iterator[None]:
    """One of the test's own: its refreshes make the WebUI forget what others have laid and taken away again."""
    stage.lay([BAD_AT_ONCE], marker)
    yield
    stage.clear([BAD_AT_ONCE])


@pytest.fixture
def full_previews(stage: Stage) -> Iterator[None]:
    before = {**DEFAULTS, **stage.webui.options()}
    kind = "Approx cheap" if stage.previews_are_rough else "Full"
    stage.webui.set(show_progress_type=kind, show_progress_every_n_steps=1, live_previews_enable=True)
    yield
    stage.webui.set(**{name: before[name] for name in DEFAULTS})


@pytest.mark.usefixtures("bad_file", "full_previews")
def test_everything_ends_and_nothing_mixes(stage: Stage, offered: Offered) -> None:
    expected = _expected(stage)
    before = {start: stage.begin(start) for start in STARTS}
    stage.begin(FROM_AUTOMATIC)
    previews: list[str] = []
    crew = DownloadScheduler()

    def pictures(own: Stage, number: int) -> None:
        override = {} if number % 2 else {"sd_vae": (own.a, own.b, own.c, "None")[number % 4]}
        _is_one_of(expected, own.picture(steps=STEPS, force_task_id=TASK, override_settings=override))
        while number == ROUNDS - 1 and not previews:  # a busy machine may have looked between the pictures alone
            _is_one_of(expected, own.picture(steps=STEPS, force_task_id=TASK, override_settings=override))

    def refused(own: Stage, _: int) -> None:
        status, answer = own.try_picture(steps=STEPS, override_settings={"sd_vae": BAD_AT_ONCE.name})
        assert (status, answer["error"] in OUR_ERRORS) == (500, True)

    def middle(own: Stage, number: int) -> None:
        asked: dict[str, Any] = {"refiner_checkpoint": own.second, **REFINED}
        if number % 2:
            asked = {"hr_checkpoint_name": own.second, **HIRES}
        own.picture(**asked)

    def choices(own: Stage, number: int) -> None:
        own.webui.ask("/sdapi/v1/options", {"sd_vae": (own.a, BAD_AT_ONCE.name, own.b, "None")[number % 4]})

    def picks(own: Stage, number: int) -> None:
        word = (own.b, own.c, BAD_AT_ONCE.name, "Automatic")[number % 4]
        assert own.webui.fire("vae_manager_txt2img_pick", word, "everywhere", answers=True)[0] == 200

    def cards(own: Stage, number: int) -> None:
        own.card(own.first, (own.c, BAD_AT_ONCE.name, own.a, "None")[number % 4])
        own.webui.fire(CARD, own.first)

    def lists(own: Stage, _: int) -> None:
        own.webui.refresh()
        own.webui.fire("vae_manager_txt2img_refresh", answers=True)

    def hashing(own: Stage, number: int) -> None:
        os.utime(own.vaes / (own.a, own.b, own.c)[number % 3])
        own.webui.state()

    def download(own: Stage, number: int) -> None:
        if number == 0:
            wanted = {"do": "get", "entry": offered.id, "use": False, "accept": True}
            assert own.webui.fire("vae_manager_txt2img_act", json.dumps(wanted), answers=True)[0] == 200

    for work in (pictures, pictures, refused, middle, choices, picks, cards, lists, hashing, download):
        if work is not cards or "card" not in stage.webui.lacks:
            crew.add(stage, work)
    watcher = threading.Thread(target=_watch, args=(stage.another(), crew.ended, previews), daemon=True)
    watcher.start()
    crew.finish()
    watcher.join(LIMIT)
    assert not watcher.is_alive()
    assert previews, "no full preview was seen"
    until(lambda: (stage.vaes / offered.file_name).exists())
    stage.unknown()
    for start in (FROM_FILE, FROM_AUTOMATIC):
        assert stage.begin(start).looks_like(before[start])


LONG_SECONDS = 4.0
"""Of a picture during which something else is asked for."""


@pytest.mark.parametrize("way", ["card", "option", "pick"])
def test_a_swap_waits_for_the_picture_that_is_being_made(stage: Stage, way: str) -> None:
    if way in stage.webui.lacks:
        pytest.skip(stage.webui.lacks[way])
    stage.begin(FROM_AUTOMATIC)
    long = stage.steps_of(LONG_SECONDS)
    before = stage.picture(steps=long)
    assert before.vae == stage.b
    other = stage.another()
    task = f"task({way})"
    made: list[Picture] = []
    thread = threading.Thread(target=lambda: made.append(stage.picture(steps=long, force_task_id=task)))
    thread.start()
    # Sampling, not only begun: until then the card is not read.
    until(lambda: other.webui.ask("/internal/progress", {"id_task": task})[1]["progress"])
    if way == "card":
        other.card(other.first, other.c)
        other.webui.fire(CARD, other.first)
    elif way == "option":
        other.webui.set(sd_vae=other.c)
    else:
        other.webui.fire("vae_manager_txt2img_pick", other.c, "everywhere", answers=True)
        other.status()
    thread.join(LIMIT)
    stage.unknown()
    assert made[0].vae == stage.b
    assert made[0].looks_like(before)
    after = stage.picture(steps=long)
    assert after.vae == stage.c
    assert not after.looks_like(before)


def _expected(stage: Stage) -> dict[str | None, Picture]:
    stage.begin(FROM_FILE)
    words = {None: "None", stage.a: stage.a, stage.b: stage.b, stage.c: stage.c}
    return {name: stage.picture(steps=STEPS, override_settings={"sd_vae": word}) for name, word in words.items()}


def _is_one_of(expected: dict[str | None, Picture], picture: Picture) -> None:
    """Its pixels are those of the VAE that its infotext names."""
    assert picture.looks_like(expected[picture.vae])


def _watch(own: Stage, ended: threading.Event, previews: list[str]) -> None:
    """As an open page does: the progress with its previews, and the project's own state."""
    latest = -1
    while not ended.is_set():
        _, told = own.webui.ask(
            "/internal/progress", {"id_task": TASK, "id_live_preview": latest, "live_preview": True}
        )
        if told.get("live_preview"):
            latest = told["id_live_preview"]
            previews.append(told["live_preview"][:30])
        own.webui.state()
        time.sleep(0.02)


class DownloadScheduler:
    """Threads that do the same at the same time, each some rounds."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self._threads: list[threading.Thread] = []
        self._failed: list[BaseException] = []

    def add(self, stage: Stage, work: Callable[[Stage, int], None]) -> None:
        own = stage.another()

        def rounds() -> None:
            try:
                for number in range(ROUNDS):
                    work(own, number)
            except BaseException as error:
                self._failed.append(error)

        thread = threading.Thread(target=rounds, name=work.__name__, daemon=True)
        thread.start()
        self._threads.append(thread)

    def finish(self) -> None:
        end = time.monotonic() + LIMIT
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        self.ended.set()
        assert [thread.name for thread in self._threads if thread.is_alive()] == []
        for error in itertools.islice(self._failed, 1):
            raise error
