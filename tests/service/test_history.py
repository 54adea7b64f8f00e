"""The history: one line each, whatever happens to the file; nothing secret in it; readable in either language."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from vae_manager.downloads import DownloadOutcome, History, PastDownload, kept_version, references_of
from vae_manager.downloads.history import MAX_BYTES, without_secrets
from vae_manager.library.verification import Reference
from vae_manager.messages import msg

PAST = PastDownload(
    ended_at=1_700_000_000.5,
    name="ft-MSE 840k",
    file_name="vae.safetensors",
    folder="/models/VAE",
    sources=("hub:me/vaes/vae.safetensors",),
    ending=DownloadOutcome.DELIVERED,
    size=334_641_190,
    sha256="ab" * 32,
    proven=True,
    seconds=7.5,
    fetched=300_000_000,
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "vae-manager" / "history.jsonl"


def test_what_is_written_is_read_newest_first(file: Path) -> None:
    history = History(file)
    assert history.entries() == ()
    assert not file.exists()
    older = replace(PAST, ended_at=PAST.ended_at - 60, name="older")
    history.add(older)
    history.add(PAST)
    for reader in (history, History(file)):
        assert reader.entries() == (PAST, older)
    assert PAST.speed == 40_000_000


def test_a_sentence_can_be_read_in_another_language(file: Path) -> None:
    inner = msg("{host} is too far.", host="hub.example")
    History(file).add(replace(PAST, ending=DownloadOutcome.FAILED, problem=msg("{first} {rest}", first=inner, rest=3)))
    [past] = History(file).entries()
    assert past.problem is not None
    assert str(past.problem) == "hub.example is too far. 3"
    assert past.problem.translated({"{host} is too far.": "无法连接 {host}。"}) == "无法连接 hub.example。 3"


def test_no_secret_is_written(file: Path) -> None:
    address = "https://me:word@civitai.com/api/vae.safetensors?token=hidden#part"
    problem = msg("{error}", error=f"ConnectionError: {address} is gone", inner=msg("{x}", x=address))
    History(file).add(replace(PAST, sources=(address,), problem=problem))
    text = file.read_text()
    assert "hidden" not in text
    assert "word" not in text
    [past] = History(file).entries()
    assert past.sources == past.cut == ("https://civitai.com/api/vae.safetensors",)


def test_only_an_address_that_lost_its_query_counts_as_cut(file: Path) -> None:
    sources = ("https://a.b/c?d=1", "https://a.b/c", "https://a.b/e?f", "hub:me/vaes/v.pt", "https://a.b/g#h?i")
    History(file).add(replace(PAST, sources=sources))
    [past] = History(file).entries()
    assert past.cut == ("https://a.b/e",)
    History(file).add(replace(past, ended_at=past.ended_at + 1))
    assert History(file).entries()[0].cut == ("https://a.b/e",), "what was read is written as it was"


def test_the_newest_delivery_of_a_path_decides_what_is_proven_there() -> None:
    later = replace(PAST, ended_at=PAST.ended_at + 1, sha256="cd" * 32)
    path = Path("/models/VAE/vae.safetensors")
    assert references_of([later, PAST]) == {path: Reference("cd" * 32)}
    assert references_of([replace(later, ending=DownloadOutcome.FAILED), PAST]) == {path: Reference("ab" * 32)}
    assert references_of([replace(later, proven=False), PAST]) == {}, "another file is there since then"


def test_the_version_that_the_owner_keeps_replaces_a_delivery_until_the_next(file: Path) -> None:
    path = Path("/models/VAE/vae.safetensors")
    kept = kept_version(path, "ef" * 32, 7)
    History(file).add(PAST)
    History(file).add(kept)
    assert references_of(History(file).entries()) == {path: Reference("ef" * 32, is_kept=True)}
    again = replace(PAST, ended_at=kept.ended_at + 1)
    assert references_of([again, kept, PAST]) == {path: Reference("ab" * 32)}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://a.b/c?d=e f", "https://a.b/c f"),
        ("HTTPS://u:p@a.b/c and http://d.e/#f", "HTTPS://a.b/c and http://d.e/"),
        ("hub:me/vaes/v.safetensors@main", "hub:me/vaes/v.safetensors@main"),
        ("why? no@body", "why? no@body"),
    ],
)
def test_addresses_are_cut_down(text: str, shown: str) -> None:
    assert without_secrets(text) == shown


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe\x00",
        b"{}",
        b"[" * 100_000,
        json.dumps({"ended_at": 1e300}).encode(),
        b'{"ended_at": NaN}',
    ],
)
def test_a_garbled_line_costs_itself_alone(file: Path, line: bytes) -> None:
    history = History(file)
    history.add(PAST)
    whole = file.read_bytes()
    file.write_bytes(whole + line + b"\n" + whole)
    assert History(file).entries() == (PAST, PAST)


@pytest.mark.parametrize(
    "change",
    [
        {"ending": "eaten"},
        {"ended_at": 1e18},
        {"ended_at": float("nan")},
        {"sources": None},
        {"problem": {"template": "{missing}", "fields": {}}},
        {"problem": {"template": "{a.b}", "fields": {"a": 1}}},
        {"problem": {"template": "{", "fields": {}}},
        {"problem": "text"},
        {"size": "much"},
    ],
)
def test_an_entry_that_makes_no_sense_is_left_out(file: Path, change: dict[str, object]) -> None:
    history = History(file)
    history.add(PAST)
    data = json.loads(file.read_text())
    with file.open("a") as lines:
        lines.write(json.dumps({**data, **change}) + "\n")
    assert history.entries() == (PAST,)


def test_after_a_torn_line_the_next_one_is_whole(file: Path) -> None:
    history = History(file)
    history.add(PAST)
    with file.open("ab") as lines:
        lines.write(file.read_bytes()[:100])  # as a kill -9 or a full disk leaves it
    history.add(PAST)
    assert History(file).entries() == (PAST, PAST)


def test_it_is_bounded_and_keeps_the_newest(file: Path) -> None:
    history = History(file)
    count = 4 * MAX_BYTES // 450
    for number in range(count):
        history.add(replace(PAST, ended_at=float(number)))
    found = History(file).entries()
    assert sum(path.stat().st_size for path in file.parent.iterdir()) < 2.1 * MAX_BYTES
    assert len(found) > 300
    assert [past.ended_at for past in found] == [float(count - 1 - number) for number in range(len(found))]


def test_several_processes_write_at_once(file: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from dataclasses import replace;"
        "from tests.service.test_history import PAST; from vae_manager.downloads import History;"
        "h = History(Path(sys.argv[1])); [h.add(replace(PAST, name=sys.argv[2])) for _ in range(100)]"
    )
    root = Path(__file__).parents[2]
    running = [subprocess.Popen([sys.executable, "-c", script, str(file), name], cwd=root) for name in "abc"]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    names = [past.name for past in History(file).entries()]
    assert {name: names.count(name) for name in "abc"} == {"a": 100, "b": 100, "c": 100}


def test_a_folder_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "vae-manager").write_text("a file where the folder should be")
    history = History(tmp_path / "vae-manager" / "history.jsonl")
    history.add(PAST)
    assert history.entries() == ()
