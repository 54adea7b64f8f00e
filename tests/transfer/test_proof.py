"""The proof that follows the front, the note of what was written, and who wrote it."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from io import FileIO
from pathlib import Path

import pytest

from vae_manager.transfer import Progress, resume_journal
from vae_manager.transfer.partial_file import BLOCK_BYTES, PartialFile, StreamingHasher
from vae_manager.transfer.resume_journal import Journal, read_journal

from .ordering import CHUNK, COMMIT, NAME, REPO, Desk, some_bytes, unfinished

DATA = some_bytes(3 * BLOCK_BYTES + 17)


def test_it_hashes_up_to_the_front_and_no_further(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(DATA)
    proof = StreamingHasher(FileIO(path, "rb"))
    for contiguous_end in (0, 5, BLOCK_BYTES, 2 * BLOCK_BYTES + 1, len(DATA)):
        proof.advance(contiguous_end)
        assert proof.result(timeout=5) == hashlib.sha256(DATA[:contiguous_end]).hexdigest()
        assert proof.done == contiguous_end
    proof.close()


def test_a_file_that_becomes_shorter_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(DATA[:BLOCK_BYTES])
    proof = StreamingHasher(FileIO(path, "rb"))
    proof.advance(len(DATA))
    with pytest.raises(OSError, match="shorter"):
        proof.result(timeout=5)


def test_what_is_not_hashed_yet_is_not_told(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(DATA)
    read_end, write_end = os.pipe()
    proof = StreamingHasher(FileIO(read_end, "rb"))
    proof.advance(5)
    assert proof.result(timeout=0.05) is None
    os.write(write_end, b"hello")
    assert proof.result(timeout=5) == hashlib.sha256(b"hello").hexdigest()
    proof.close()
    os.close(write_end)


# -- the note ------------------------------------------------------------------------------------------------------
needs_boot_id = pytest.mark.skipif(resume_journal.boot_id() is None, reason="this system has no boot id")


@needs_boot_id
def test_a_note_is_good_until_the_machine_starts_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "note"
    resume_journal.write_unsynced(path, ((0, 5), (7, 9)))
    assert resume_journal.read_unsynced(path) == ((0, 5), (7, 9))
    monkeypatch.setattr(resume_journal, "boot_id", lambda: "another")
    assert resume_journal.read_unsynced(path) == ()


@pytest.mark.parametrize("text", ["", "[]", "{", '{"boot": null, "written": [[0, 5]]}', '{"written": 3}', "\0\0\0"])
def test_a_note_that_makes_no_sense_says_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "note"
    path.write_text(text)
    assert resume_journal.read_unsynced(path) == ()
    assert resume_journal.read_unsynced(tmp_path / "missing") == ()


# -- the owner -----------------------------------------------------------------------------------------------------
def name_of_another(seconds: int) -> tuple[subprocess.Popen[str], str]:
    imports = "import time; from vae_manager.transfer import resume_journal"
    code = f"{imports}; print(resume_journal.current_process(), flush=True); time.sleep({seconds})"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


@needs_boot_id
def test_a_process_is_gone_when_it_has_ended() -> None:
    process, name = name_of_another(60)
    assert not resume_journal.has_ended(name)
    process.kill()
    process.wait()
    assert resume_journal.has_ended(name)
    assert resume_journal.has_ended(resume_journal.current_process()), "what this process has written it can go on with"


def test_nobody_else_is_known_to_be_gone() -> None:
    for name in (None, "", "elsewhere 1-2", "x", resume_journal.current_process() + "0"):
        assert resume_journal.has_ended(name) == (
            name == resume_journal.current_process() + "0" and resume_journal.boot_id() is not None
        )


def test_bytes_of_one_who_may_still_write_are_copied(desk: Desk) -> None:
    """A lock that lies: the other one's late bytes must not reach the file that is proven."""
    data = some_bytes(4_000_000)
    desk.hub.add(REPO, NAME, data, revision=COMMIT)
    kept = desk.keep(desk.order(data), 30 * CHUNK)
    [left] = unfinished(desk.folder)
    journal = left.path.with_suffix(".journal")
    written = json.loads(journal.read_text())
    other = FileIO(left.path, "r+b")

    def write_late(told: Progress) -> None:
        if told.phase == "publishing":
            other.seek(0)
            other.write(b"other bytes" * 1000)

    desk.on_progress = write_late

    journal.write_text(json.dumps({**written, "owner": "somebody elsewhere"}))
    assert desk.get(desk.order(data)).fetched == len(data) - kept, "nothing had to be fetched again"
    assert desk.target.read_bytes() == data
    other.close()


@needs_boot_id
def test_bytes_of_one_who_is_gone_are_not_copied(desk: Desk) -> None:
    data = some_bytes(4_000_000)
    desk.hub.add(REPO, NAME, data, revision=COMMIT)
    desk.keep(desk.order(data), 30 * CHUNK)
    [left] = unfinished(desk.folder)
    before = left.path.stat().st_ino
    desk.get(desk.order(data))
    assert desk.target.stat().st_ino == before


def test_a_partial_file_is_closed_only_when_nobody_writes(desk: Desk) -> None:
    order = desk.order(DATA)
    partial = PartialFile.of(order)
    partial.start_over(Journal(order, order.sha256, len(DATA)))
    threads = [
        threading.Thread(target=partial.write, args=(start, DATA[start : start + CHUNK]))
        for start in range(0, len(DATA), CHUNK)
    ]
    for thread in threads:
        thread.start()
    partial.close()
    byte_ranges = partial.byte_ranges
    for thread in threads:
        thread.join()
    assert partial.byte_ranges == byte_ranges, "what comes later is dropped"
    with FileIO(partial.path, "rb") as file:
        for start, end in byte_ranges:
            file.seek(start)
            assert file.read(end - start) == DATA[start:end]
    assert read_journal(partial.journal_path) is None
