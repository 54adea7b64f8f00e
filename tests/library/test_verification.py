"""Outcomes of a verification, by what the file holds."""

from __future__ import annotations

import os
import pickle
import struct
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.files.samples import ldm, safetensors
from tests.library.vaes import sha256, vae
from vae_manager.catalogue import Catalogue, load
from vae_manager.errors import DiskError, NotFoundError
from vae_manager.files import identity_of, inspect, read_header, tensor_data
from vae_manager.library import Folder, scan
from vae_manager.library.verification import Outcome, Verification, VerificationStore, verify
from vae_manager.records import HashStore, RecordStore
from vae_manager.records.verdict import A1111

pytest.importorskip("numpy")

ENTRY = """
- id: mine
  name: Mine
  family: sd1
  purpose: for this test
  licence: MIT
  sha256: {sha256}
  size: 1
  source: hub:owner/repo/published.safetensors
"""


def catalogue_with(folder: Path, digest: str) -> Catalogue:
    file = folder / "catalogue.yaml"
    file.write_text(ENTRY.format(sha256=digest), encoding="utf-8")
    return load(file)


def verified(path: Path, catalogue: Catalogue | None = None) -> Verification:
    return verify(path, catalogue or load(), HashStore())


def with_nan(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:-4] + struct.pack("<f", float("nan")))
    return path


