"""Verdicts of verifications survive a restart, and belong to the file that was verified."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.library.vaes import rot, vae
from tests.records.reading import sql
from tests.webui.test_page import wait_for
from vae_manager.library import Folder, VaeFile, scan
from vae_manager.sentences import say
from vae_manager.service import Service
from vae_manager.upkeep import Verdict
from vae_manager.upkeep.verdicts import keep_verdict, verdict_on


class Shelf:
    def __init__(self, root: Path) -> None:
        self.path = vae(root / "VAE" / "a.safetensors", 1)
        self.data = root / "data"

    @property
    def file(self) -> VaeFile:
        [file] = scan([Folder(self.path.parent)])
        return file

    def service(self) -> Service:
        """A process that starts now."""
        return Service(self.data)

    def verify(self) -> None:
        service = self.service()
        service.upkeep.verify(self.file)
        wait_for(lambda: all(view.state.ended for view in service.upkeep.views()))

    def verdict(self) -> Verdict | None:
        return self.service().upkeep.verdict(self.file)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def test_good_verdict_survives_a_restart(shelf: Shelf) -> None:
    assert shelf.verdict() is None
    before = time.time()
    shelf.verify()
    verdict = shelf.verdict()
    assert verdict is not None
    assert verdict.problem is None
    assert before <= verdict.at <= time.time()


def test_problem_survives_a_restart_as_the_same_sentence(shelf: Shelf) -> None:
    shelf.verify()
    rot(shelf.path, shelf.service().hashes)
    shelf.verify()
    verdict = shelf.verdict()
    assert verdict is not None
    assert verdict.problem is not None
    assert verdict.problem.fields == {"file": "a.safetensors"}


def test_file_that_was_written_to_has_no_verdict(shelf: Shelf) -> None:
    shelf.verify()
    vae(shelf.path, 2, longer="than before")
    assert shelf.verdict() is None


def test_verdict_changes_the_revision(shelf: Shelf) -> None:
    service, other = shelf.service(), shelf.service()
    before = other.upkeep.verdict_revision
    keep_verdict(shelf.file, Verdict(5.0, say("No VAE is here twice.")), service.records)
    assert other.upkeep.verdict_revision != before
    assert other.upkeep.verdict(shelf.file) == Verdict(5.0, say("No VAE is here twice."))


@pytest.mark.parametrize("problem", ["{", "[]", "7", '{"template": "{a.b}", "fields": {}}', "[" * 5000])
def test_damaged_record_is_no_verdict(shelf: Shelf, problem: str) -> None:
    keep_verdict(shelf.file, Verdict(5.0, None), shelf.service().records)
    sql(shelf.data, "UPDATE verifications SET problem = ?", problem)
    assert verdict_on(shelf.file, shelf.service().records) is None
