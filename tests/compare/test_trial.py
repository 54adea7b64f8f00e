"""A trial: planted faults are named, in their order; odd pictures, broken VAEs, a cut and its continuation."""

from __future__ import annotations

import gc
import io
import json
import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from PIL import Image

from tests.compare.planted import CHAIN, SINGLE, Exact, chain, exact, overflow, pale, png_of, samples, singles, subject
from tests.vaes.pictures import pictures
from vae_manager.compare import Model
from vae_manager.compare.comparison import to_pixels
from vae_manager.compare.defects import Kind
from vae_manager.compare.findings import summary
from vae_manager.compare.picture_folder import Sample, files_below, sample_of_bytes, spread
from vae_manager.compare.ranking import Standing
from vae_manager.compare.trial import AHEAD, Finding, Subject, Trial, TrialStep, run
from vae_manager.compare.trial_journal import TrialJournal
from vae_manager.errors import Cancelled, IntegrityError, NotFoundError, RefusedError
from vae_manager.messages import msg

EXPECTED = {
    "good": set(),
    "overflow": {Kind.OVERFLOW},
    "nan": {Kind.NO_PICTURE},
    "green": {Kind.GREEN_RED},
    "pale": {Kind.CONTRAST},
    "exchanged": {Kind.EXCHANGED},
    "blurred": {Kind.BLUR},
}


def tried(subjects: Sequence[Subject], pictures: Sequence[Sample], **more: Any) -> Finding:
    return run(trial_of(subjects), subjects, pictures, **{"with_chart": False, **more})


def trial_of(subjects: Sequence[Subject], journal: TrialJournal | None = None) -> Trial:
    return Trial({one.vae: one.hash for one in subjects}, journal=journal)


@pytest.fixture(scope="module")
def found() -> Finding:
    subjects = singles()
    return run(trial_of(subjects), subjects, samples(10, 64, seed=4), with_chart=False)


@pytest.mark.parametrize("name", ["good", *SINGLE])
def test_each_planted_fault_is_named(found: Finding, name: str) -> None:
    assert {defect.kind for defect in found.defects[name]} >= EXPECTED[name]
    beside = {Kind.GREEN_RED: {Kind.BLUE_YELLOW, Kind.BRIGHTNESS}, Kind.CONTRAST: {Kind.SATURATION}}
    allowed = EXPECTED[name].union(*(beside.get(kind, set()) for kind in EXPECTED[name]))
    assert {defect.kind for defect in found.defects[name]} <= allowed


def test_direction_size_and_place_of_a_fault(found: Finding) -> None:
    by_kind = {defect.kind: defect for of in found.defects.values() for defect in of}
    assert by_kind[Kind.GREEN_RED].amount < -3
    assert by_kind[Kind.CONTRAST].amount == pytest.approx(-0.2, abs=0.03)
    assert by_kind[Kind.EXCHANGED].beside == "bgr"
    assert by_kind[Kind.OVERFLOW].beside == "inner"
    assert by_kind[Kind.NO_PICTURE].amount == 10


def test_an_overflow_costs_no_place_in_32_bits(found: Finding) -> None:
    rows = {row.vae: row for row in found.ranking.rows}
    assert {rows["good"].place, rows["overflow"].place} == {1}


def test_the_planted_order() -> None:
    rows = tried(chain(), samples(10, 64, seed=9)).ranking.rows
    assert tuple(row.vae for row in rows) == CHAIN
    assert [row.standing for row in rows[1:]] == [*[Standing.WORSE] * 4, Standing.USELESS]


def test_what_few_pictures_show_is_marked_for_a_single_vae_too() -> None:
    found = tried([subject("pale", pale)], samples(2, 64, seed=2))
    assert found.defects["pale"]
    assert "too-few-pictures" in {note.code for note in summary(found)}


def test_copies_of_one_picture_make_nothing_certain() -> None:
    """Files that differ in their bytes alone, as the same picture with other infotexts."""
    picture = samples(1, 64, seed=2)[0].read()
    copies = [sample_of_bytes(f"{number}.png", picture + bytes([number])) for number in range(8)]
    found = tried([subject("good"), subject("pale", pale)], copies)
    assert (found.ranking.pictures, found.ranking.rows[1].standing) == (1, Standing.UNCLEAR)
    assert {one.reason.code for one in found.skipped} == {"same-picture-again"}


Planted = Callable[[torch.Tensor], torch.Tensor]