def cut(path: Path) -> Path:
    os.truncate(path, path.stat().st_size // 2)
    return path


def text(path: Path) -> Path:
    path.write_bytes(b"abc")
    return path


def lora(path: Path) -> Path:
    return safetensors(path, {"lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight": (4, 320)})


def test_the_webui_of_the_call_judges(tmp_path: Path) -> None:
    path = lora(tmp_path / "x.safetensors")
    assert verified(path).outcome is Outcome.NOT_A_VAE
    loads_it = replace(A1111, own_layouts=frozenset({"lora"}))
    assert verify(path, load(), HashStore(), host=loads_it).outcome is Outcome.UNVERIFIED


@pytest.mark.parametrize(
    ("made", "outcome"),
    [
        (vae, Outcome.UNVERIFIED),
        (lambda path: with_nan(vae(path)), Outcome.DAMAGED),
        (lambda path: cut(vae(path)), Outcome.DAMAGED),
        (text, Outcome.NOT_A_VAE),
        (lora, Outcome.NOT_A_VAE),
        (lambda path: safetensors(path, ldm(prefix="first_stage_model.")), Outcome.UNVERIFIED),
    ],
)
def test_an_unknown_file_is_judged_by_its_content(tmp_path: Path, made: object, outcome: Outcome) -> None:
    path = made(tmp_path / "kl-f8.safetensors")  # type: ignore[operator]
    found = verified(path)
    assert found.outcome is outcome
    assert (found.reason is None) == outcome.is_right
    assert found.sha256 == sha256(path)


def test_a_hostile_file_is_not_read(tmp_path: Path) -> None:
    class Gadget:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return print, ("run",)

    path = tmp_path / "a.pt"
    path.write_bytes(pickle.dumps(Gadget(), protocol=2))
    assert verified(path).outcome is Outcome.UNREADABLE


def test_published_bytes_are_verified_whatever_their_name(tmp_path: Path) -> None:
    path = vae(tmp_path / "renamed.safetensors")
    found = verified(path, catalogue_with(tmp_path, sha256(path)))
    assert found.outcome is Outcome.VERIFIED
    assert found.entry is not None


def test_other_bytes_under_a_published_name_are_reported(tmp_path: Path) -> None:
    path = vae(tmp_path / "published.safetensors")
    assert verified(path, catalogue_with(tmp_path, "0" * 64)).outcome is Outcome.CHANGED


def test_published_bytes_with_nan_are_damaged(tmp_path: Path) -> None:
    path = with_nan(vae(tmp_path / "published.safetensors"))
    assert verified(path, catalogue_with(tmp_path, sha256(path))).outcome is Outcome.DAMAGED


def test_the_numbers_can_be_left_out(tmp_path: Path) -> None:
    path = with_nan(vae(tmp_path / "a.safetensors"))
    assert verify(path, load(), HashStore(), has_numbers=False).is_right


def test_a_missing_file_cannot_be_read(tmp_path: Path) -> None:
    found = verified(tmp_path / "gone.safetensors")
    assert found.outcome is Outcome.UNREADABLE
    assert isinstance(found.error, NotFoundError)
    assert found.reason == found.error.message


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may read all")
def test_a_file_without_permission_cannot_be_read(tmp_path: Path) -> None:
    path = vae(tmp_path / "a.safetensors")
    path.chmod(0)
    assert isinstance(verified(path).error, DiskError)


def test_a_verification_follows_its_bytes_and_no_others(tmp_path: Path) -> None:
    path = vae(tmp_path / "a.safetensors")
    records = RecordStore(tmp_path / "data")
    store, [file] = VerificationStore(lambda: records), scan([Folder(tmp_path)])
    found = verified(path)
    store.put(file, found)
    assert store.of(file) is found
    before = identity_of(path)
    assert before is not None
    new = path.rename(tmp_path / "b.safetensors")
    store.carry(before, new)
    [moved] = scan([Folder(tmp_path)])
    assert store.of(moved) == found
    vae(new, 2)
    os.utime(new, ns=(5, 5))
    [other] = scan([Folder(tmp_path)])
    assert store.of(other) is None


def test_a_damaged_file_stays_so_under_a_new_name_and_in_the_next_process(tmp_path: Path) -> None:
    path = vae(tmp_path / "VAE" / "a.safetensors")
    path.write_bytes(path.read_bytes()[:-9])
    [file] = scan([Folder(path.parent)])
    records = RecordStore(tmp_path / "data")
    store = VerificationStore(lambda: records)
    store.put(file, verify(path, load(), HashStore(records)))
    before = identity_of(path)
    assert before is not None
    new = path.rename(path.with_name("b.safetensors"))
    store.carry(before, new)
    records.carry(before, new)
    [moved] = scan([Folder(path.parent)])
    for each in (store, VerificationStore(lambda: RecordStore(tmp_path / "data"))):
        found = each.of(moved)
        assert found is not None and found.outcome is Outcome.DAMAGED and found.reason is not None
        assert "b.safetensors" in found.reason.fields.values()
        assert "a.safetensors" not in found.reason.fields.values()


def test_a_copy_has_the_bytes_of_an_earlier_reading(tmp_path: Path) -> None:
    path, copy = vae(tmp_path / "a.safetensors"), tmp_path / "b.safetensors"
    hashes = HashStore()
    assert verify(path, load(), hashes).outcome is Outcome.UNVERIFIED
    copy.write_bytes(path.read_bytes())
    assert verify(copy, load(), hashes).outcome is Outcome.VERIFIED
    vae(path, 2)
    again = verify(path, load(), hashes)
    assert (again.outcome, again.was_other) == (Outcome.UNVERIFIED, True)


def test_a_hole_inside_a_weight_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listing samples each weight; a verification reads all of it, without numpy too."""
    monkeypatch.setattr(tensor_data, "HOLE_BYTES", 512)
    path = safetensors(tmp_path / "a.safetensors", ldm())
    header, data = read_header(path), bytearray(path.read_bytes())
    largest = max(header.tensors.values(), key=lambda info: info.end - info.start)
    start = header.data_start + largest.start + 300
    data[start : start + 600] = bytes(600)
    path.write_bytes(data)
    assert inspect(path).problems == ()
    for has_numbers in (True, False):
        found = verify(path, load(), HashStore(), has_numbers=has_numbers)
        assert found.outcome is Outcome.DAMAGED
        assert found.damage is not None and found.damage[1].code == "unfinished"


def test_a_verification_survives_the_process(tmp_path: Path) -> None:
    path = vae(tmp_path / "VAE" / "a.safetensors")
    [file] = scan([Folder(path.parent)])
    hashes = HashStore(RecordStore(tmp_path / "data"))
    for outcome in (Outcome.UNVERIFIED, Outcome.VERIFIED):
        found = verify(path, load(), hashes)
        assert found.outcome is outcome
        VerificationStore(lambda: hashes.records).put(file, found)
    later = VerificationStore(lambda: RecordStore(tmp_path / "data")).of(file)
    assert later is not None and (later.outcome, later.at) == (Outcome.VERIFIED, found.at)
    path.write_bytes(path.read_bytes()[:-9])
    [file] = scan([Folder(path.parent)])
    VerificationStore(lambda: hashes.records).put(file, verify(path, load(), hashes))
    later = VerificationStore(lambda: RecordStore(tmp_path / "data")).of(file)
    assert later is not None and later.outcome is Outcome.DAMAGED and later.reason is not None
