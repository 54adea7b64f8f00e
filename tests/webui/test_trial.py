"""A trial as a job of the service: odd pictures, failing VAEs, cancel, generations first, and what stays of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.shown import shows
from tests.webui.host import unfit
from tests.wording import says

pytest.importorskip("skimage")

from tests.compare.planted import samples
from vae_manager.compare import Decoded, Encoder, State
from vae_manager.compare.picture_basket import PictureBasket
from vae_manager.compare.picture_folder import Sample, sample_of_bytes
from vae_manager.compare.ranking import Standing
from vae_manager.compare.trial_records import TrialRecords
from vae_manager.compare.trial_state import TrialState
from vae_manager.errors import IntegrityError, OutOfMemoryError, RefusedError
from vae_manager.messages import msg
from vae_manager.service import Service
from vae_manager.webui.hosts.host import ComparisonRequest
from vae_manager.webui.translation import Translator
from vae_manager.webui.trial_job import TrialRequest, begin_trial, changed_since
from vae_manager.webui.ui.trial_page import TrialSection
from vae_manager.webui.ui.views.trial_section import measured_here, trial

from .comparing import PlainComparing, kept

ENGLISH = Translator({})
VAES = ["None", "a.safetensors", "b.safetensors"]


class Comparing(PlainComparing):
    """Each VAE is brighter than the one before by some levels; `fails` may raise for a picture."""

    def __init__(self, folder: Path, vaes: Sequence[str]) -> None:
        super().__init__(folder, vaes)
        self.asked: list[list[str]] = []
        self.fails: Callable[[int], None] = lambda number: None

    def compare(self, wanted: ComparisonRequest, vaes: Sequence[str], **more: Any) -> None:
        self.asked.append(list(vaes))
        self.fails(len(self.asked))
        super().compare(wanted, vaes, **more)

    def _decoded(self, wanted: ComparisonRequest, vae: str, number: int) -> Decoded:
        if "nan" in vae:
            return Decoded(vae, None, 0.1, nan=True, error=msg("This VAE gave no picture (NaN).", code="no-picture"))
        if "bad" in vae:
            return Decoded(vae, None, 0.0, error=unfit(vae))
        start = wanted.source.picture if isinstance(wanted.source, Encoder) else np.full((64, 64, 3), 90, np.uint8)
        step = 8 * (VAES.index(vae) if vae in VAES else 0)
        return Decoded(vae, np.clip(start.astype(int) + step, 0, 255).astype(np.uint8), 0.1)


class Stand:
    """A host of what a trial asks for."""

    def __init__(self, folder: Path, vaes: Sequence[str]) -> None:
        self.comparing = Comparing(folder / "saved", vaes)
        self.folder = folder
        self.checkpoint = "demo.ckpt"
        for vae in vaes:
            (folder / vae).write_bytes(vae.encode())

    def in_use(self) -> Any:
        return SimpleNamespace(path=None, checkpoint_file=str(self.folder / self.checkpoint), dtype="fp16")

    def files(self) -> dict[str, str]:
        return {path.name: str(path) for path in self.folder.glob("*.safetensors")}


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path / "data")


@pytest.fixture
def host(tmp_path: Path) -> Any:
    return Stand(tmp_path, ["a.safetensors", "b.safetensors", "bad.safetensors", "nan.safetensors"])


def tried(host: Any, service: Service, pictures: Sequence[Any], vaes: Sequence[str] = VAES) -> TrialState:
    id = begin_trial(host, service, TrialRequest(msg("Pictures"), vaes, lambda: pictures))
    service.comparing.wait(id)
    assert service.trials.now is not None
    return service.trials.now


def seven() -> list[Sample]:
    return samples(7, 64, seed=1)


def test_a_ranking_with_its_worst_parts(host: Any, service: Service) -> None:
    found = tried(host, service, seven())
    assert (found.state, found.error) == (State.DONE, None)
    assert found.finding is not None
    assert [row.vae for row in found.finding.ranking.rows] == VAES
    assert found.finding.ranking.rows[2].standing is Standing.WORSE
    assert set(found.finding.charts) == set(VAES)
    assert 0 < len(found.crops) <= 3
    assert [len(crop.parts) for crop in found.crops] == [4] * len(found.crops)


def test_failing_vaes_stand_with_their_reason(host: Any, service: Service) -> None:
    found = tried(host, service, seven(), [*VAES, "bad.safetensors", "nan.safetensors"]).finding
    assert found is not None
    assert dict(found.errors) == {"bad.safetensors": unfit("bad.safetensors")}
    assert found.ranking.rows[-1].vae == "nan.safetensors"
    assert host.comparing.asked[0] != host.comparing.asked[1], "one that cannot decode is asked once"


def test_pictures_that_cannot_be_used_end_nothing(host: Any, service: Service) -> None:
    def memory(number: int) -> None:
        if number == 2:
            raise OutOfMemoryError(msg("There is not enough memory to encode this picture. Take a smaller one."))

    host.comparing.fails = memory
    found = tried(host, service, [*seven(), sample_of_bytes("broken", b"x")])
    assert found.state is State.DONE
    assert found.finding is not None
    assert (found.finding.ranking.pictures, len(found.finding.skipped)) == (6, 2)


def test_want_of_memory_for_one_picture_costs_no_vae(host: Any, service: Service) -> None:
    decoded = host.comparing._decoded

    def scarce(wanted: ComparisonRequest, vae: str, number: int) -> Decoded:
        if vae == "a.safetensors" and len(host.comparing.asked) in (2, 5):
            return Decoded(vae, None, 0.0, error=msg("There is not enough memory.", code="not-even-in-tiles"))
        made: Decoded = decoded(wanted, vae, number)
        return made

    host.comparing._decoded = scarce
    found = tried(host, service, seven()).finding
    assert found is not None
    assert dict(found.errors) == {}
    assert (found.ranking.pictures, len(found.ranking.rows), len(found.skipped)) == (5, 3, 2)


def test_a_vae_that_was_not_put_back_ends_it(host: Any, service: Service) -> None:
    def not_restored(number: int) -> None:
        raise IntegrityError(msg("The VAE in use is not what it was before the comparison.", code="vae-not-restored"))

    host.comparing.fails = not_restored
    found = tried(host, service, seven())
    assert found.state is State.FAILED
    assert found.error is not None
    assert (found.error.code, len(host.comparing.asked)) == ("vae-not-restored", 1)


def test_cancelled_between_two_pictures_and_gone_on_with(host: Any, service: Service) -> None:
    def stops(number: int) -> None:
        if number == 4:
            assert service.trials.now is not None
            service.comparing.stop(service.trials.now.id)

    host.comparing.fails = stops
    assert tried(host, service, seven()).state is State.STOPPED
    host.comparing.fails = lambda number: None
    asked = len(host.comparing.asked)
    found = tried(host, service, seven())
    assert found.state is State.DONE
    assert len(host.comparing.asked) - asked == 8 - 3, "the chart and two pictures are in the journal"
    assert found.finding is not None
    assert found.finding.ranking.pictures == 7


def test_a_changed_file_is_measured_anew(host: Any, service: Service, tmp_path: Path) -> None:
    tried(host, service, seven())
    (tmp_path / "a.safetensors").write_bytes(b"other weights")
    host.comparing.asked.clear()
    tried(host, service, seven())
    assert {tuple(one) for one in host.comparing.asked} == {("a.safetensors",)}


def test_no_path_of_the_machine_is_in_the_result(host: Any, service: Service, tmp_path: Path) -> None:
    found = tried(host, service, seven())
    assert found.finding is not None
    assert str(tmp_path) not in repr(found.finding)
    assert str(tmp_path) not in (service.data_folder / "trial-journal.jsonl").read_text("utf-8")


def test_kept_latents_are_held_against_the_middle_of_all(host: Any, service: Service) -> None:
    found = tried(host, service, [kept(str(number)) for number in range(6)])
    assert (found.state, found.note is not None) == (State.DONE, True)
    assert found.finding is not None
    assert found.finding.ranking.rows[0].vae == "a.safetensors"
    assert service.trial_records.of("demo.ckpt") is None, "it is no advice"
    assert tried(host, service, [kept("1")], VAES[:2]).state is State.FAILED


def test_one_vae_is_no_trial(host: Any, service: Service) -> None:
    with pytest.raises(RefusedError):
        tried(host, service, seven(), ["a.safetensors"])


def test_what_was_measured_stays_for_its_checkpoint(host: Any, service: Service, tmp_path: Path) -> None:
    tried(host, service, seven())
    again = TrialRecords(service.data_folder / TrialRecords.NAME)
    record = again.of("/elsewhere/demo.ckpt")
    assert record is not None
    assert (record.pictures, record.nearest) == (7, ["None"])
    assert [row.vae for row in record.rows] == VAES
    assert again.of("other.ckpt") is again.of(None) is None
    assert shows(measured_here(record, ENGLISH), "measured-here")
    (service.data_folder / TrialRecords.NAME).write_text('[{"checkpoint": 1}]', encoding="utf-8")
    assert again.of("demo.ckpt") is None


def test_a_replaced_file_is_no_advice(host: Any, service: Service, tmp_path: Path) -> None:
    """Neither a VAE of the same name, nor another checkpoint of the same name for its own VAE."""
    (tmp_path / "demo.ckpt").write_bytes(b"weights")
    tried(host, service, seven())
    record = service.trial_records.of("demo.ckpt")
    assert record is not None
    assert set(changed_since(host, record)) == set()
    (tmp_path / "a.safetensors").write_bytes(b"other weights")
    assert set(changed_since(host, record)) == {"a.safetensors"}
    assert says(measured_here(record, ENGLISH, {"a.safetensors"}), "changed-since")
    assert not says(measured_here(record, ENGLISH), "changed-since")
    (tmp_path / "demo.ckpt").write_bytes(b"another checkpoint")
    (tmp_path / "b.safetensors").unlink()
    assert set(changed_since(host, record)) == set(VAES)
    assert measured_here(record, ENGLISH, VAES) == ""
    again = TrialRecords(service.data_folder / TrialRecords.NAME).of("demo.ckpt")
    assert again is not None
    assert [row.file for row in again.rows] == [row.file for row in record.rows]


def test_a_file_that_is_replaced_in_the_middle_is_left_out(host: Any, service: Service, tmp_path: Path) -> None:
    """No score of the other file is kept under the hash of the one before."""

    def replaces(number: int) -> None:
        if number == 4:
            (tmp_path / "a.safetensors").write_bytes(b"other weights")

    host.comparing.fails = replaces
    found = tried(host, service, seven()).finding
    assert found is not None
    assert {vae: error.code for vae, error in found.errors.items()} == {"a.safetensors": "changed-meanwhile"}
    assert (found.ranking.pictures, [row.vae for row in found.ranking.rows]) == (7, ["None", "b.safetensors"])
    lines = (service.data_folder / "trial-journal.jsonl").read_text("utf-8").splitlines()
    assert len(lines) == 3 * 3 + 5 * 2


def test_another_checkpoint_in_the_middle_ends_it(host: Any, service: Service, tmp_path: Path) -> None:
    """Built-in is another VAE then. Without Built-in it goes on."""

    def loads(number: int) -> None:
        if number == 3:
            host.checkpoint = "other.ckpt"

    host.comparing.fails = loads
    found = tried(host, service, seven())
    assert found.error is not None
    assert (found.state, found.error.code) == (State.FAILED, "other-checkpoint")
    assert len(host.comparing.asked) == 3
    assert service.trial_records.of("other.ckpt") is service.trial_records.of("demo.ckpt") is None
    host.checkpoint, host.comparing.asked = "demo.ckpt", []
    assert tried(host, service, seven(), VAES[1:]).state is State.DONE


def test_a_checkpoint_that_was_loaded_during_the_wait_is_the_one(host: Any, service: Service) -> None:
    host.comparing.gate.clear()
    begin_trial(host, service, TrialRequest(msg("Pictures"), VAES, seven))
    later = begin_trial(host, service, TrialRequest(msg("Pictures"), VAES[1:], seven))
    host.checkpoint = "other.ckpt"
    host.comparing.gate.set()
    service.comparing.wait(later)
    assert service.trial_records.of("other.ckpt") is not None


def test_the_page_in_each_state(host: Any, service: Service) -> None:
    assert trial(TrialSection(None, "None", None), "life", ENGLISH) == ""
    host.comparing.gate.clear()
    id = begin_trial(host, service, TrialRequest(msg("Pictures"), VAES, seven))
    assert service.trials.now is not None
    assert "stop-trial" in trial(TrialSection(service.trials.now, "None", None), "life", ENGLISH)
    host.comparing.gate.set()
    service.comparing.wait(id)
    done = trial(TrialSection(service.trials.now, "None", None), "life", ENGLISH)
    assert done.count("vm-ranked") == 3
    assert "card.png" in done
    assert "choose" in done
    assert "choose" not in trial(TrialSection(service.trials.now, "None", msg("No.")), "life", ENGLISH)


def test_the_basket_has_bounds() -> None:
    basket = PictureBasket(most=2, most_bytes=10)
    assert (basket.add("1", "a", b"1234"), basket.add("1", "again", b"1234"), basket.add("1", "b", b"12345")) == (
        1,
        1,
        2,
    )
    with pytest.raises(RefusedError):
        basket.add("1", "c", b"1")
    assert basket.add("2", "d", b"1") == 1
    with pytest.raises(RefusedError):
        basket.add("2", "e", b"1234567890")
    assert [sample.name for sample in basket.samples()] == ["d"]
