"""Any content of any state file: the program starts, the page answers, and no file is lost without a notice."""

from __future__ import annotations

import functools
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from tests.state.contents import ALL, CATALOGUE, DATA, EARLIER, NOTES, ODD, example, mutations, path_of, put
from tests.webui.host import PlainHost
from vae_manager.catalogue import Catalogue, load
from vae_manager.files.state_file import MAX_BYTES, damage_notices, forget_damage
from vae_manager.library.trash import removed
from vae_manager.service import Service
from vae_manager.webui import api
from vae_manager.webui.ui.page import Page
from vae_manager.webui.ui.page_handlers import perform
from vae_manager.webui.ui.view_model import state_folders

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="POSIX")


_services: list[Service] = []
"""Those that a test has started. The threads of a service keep it, and its database keeps a file open."""


@pytest.fixture(autouse=True)
def _close_databases() -> Iterator[None]:
    """Close the files after each test: hundreds of them would leave none for the tests that follow."""
    yield
    for service in _services:
        database = service.stores.records._database
        if database is not None:
            database.close()
    _services.clear()


def started(data_folder: Path) -> Service:
    """The service of a process that starts now."""
    _services.append(Service(data_folder))
    return _services[-1]


def opened(page: Page) -> Page:
    """A page of a process that starts now."""
    service = started(page.service.data_folder)
    if not service.catalogue_file.exists():  # the built-in one alone: hundreds of starts need not read it
        service._catalogue, service._catalogue_stamp = built_in(), None
    return Page(page.host, service)


@functools.cache
def built_in() -> Catalogue:
    return load()


def looked_at(page: Page) -> str:
    """The answer of the route, as it goes out; all files of state have been read then."""
    state = page.state({"txt2img": "Automatic"}, library=("", ""), comparison=("", ""))
    removed(page.service.stores.trash)
    page.service.stores.records.load()
    page.service.stores.overrides._bound._current()  # a library without files does not read them
    return bytes(api._answer(state).body).decode("utf-8")


def used(page: Page) -> None:
    """Write to every file of state."""
    service = page.service
    service.accepted.add("trinart")
    service.keys.save("example.org", "a-key-of-somebody")
    file = page.host.download_folder() / "own.safetensors"
    file.write_bytes(b"x")
    service.stores.hashes.remember(file, "5" * 64)
    looked_at(page)


def damage(page: Page) -> list[str]:
    return [str(notice.message) for notice in damage_notices(*state_folders(page.host, page.service))]


def kept(path: Path) -> list[bytes]:
    """Return the contents that were set aside."""
    return [one.read_bytes() for one in sorted(path.parent.glob(f"{path.name}.damaged-*")) if one.is_file()]


def retired(path: Path) -> Path:
    """The name of a file whose records are in the database."""
    return path.with_name(f"{path.name}.migrated")


def nothing_is_lost(page: Page, path: Path, content: bytes) -> None:
    """Check that the bytes are in place or retired, or were set aside and reported."""
    if any(place.is_file() and place.read_bytes() == content for place in (path, retired(path))):
        return
    assert content in kept(path), "the bytes are gone"
    assert any(path.name in message and f"{path.name}.damaged-" in message for message in damage(page))


# -- whole contents ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("odd", ODD)
def test_odd_content(page: Page, name: str, odd: str) -> None:
    path = put(page, name, ODD[odd])
    now = opened(page)
    looked_at(now)
    nothing_is_lost(now, path, ODD[odd])
    used(now)
    nothing_is_lost(now, path, ODD[odd])
    told = damage(now)
    assert len(told) == len(set(told)), "each is told once"
    later = opened(page)
    looked_at(later)
    if name not in (*NOTES, CATALOGUE, "removed.json"):
        assert damage(later) == told, "the next process has nothing to tell"


@pytest.mark.parametrize("name", DATA)
def test_what_is_whole_is_used_and_stays(page: Page, name: str) -> None:
    content = json.dumps(example(page, name)).encode()
    path = put(page, name, content)
    now = opened(page)
    looked_at(now)
    assert (retired(path) if name in EARLIER else path).read_bytes() == content
    assert damage(now) == []
    assert kept(path) == []