def planted(name: str, fault: Planted) -> Subject:
    """A VAE without any loss, whose picture `fault` changes."""

    def load() -> Model:
        vae = Exact(127)
        return Model(vae, lambda z: fault(vae.decode(z)), vae.encode, torch.device("cpu"))

    return Subject(name, name, load)


def smooth(picture: torch.Tensor) -> torch.Tensor:
    around = torch.nn.functional.pad(picture, (1, 1, 1, 1), mode="replicate")
    return torch.nn.functional.avg_pool2d(around, 3, 1)


USELESS: dict[str, tuple[Planted, Kind]] = {
    "flat": (lambda picture: picture * 0 + 0.2, Kind.FLAT),
    "black": (lambda picture: picture * 0 - 1, Kind.FLAT),
    "noise": (lambda picture: torch.rand(picture.shape, generator=torch.Generator().manual_seed(1)), Kind.BROKEN),
    "mirrored": (lambda picture: picture.flip(-1), Kind.BROKEN),
    "inverted": (lambda picture: -picture, Kind.INVERTED),
    "nan": (lambda picture: picture * torch.nan, Kind.NO_PICTURE),
}


@pytest.mark.parametrize("name", USELESS)
def test_a_useless_vae_is_named_and_says_nothing_of_a_good_one(name: str) -> None:
    """Pictures without fine detail, of which chance alone keeps more than there is."""
    fault, kind = USELESS[name]
    found = tried([planted("good", lambda picture: picture), planted(name, fault)], smooth_samples())
    assert [defect.kind for defect in found.defects["good"]] == []
    assert [defect.kind for defect in found.defects[name]] == [kind]
    assert [row.standing for row in found.ranking.rows] == [Standing.NEAREST, Standing.USELESS]


def smooth_samples() -> list[Sample]:
    made = pictures(8, 128, seed=5)
    return [sample_of_bytes(f"{number}", png_of(to_pixels(one))) for number, one in enumerate(made)]


def test_none_of_useless_vaes_is_the_nearest() -> None:
    found = tried([planted(name, fault) for name, (fault, _) in USELESS.items()], smooth_samples())
    assert {row.standing for row in found.ranking.rows} == {Standing.USELESS}
    assert [row.place for row in found.ranking.rows] == list(range(1, len(USELESS) + 1))
    distances = [row.distance for row in found.ranking.rows]
    assert distances == sorted(distances)


def test_an_inverted_colour_is_no_exchange_of_channels() -> None:
    plain = [np.full((64, 64, 3), (30 * number, 128, 200), np.uint8) for number in range(8)]
    some = [sample_of_bytes(f"{number}", png_of(one)) for number, one in enumerate(plain)]
    found = tried([planted("inverted", lambda picture: -picture)], some)
    assert Kind.EXCHANGED not in {defect.kind for defect in found.defects["inverted"]}
    found = tried([planted("exchanged", lambda picture: picture.flip(1))], some)
    assert [defect.kind for defect in found.defects["exchanged"]] == [Kind.EXCHANGED]


def test_no_more_than_all_detail_is_lost() -> None:
    """Pictures that are nearly white, whose detail comes back with the other sign."""
    made = [one * 0.08 + 0.9 for one in pictures(8, 64, seed=5)]
    grain = torch.randn(8, 1, 64, 64, generator=torch.Generator().manual_seed(1)) * 0.03
    some = [
        sample_of_bytes(f"{number}", png_of(to_pixels(one + noise)))
        for number, (one, noise) in enumerate(zip(made, grain, strict=True))
    ]
    vaes = [planted("good", lambda picture: picture), planted("inverted", lambda picture: -picture)]
    defects = tried(vaes, some).defects["inverted"]
    assert [defect.amount for defect in defects if defect.kind is Kind.BLUR] == [-1.0]


def test_a_little_contrast_is_a_loss_of_contrast() -> None:
    found = tried([planted("pale", lambda picture: picture * 0.1)], smooth_samples())
    by_kind = {defect.kind: defect.amount for defect in found.defects["pale"]}
    assert Kind.BROKEN not in by_kind
    assert by_kind[Kind.CONTRAST] == pytest.approx(-0.9, abs=0.03)


def test_a_vae_that_exaggerates_makes_no_other_one_softer() -> None:
    sharper = planted("sharper", lambda picture: picture + (picture - smooth(picture)))
    found = tried([planted("good", lambda picture: picture), sharper], samples(8, 64, seed=4))
    assert [defect.kind for defect in found.defects["good"]] == []


