"""What files are by their weights becomes known in the background, and outlives a page and a process."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.library.vaes import vae
from vae_manager.jobs import JobState
from vae_manager.library import Folder, scan
from vae_manager.library.family_evidence import LatentTestGuess
from vae_manager.service import WEIGHTS, Service

SOON = 10.0


def learnt(service: Service, path: Path) -> JobState | None:
    service.learn([path])
    view = service.background.wait(f"{WEIGHTS}{path}", SOON)
    return view.state if view is not None else None


def test_fingerprints_with_progress(service: Service, data_folder: Path, folder: Path) -> None:
    path = vae(folder / "a.safetensors")
    assert learnt(service, path) is JobState.DONE
    view = service.background.view(f"{WEIGHTS}{path}")
    assert view is not None
    assert (view.title, view.phase, view.done) == ("a.safetensors", "fingerprinting", view.total)
    for later in (service, Service(data_folder)):
        [file] = later.stores.index.inspect_all(scan([Folder(folder)]))
        assert file.fingerprints == service.stores.index.fingerprints_of(path)
        later.background.forget(f"{WEIGHTS}{path}")
        later.learn([path])
        assert later.background.views() == ()


def test_a_hash_and_fingerprints_are_two_jobs(service: Service, folder: Path) -> None:
    path = vae(folder / "a.safetensors")
    service.hash_in_background([path])
    service.learn([path])
    service.background.wait(f"{WEIGHTS}{path}", SOON)
    [file] = service.stores.index.inspect_all(scan([Folder(folder)]))
    assert file.sha256 is not None
    assert file.fingerprints is not None


def test_what_holds_no_vae_is_no_failure_and_not_tried_over_and_over(service: Service, folder: Path) -> None:
    folder.mkdir(parents=True)
    path = folder / "lora.safetensors"
    path.write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    assert learnt(service, path) is JobState.DONE
    first = service.background.view(f"{WEIGHTS}{path}")
    service.learn([path])
    assert service.background.view(f"{WEIGHTS}{path}") == first


def test_a_broken_file_is_told_once(service: Service, folder: Path) -> None:
    path = vae(folder / "a.safetensors")
    os.truncate(path, path.stat().st_size - 1)
    assert learnt(service, path) is JobState.FAILED
    first = service.background.view(f"{WEIGHTS}{path}")
    assert learnt(service, path) is JobState.FAILED
    assert service.background.view(f"{WEIGHTS}{path}") == first
    vae(path, 2)
    assert learnt(service, path) is JobState.DONE


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_a_pipe_holds_up_nothing(service: Service, folder: Path) -> None:
    path = vae(folder / "a.safetensors")
    os.mkfifo(folder / "pipe.safetensors")
    service.learn([folder / "pipe.safetensors", path])
    view = service.background.wait(f"{WEIGHTS}{path}", SOON)
    assert view is not None
    assert view.state is JobState.DONE


def test_words_and_guesses_outlive_the_process(service: Service, data_folder: Path, folder: Path) -> None:
    vae(folder / "a.safetensors")
    [file] = service.stores.index.inspect_all(scan([Folder(folder)]))
    service.stores.overrides.put(file, "sdxl")
    service.stores.guesses.put(file, LatentTestGuess("sd1", 12.5))
    later = Service(data_folder)
    assert (later.stores.overrides.get(file), later.stores.guesses.guess(file)) == (
        "sdxl",
        LatentTestGuess("sd1", 12.5),
    )
    assert service.stores.trash == data_folder / "trash"


def test_asking_makes_nothing(service: Service, data_folder: Path, folder: Path, tmp_path: Path) -> None:
    before = set(tmp_path.rglob("*"))
    assert list(service.stores.index.inspect_all(scan([Folder(folder)]))) == []
    assert service.stores.index.known_fingerprints(folder / "a.safetensors") is None
    service.learn([folder / "a.safetensors"])
    assert service.background.views() == ()
    assert service.stores.trash == data_folder / "trash"
    assert set(tmp_path.rglob("*")) == before