@pytest.mark.parametrize("name", [name for name in DATA if "history" not in name])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_saved_by_an_editor_with_a_byte_order_mark(page: Page, name: str, encoding: str) -> None:
    path = put(page, name, json.dumps(example(page, name)).encode(encoding))
    now = opened(page)
    looked_at(now)
    assert kept(path) == []


def _folder(path: Path) -> None:
    path.mkdir()
    (path / "inside").write_text("somebody's")


def _link(path: Path) -> None:
    path.symlink_to("/mnt/not there/file")


def _circle(path: Path) -> None:
    path.symlink_to(path.name)


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _gigabytes(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(3 << 30)


@POSIX
@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize("make", [_folder, _link, _circle, _pipe, _gigabytes])
def test_something_else_in_its_place(page: Page, name: str, make: Callable[[Path], None]) -> None:
    path = path_of(page, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    make(path)
    before = path.lstat()
    now = opened(page)
    looked_at(now)
    used(now)
    [aside] = path.parent.glob(f"{path.name}.damaged-*")
    assert (aside.lstat().st_ino, aside.lstat().st_mode) == (before.st_ino, before.st_mode)
    assert any(aside.name in message for message in damage(now))


@pytest.mark.parametrize("name", DATA)
def test_what_may_not_be_read_is_not_written_over(page: Page, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate the refusal, since root may read every file; the file cannot be set aside here either."""
    content = json.dumps(example(page, name)).encode()
    path = put(page, name, content)
    real_open, real_rename = os.open, Path.rename

    def refuse(place: Any, *more: Any, **named: Any) -> int:
        if os.fspath(place) == str(path):
            raise PermissionError(13, "Permission denied")
        return real_open(place, *more, **named)

    def stay(self: Path, target: Path) -> Path:
        if self == path:
            raise PermissionError(13, "Permission denied")
        return real_rename(self, target)

    monkeypatch.setattr(os, "open", refuse)
    monkeypatch.setattr(Path, "rename", stay)
    now = opened(page)
    for _ in range(3):
        looked_at(now)
    for write in (
        lambda: now.service.accepted.add("trinart"),
        lambda: now.service.keys.save("example.org", "a-key-of-somebody"),
        lambda: now.service.stores.hashes.remember(page.host.download_folder(), "5" * 64),
    ):
        try:
            write()
        except Exception as error:
            assert type(error).__name__ == "DiskError"
    monkeypatch.undo()
    assert path.read_bytes() == content
    assert sum(path.name in message for message in damage(now)) == 1, "told once, however often it is read"


# -- values --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", [name for name in ALL if name != CATALOGUE])
def test_any_value_in_place_of_any_other(page: Page, name: str) -> None:
    host = page.host
    for number, value in enumerate(mutations(example(page, name))[::8]):
        content = json.dumps(value).encode()
        path = put(page, name, content)
        for old in path.parent.glob(f"{path.name}.damaged-*"):
            old.unlink()
        forget_damage(*state_folders(host, page.service))
        now = opened(page)
        looked_at(now)
        if number % 10 == 0:
            used(now)
        nothing_is_lost(now, path, content) if name not in ("history.jsonl", "library.json", "hashes.json") else None


def test_good_orders_stay_beside_a_bad_one(page: Page) -> None:
    [good] = example(page, "queue.json")
    other = {**good, "file_name": "b.safetensors", "sha256": "8" * 64}
    bad = [
        {**good, "folder": "/" + "x" * 5000},
        {**good, "folder": "a\0b"},
        {**good, "size": float("inf")},
        {**good, "sha256": "../../../../x"},
        5,
    ]
    path = put(page, "queue.json", json.dumps([good, *bad, other]).encode())
    before = path.read_bytes()
    now = opened(page)
    looked_at(now)
    names = [left.request.file_name for left in now.service.downloads.left_over(page.host.download_folder())]
    assert names == ["a.safetensors", "b.safetensors"]
    assert kept(path) == [before]
    [message] = damage(now)
    assert "5 entries" in message
    looked_at(opened(page))
    assert kept(path) == [before], "one copy is enough"


def test_good_keys_and_terms_stay_beside_bad_ones(page: Page) -> None:
    put(page, "keys.json", b'{"civitai.com": "0123456789abcdef", "a": 5}')
    put(page, "accepted-terms.json", b'["klf8-anime", 5, null]')
    now = opened(page)
    assert "civitai.com" in now.service.keys
    assert "klf8-anime" in now.service.accepted
    now.service.keys.save("b.example", "another-key")
    now.service.accepted.add("trinart")
    assert now.service.keys.all().keys() == {"civitai.com", "b.example"}
    assert len(damage(now)) == 2


@POSIX
def test_copy_of_damaged_keys_is_private_too(page: Page) -> None:
    path = put(page, "keys.json", b'{"civitai.com": "0123456789abcdef", "a": 5}')
    path.chmod(0o600)
    now = opened(page)
    now.service.keys.save("b.example", "another-key")
    assert {one.stat().st_mode & 0o777 for one in path.parent.glob("keys.json*")} == {0o600}


# -- setting aside -------------------------------------------------------------------------------------------------
def test_only_a_few_are_kept(page: Page) -> None:
    for number in range(12):
        put(page, "queue.json", b"damaged %d" % number)
        looked_at(opened(page))
    names = sorted(path.name for path in page.service.data_folder.glob("queue.json.damaged-*"))
    assert len(names) == 5
    assert "queue.json.damaged-12" in names


def test_notice_stays_until_it_is_dismissed(page: Page) -> None:
    put(page, "queue.json", b"{")
    now = opened(page)
    for _ in range(3):
        assert now.state({})["regions"]["status"].count("queue.json.damaged-1") == 1
    perform(now.host, now.service, json.dumps({"do": "forget-damage"}))
    assert "damaged" not in now.state({})["regions"]["status"]


def test_console_says_it_once(page: Page, caplog: pytest.LogCaptureFixture) -> None:
    put(page, "families.json", b"{")
    now = opened(page)
    for _ in range(3):
        looked_at(now)
        now.service.stores.overrides._bound._current()
    assert sum("families.json.damaged-1" in record.getMessage() for record in caplog.records) == 1


def test_damage_that_comes_later_is_not_written_over(page: Page) -> None:
    page.service.accepted.add("trinart")
    page.service.keys.save("example.org", "a-key-of-somebody")
    for name in ("accepted-terms.json", "keys.json"):
        put(page, name, b"somebody else's text")
    page.service.accepted.add("klf8-anime")
    page.service.keys.save("b.example", "another-key-of-somebody")
    for name in ("accepted-terms.json", "keys.json"):
        assert kept(path_of(page, name)) == [b"somebody else's text"]


@POSIX
def test_link_stays_a_link(page: Page, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.json"
    elsewhere.write_text('["klf8-anime"]')
    path = path_of(page, "accepted-terms.json")
    path.parent.mkdir(parents=True)
    path.symlink_to(elsewhere)
    page.service.accepted.add("trinart")
    assert path.is_symlink()
    assert json.loads(elsewhere.read_text()) == ["klf8-anime", "trinart"]


def test_threads_set_one_file_aside(page: Page) -> None:
    put(page, "keys.json", b"damaged")
    threads = [threading.Thread(target=page.service.keys.all) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert kept(path_of(page, "keys.json")) == [b"damaged"]
    assert len(damage(page)) == 1


def test_bound_is_below_what_memory_holds() -> None:
    assert MAX_BYTES <= 64 << 20


# -- anything ------------------------------------------------------------------------------------------------------
JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=20),
    lambda children: some.lists(children, max_size=4) | some.dictionaries(some.text(max_size=8), children, max_size=4),
    max_leaves=12,
)
BYTES = some.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=some.sampled_from(ALL), content=BYTES)
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, name: str, content: bytes) -> None:
    host = PlainHost(tmp_path_factory.mktemp("any"))
    page = Page(host, started(host.data_folder))
    path = put(page, name, content)
    now = opened(page)
    looked_at(now)
    nothing_is_lost(now, path, content)
    used(now)
    looked_at(opened(page))
