"""Downloads that are no model, or hold code, get no name and are removed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.files.gadgets import SYSTEM
from tests.files.hostile import safetensors_first
from tests.files.samples import encode, header_of
from tests.files.torch_files import Made, as_legacy, as_zip, call, state_dict, text, write_zip
from tests.hub import Fault, Hub, Link
from vae_manager.catalogue.entry import HttpsSource, LocalSource, Source
from vae_manager.errors import NoVaeError, RefusedError, VaeManagerError
from vae_manager.files import sha256_of
from vae_manager.files.disk import PARTIAL_SUFFIX
from vae_manager.transfer import unfinished
from vae_manager.transfer.partial_file import PartialFile
from vae_manager.transfer.resumable import sweep
from vae_manager.transfer.resume_journal import Journal, redacted

from .ordering import COMMIT, MB, NAME, PINNED, REPO, Desk, sha256, some_bytes

DATA = some_bytes(3 * MB)
CODE = call(SYSTEM, text('touch "$VAE_MARKER"'))
HOSTILE = as_zip(Made(CODE, {}))
HOSTILE_LEGACY = as_legacy(Made(CODE, {}))
POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows keeps no names of one file apart")


# -- refused before it has a name --------------------------------------------------------------------------------------
@pytest.mark.parametrize("data", [
    b"hello",
    HOSTILE,
    HOSTILE_LEGACY,
    DATA[:-1],
], ids=["text", "pickle", "legacy pickle", "not all of it"])  # fmt: skip
@pytest.mark.parametrize("way", ["address", "hub", "file"])
def test_what_is_no_model_or_holds_code(hub: Hub, desk: Desk, tmp_path: Path, way: str, data: bytes) -> None:
    if way == "hub":
        hub.add(REPO, NAME, data, revision=COMMIT)
        order = desk.order(data, known=False)
    else:
        given = tmp_path / "given.safetensors"
        given.write_bytes(data)
        source: Source = LocalSource(given) if way == "file" else HttpsSource(hub.publish(f"/{NAME}", data))
        order = desk.order(data, source, known=False)
    with pytest.raises(RefusedError) as caught:
        desk.get(order)
    assert caught.value.exit_status == 7
    assert ".part" not in str(caught.value)
    assert desk.names == []


@pytest.mark.parametrize("data", [HOSTILE, HOSTILE_LEGACY], ids=["zip", "legacy"])
def test_a_published_hash_makes_no_code_harmless(hub: Hub, desk: Desk, data: bytes) -> None:
    hub.add(REPO, NAME, data, revision=COMMIT)
    with pytest.raises(RefusedError):
        desk.get(desk.order(data))
    assert desk.names == []


PROTOCOL_0 = b"cposix\nsystem\n(S'touch x'\ntR."
"""A pickle without a mark at its beginning, which is plain text."""
AS_SAFETENSORS = b'U\x06......{"' + PROTOCOL_0
"""One that looks like a damaged safetensors file."""


def in_capitals(data: bytes) -> bytes:
    """PyTorch looks for `data.pkl` in any case."""
    return data.replace(b"data.pkl", b"DATA.PKL")


@pytest.mark.parametrize("ending", ["pt", "ckpt", "PT"])
@pytest.mark.parametrize("data", [
    PROTOCOL_0,
    AS_SAFETENSORS,
    in_capitals(HOSTILE),
    in_capitals(as_zip(state_dict({"a": (4,)}))),
    safetensors_first("a", 400, "touch x"),
    b"<html>",
    b"GGUF" + bytes(100),
], ids=["protocol 0", "as safetensors", "capitals", "harmless in capitals", "safetensors", "page", "gguf"])  # fmt: skip
@pytest.mark.parametrize("known", [True, False])
def test_no_name_of_a_pickle_for_what_is_not_understood_as_one(
    hub: Hub, desk: Desk, data: bytes, ending: str, known: bool
) -> None:
    """Refuse a name by which other programs choose an unpickler."""
    name = f"vae.{ending}"
    with pytest.raises(VaeManagerError):
        desk.get(desk.order(data, HttpsSource(hub.publish(f"/{name}", data)), known=known, name=name))
    assert desk.names == []


@pytest.mark.parametrize("data", [HOSTILE, HOSTILE_LEGACY, in_capitals(HOSTILE)], ids=["zip", "legacy", "capitals"])
def test_a_declared_hash_makes_no_pickle_a_safetensors_file(hub: Hub, desk: Desk, data: bytes) -> None:
    with pytest.raises(RefusedError):
        desk.get(desk.order(data, HttpsSource(hub.publish(f"/{NAME}", data))))
    assert desk.names == []


def test_a_harmless_pickle_comes(hub: Hub, desk: Desk, tmp_path: Path) -> None:
    data = as_zip(state_dict({"decoder.conv_in.weight": (4, 4, 3, 3)}))
    desk.get(desk.order(data, HttpsSource(hub.publish("/vae.ckpt", data)), known=False, name="vae.ckpt"))
    assert desk.names == ["vae.ckpt"]
    assert write_zip(tmp_path / "again.ckpt", {"decoder.conv_in.weight": (4, 4, 3, 3)}).stat().st_size > 0


def test_a_published_hash_says_what_a_file_is(hub: Hub, desk: Desk) -> None:
    """The bytes are the requested ones, of any format."""
    hub.add(REPO, NAME, b"no model of today", revision=COMMIT)
    desk.get(desk.order(b"no model of today"))
    assert desk.names == [NAME]


def big_lora(size: int = 40 * MB) -> bytes:
    header, count = header_of({"lora_unet_mid.lora_down.weight": (4, size // 16)})
    return encode(header, bytes(count))


@pytest.mark.parametrize("data", [big_lora(), b"GGUF" + bytes(40 * MB)], ids=["lora", "gguf"])
def test_what_is_no_vae_by_its_beginning_is_stopped_there(hub: Hub, desk: Desk, data: bytes) -> None:
    hub.cdn.link = Link(rate_per_connection=5 * MB)
    with pytest.raises(NoVaeError):
        desk.get(desk.order(data, HttpsSource(hub.publish(f"/{NAME}", data)), known=False))
    assert desk.names == []
    assert desk.sent() < 8 * MB


def test_lora_with_a_hash_of_the_hub_is_stopped_at_its_beginning(hub: Hub, desk: Desk) -> None:
    hub.cdn.link = Link(rate_per_connection=5 * MB)
    hub.add(REPO, NAME, big_lora(), revision=COMMIT)
    with pytest.raises(NoVaeError):
        desk.get(desk.order(big_lora(), known=False))
    assert desk.names == []
    assert desk.sent() < 8 * MB


def test_lora_as_a_pickle_gets_no_name(hub: Hub, desk: Desk) -> None:
    """Its table of tensors stands at its end."""
    data = as_zip(state_dict({"lora_unet_mid.lora_down.weight": (4, 8)}))
    with pytest.raises(RefusedError):
        desk.get(desk.order(data, HttpsSource(hub.publish("/x.ckpt", data)), known=False, name="x.ckpt"))
    assert desk.names == []


def test_lora_that_was_ordered_by_its_hash_comes(hub: Hub, desk: Desk) -> None:
    data = big_lora(3 * MB)
    hub.add(REPO, NAME, data, revision=COMMIT)
    desk.get(desk.order(data))
    assert desk.names == [NAME]


def test_rest_of_a_lora_is_not_fetched(hub: Hub, desk: Desk) -> None:
    """An earlier version kept its first bytes."""
    data = big_lora()
    hub.add(REPO, NAME, data, revision=COMMIT)
    order = desk.order(data, known=False)
    kept = PartialFile.of(order)
    journal = Journal(order, sha256(data), len(data), redacted(PINNED))
    kept.start_over(journal)
    kept.write(0, data[: 4 * MB])
    kept.checkpoint()
    kept.close()
    with pytest.raises(NoVaeError):
        desk.get(order)
    assert desk.names == []
    assert desk.sent() < 8 * MB


def test_other_bytes_than_the_published_ones_are_no_reason_to_stop(hub: Hub, desk: Desk) -> None:
    """They say nothing of the file: the hash decides, and the next answer has the right bytes."""
    hub.add(REPO, NAME, DATA, revision=COMMIT)
    hub.cdn.fail_next(Fault.filled(b"GGUF".ljust(1024)))
    desk.get(desk.order(DATA, known=False))
    assert desk.names == [NAME]


# -- two names ---------------------------------------------------------------------------------------------------------
def published_in_vain(desk: Desk, *, known: bool, source: Path) -> None:
    """Recreate a kill between the new name and the removal of the old one."""
    order = desk.order(DATA, LocalSource(source), known=known)
    partial = PartialFile.of(order)
    partial.path.write_bytes(DATA)
    os.link(partial.path, desk.target)
    partial.lock_path.touch()


@pytest.fixture
def given(tmp_path: Path) -> Path:
    given = tmp_path / "given.safetensors"
    given.write_bytes(DATA)
    return given


@POSIX
@pytest.mark.parametrize("known", [True, False])
def test_a_file_that_has_its_name_and_still_the_old_one_is_there(desk: Desk, given: Path, known: bool) -> None:
    published_in_vain(desk, known=known, source=given)
    delivery = desk.get(desk.order(DATA, LocalSource(given), known=known))
    assert (delivery.already_there, delivery.proven, delivery.sha256) == (True, known, sha256(DATA))
    assert desk.names == [NAME]


@POSIX
def test_a_listing_takes_the_old_name_away_too(desk: Desk, given: Path) -> None:
    published_in_vain(desk, known=False, source=given)
    sweep(desk.folder)
    assert sha256_of(desk.target) == sha256(DATA)
    assert desk.names == [NAME]


def test_a_listing_takes_away_what_cannot_go_on_and_leaves_what_can(desk: Desk, hub: Hub) -> None:
    hub.add(REPO, NAME, DATA, revision=COMMIT)
    kept = desk.keep(desk.order(DATA), MB)
    for ending in ("part", "part.01234567", "recent", "lock"):
        (desk.folder / f".0123456789abcdef.vae-manager.{ending}").write_bytes(b"x")
    (desk.folder / f".0123{PARTIAL_SUFFIX}").write_bytes(b"another's")
    sweep(desk.folder)
    assert [left.done for left in unfinished(desk.folder)] == [kept]
    assert not [name for name in desk.names if name.startswith(".0123456789")]


def test_many_left_files_are_swept_in_one_reading_of_the_folder(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    count, readings = 40, 0
    for number in range(count):
        (desk.folder / f".{number:016x}.vae-manager.lock").touch()
        (desk.folder / f".{number:016x}.vae-manager.recent").touch()
    real = os.scandir

    def counted(*path: str) -> Iterator[os.DirEntry[str]]:
        nonlocal readings
        readings += 1
        return real(*path)

    monkeypatch.setattr(os, "scandir", counted)
    monkeypatch.setattr(os, "listdir", lambda *path: [entry.name for entry in counted(*path)])
    sweep(desk.folder)
    assert readings < 3
    assert desk.names == []


@pytest.mark.parametrize("written", [b"garbled", b"[" * 100_000, b'{"version": 2}', None])
def test_bytes_whose_notes_cannot_be_read_stay(hub: Hub, desk: Desk, written: bytes | None) -> None:
    """A newer version's, another user's, or damaged: a listing is no reason to delete what took hours to come."""
    hub.add(REPO, NAME, DATA, revision=COMMIT)
    desk.keep(desk.order(DATA), MB)
    [left] = unfinished(desk.folder)
    notes = left.path.with_suffix(".journal")
    notes.unlink()
    if written is not None:
        notes.write_bytes(written)
    else:
        notes.mkdir()
    before = left.path.read_bytes()
    sweep(desk.folder)
    assert left.path.read_bytes() == before
    assert os.path.lexists(notes)


@POSIX
@pytest.mark.parametrize("ending", ["part", "journal.new", "recent.new", "lock"])
def test_a_second_name_of_somebodys_file_is_never_written_to(hub: Hub, desk: Desk, tmp_path: Path, ending: str) -> None:
    hub.add(REPO, NAME, DATA, revision=COMMIT)
    desk.keep(desk.order(DATA), MB)
    [left] = unfinished(desk.folder)
    path = left.path.with_suffix(f".{ending}")
    precious = tmp_path / "precious"
    if ending == "part":
        os.link(path, precious)
    else:
        precious.write_bytes(b"precious")
        path.unlink(missing_ok=True)
        os.link(precious, path)
    before = precious.read_bytes()
    desk.get(desk.order(DATA))
    assert precious.read_bytes() == before
    assert desk.target.read_bytes() == DATA
    assert not desk.target.samefile(precious)