def test_an_overflow_is_still_named_when_all_is_in_the_journal(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    vaes, some = [subject("overflow", overflow)], samples(12, 64, seed=4)
    for number in (2, 12, 12):
        found = run(trial_of(vaes, TrialJournal(path)), vaes, some[:number], with_chart=False)
        assert [defect.kind for defect in found.defects["overflow"]] == [Kind.OVERFLOW]


def test_a_picture_that_is_too_large_for_the_memory_costs_no_vae() -> None:
    """It is left out for all; a VAE for which each picture is too large is left out with the reason."""

    def scarce(name: str, most: int) -> Subject:
        def load() -> Model:
            vae = Exact(24)

            def encode(picture: torch.Tensor) -> torch.Tensor:
                if picture.shape[3] > most:
                    raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
                return vae.encode(picture)

            return Model(vae, vae.decode, encode, torch.device("cpu"))

        return Subject(name, name, load)

    large = [replace(one, name="large.png") for one in samples(1, 128, seed=1)]
    found = tried([scarce("some", 64), scarce("none", 8), subject("good")], [*large, *samples(7, 64, seed=4)])
    assert {row.vae for row in found.ranking.rows} == {"some", "good"}
    assert found.ranking.pictures == 7
    assert {vae: error.code for vae, error in found.errors.items()} == {"none": "out-of-memory"}
    assert {one.name for one in found.skipped} == {"large.png"}


def test_a_vae_of_other_channels_ends_no_other() -> None:
    four = planted("four", lambda picture: torch.cat([picture, picture[:, :1]], 1))
    found = tried([four, subject("good")], samples(2, 64, seed=4))
    assert found.errors["four"].code == "other-channels"
    assert [row.vae for row in found.ranking.rows] == ["good"]


def test_a_journal_of_other_numbers_is_measured_again(tmp_path: Path) -> None:
    path, vaes, some = tmp_path / "journal", [subject("good")], samples(2, 64, seed=4)
    first = run(trial_of(vaes, TrialJournal(path)), vaes, some, with_chart=False)
    lines = []
    for line in path.read_text("utf-8").splitlines():
        key, fields = json.loads(line)
        lines.append(json.dumps([key, [*fields[:3], fields[3][:3], *fields[4:]]]))
    path.write_text("\n".join(lines), encoding="utf-8")
    assert run(trial_of(vaes, TrialJournal(path)), vaes, some, with_chart=False).profiles == first.profiles


def test_pictures_of_odd_kinds_and_files_that_are_none(tmp_path: Path) -> None:
    scene = np.asarray(Image.open(io.BytesIO(samples(1, 64, seed=2)[0].read())))
    Image.fromarray(scene).save(tmp_path / "a.png")
    Image.fromarray(scene[:37, :51]).save(tmp_path / "odd sides.webp")
    Image.fromarray(scene).convert("RGBA").save(tmp_path / "alpha.png")
    Image.fromarray(scene[..., 0].astype(np.uint16) << 8).save(tmp_path / "grey16.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(scene[:32]).save(tmp_path / "turned.jpg", exif=exif)
    frames = [Image.fromarray(scene), Image.fromarray(scene[::-1].copy())]
    frames[0].save(tmp_path / "moving.webp", save_all=True, append_images=frames[1:])
    (tmp_path / "deeper").mkdir()
    Image.fromarray(scene[::-1]).save(tmp_path / "deeper" / "b.PNG")
    (tmp_path / "broken.png").write_bytes((tmp_path / "a.png").read_bytes()[:200])
    (tmp_path / "text.jpg").write_text("no picture", encoding="utf-8")
    Image.fromarray(scene[:4]).save(tmp_path / "thin.png")
    (tmp_path / "again.png").write_bytes((tmp_path / "a.png").read_bytes())
    found = tried([subject("good")], files_below(tmp_path))
    assert {one.name for one in found.skipped} == {
        *("broken.png", "text.jpg", "thin.png"),
        *("again.png", "alpha.png"),
    }
    assert found.ranking.pictures == 6, "two files of the same pixels are one picture"
    assert found.ranking.rows[0].distance < 1


def test_the_middle_of_a_large_picture_in_its_own_size() -> None:
    large = np.zeros((100, 700, 3), np.uint8)
    large[:, 94:606] = 200
    _, pixels = sample_of_bytes("x", png_of(large)).opened(512)
    assert pixels.shape == (100, 512, 3)
    assert (pixels == 200).all()


def test_a_folder_without_pictures(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(NotFoundError):
            files_below(folder)
    assert len(spread(range(1000), 10)) == len(set(spread(range(1000), 10))) == 10  # type: ignore[arg-type]


def test_a_vae_that_cannot_decode_ends_no_other() -> None:
    def raises() -> Any:
        raise RefusedError(msg("{file} holds no VAE whose network is known here.", file="x"))

    def fails(z: Any) -> Any:
        raise RuntimeError("sizes do not match")

    bad, odd = Subject("bad", "1", raises), Subject("odd", "2", lambda: replace(exact(), decode=fails))
    found = tried([bad, odd, subject("good")], samples(3, 64, seed=1))
    assert (set(found.errors), [row.vae for row in found.ranking.rows]) == ({"bad", "odd"}, ["good"])


class Counted:
    """A subject that counts its decodes, and stops the trial after some."""

    def __init__(self, stop: threading.Event | None = None, after: int = 0) -> None:
        self.decodes, self.stop, self.after = 0, stop, after

    def subject(self, name: str = "good") -> Subject:
        model = exact()

        def decode(z: Any) -> Any:
            self.decodes += 1
            if self.stop is not None and self.decodes == self.after:
                self.stop.set()
            return model.decode(z)

        return Subject(name, "hash", lambda: replace(model, decode=decode))


def test_a_trial_that_was_stopped_goes_on(tmp_path: Path) -> None:
    path, pictures, stop = tmp_path / "journal.jsonl", samples(8, 64, seed=6), threading.Event()
    first = Counted(stop, after=5)
    with pytest.raises(Cancelled):
        run(trial_of([first.subject()], TrialJournal(path)), [first.subject()], pictures, with_chart=False, stop=stop)
    assert first.decodes == 5
    path.write_bytes(path.read_bytes()[:-20])  # a power cut in the middle of the last line
    second = Counted()
    whole = run(trial_of([second.subject()], TrialJournal(path)), [second.subject()], pictures, with_chart=False)
    assert (second.decodes, whole.ranking.pictures) == (4, 8)
    third = Counted()
    again = run(trial_of([third.subject()], TrialJournal(path)), [third.subject()], pictures, with_chart=False)
    assert third.decodes == 0
    assert again.ranking == whole.ranking


def test_other_settings_and_other_weights_are_measured_anew(tmp_path: Path) -> None:
    journal, pictures = TrialJournal(tmp_path / "journal.jsonl"), samples(2, 64, seed=6)
    for settings, count in (({}, 2), ({"side": 32}, 2), ({"precision": "fp16"}, 2), ({}, 0)):
        one = Counted()
        subjects = [one.subject()]
        run(Trial({"good": "hash"}, journal=journal, **settings), subjects, pictures, with_chart=False)
        assert one.decodes == count
    other = Counted()
    run(Trial({"good": "other"}, journal=journal), [other.subject()], pictures, with_chart=False)
    assert other.decodes == 2


def test_progress_counts_to_its_end() -> None:
    steps: list[TrialStep] = []
    tried([subject("a"), subject("b")], samples(3, 64, seed=1), report=steps.append)
    done = [step.done for step in steps]
    assert done == sorted(done)
    assert (steps[-1].done, steps[-1].total) == (6, 6)


class Large(Sample):
    """A picture whose pixels are counted until they go; each is another one."""

    held: ClassVar[int] = 0
    most: ClassVar[int] = 0

    def opened(self, side: int) -> tuple[str, Any]:
        _, pixels = super().opened(side)
        pixels = pixels.copy()
        Large.held += 1
        Large.most = max(Large.most, Large.held)
        weakref.finalize(pixels, Large.gone)
        return self.name, pixels

    @classmethod
    def gone(cls) -> None:
        cls.held -= 1


def test_a_few_pictures_are_in_memory_at_once() -> None:
    content = samples(1, 64, seed=1)[0]
    found = tried([subject("good"), subject("again")], [Large(str(number), content.read) for number in range(40)])
    assert found.ranking.pictures == 40
    assert Large.most <= AHEAD + 4
    gc.collect()
    assert Large.held == 0


def test_the_chart_is_measured_beside_the_pictures() -> None:
    found = tried([subject("good"), subject("pale", SINGLE["pale"])], samples(2, 64, seed=1), with_chart=True)
    assert found.ranking.pictures == 2
    assert found.charts["good"].distance < found.charts["pale"].distance


def test_what_a_picture_raises_is_its_own(tmp_path: Path) -> None:
    def read() -> bytes:
        raise IntegrityError(msg("There is no file {path}.", code="no-such-file", path="x"))

    found = tried([subject("good")], [Sample("gone", read), *samples(2, 64, seed=1)])
    assert [one.reason.code for one in found.skipped] == ["no-such-file"]
    assert found.ranking.pictures == 2
