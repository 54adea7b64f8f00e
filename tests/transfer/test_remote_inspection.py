"""Inspection before the download: the answer of the whole file, by few requests and bytes, whatever the server does."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.failing import fails_with
from tests.files.corpus import CASES, Case
from tests.files.corpus.case import legacy, tensors, zipped
from tests.files.engines.small import t5_tensors
from tests.files.samples import diffusers, encode, header_of, ldm
from tests.files.torch_files import Made, as_zip, call, mapping, storage, tensor, text
from tests.hub import Fault, Hub
from tests.hub.civitai import Civitai
from vae_manager.catalogue.entry import BucketSource, CivitaiSource, HttpsSource, HubSource, LocalSource, Source
from vae_manager.errors import Cancelled, IntegrityError, NetworkError, NotFoundError, RefusedError, VaeManagerError
from vae_manager.files import FileRecord, inspect
from vae_manager.records.verdict import A1111, NEO, verdict
from vae_manager.transfer import Network
from vae_manager.transfer.remote_file import MAX_BYTES, NO_LOOK
from vae_manager.transfer.remote_inspection import RemoteInspection, inspect_remote, no_vae, no_vae_error

from .ordering import MB, hosts_of, sha256

REPO = "me/looked-at"
TOKEN = "hf_0123456789abcdefghijklmnopqrstuvwx"
LARGE = 30 * MB
LOCAL_DAMAGE = frozenset({"bad-offsets", "bad-zip", "unfinished"})
"""Codes of damage between the weights, where nothing is read."""


def padded(shapes: dict[str, tuple[int, ...]], **metadata: str) -> bytes:
    """A safetensors file with these tensors, and one more that makes it large."""
    return tensors({**shapes, "zzz": (LARGE // 4,)}, **metadata)


def long_zip(count: int) -> bytes:
    """A zip archive of so many small tensors, and a large one."""
    codes = {
        f"model.diffusion_model.input_blocks.{number}.a.long.name.weight": tensor(storage("Byte", str(number), 1), (1,))
        for number in range(count)
    }
    codes["last"] = tensor(storage("Byte", str(count), LARGE), (LARGE,))
    storages = {str(number): b"\1" for number in range(count)}
    return as_zip(Made(b"\x80\x02" + mapping(codes) + b".", {**storages, str(count): bytes(LARGE)}))


def many(pattern: str, count: int) -> dict[str, tuple[int, ...]]:
    return {pattern.format(number): (2, 2) for number in range(count)}


TAESD: dict[str, tuple[int, ...]] = {"1.weight": (8, 4, 3, 3), "3.conv.0.weight": (8, 8, 3, 3)}
CARRIED = {f"first_stage_model.{name}": shape for name, shape in ldm().items()}
NETWORK = many("model.diffusion_model.input_blocks.{}.weight", 1500)
BIG = [
    Case("large ldm", padded(ldm()), "safetensors", name="a.safetensors"),
    Case("large diffusers", padded(diffusers(), made_by="me"), "safetensors", name="a.safetensors"),
    Case("large with a long header", padded({**ldm(), **NETWORK}), "safetensors", name="a.safetensors"),
    Case("checkpoint", padded({**CARRIED, **NETWORK}), "safetensors", name="c.safetensors"),
    Case("checkpoint without VAE", padded(NETWORK), "safetensors", name="d.safetensors"),
    Case("LoRA", padded(many("lora_unet_{}.lora_up.weight", 2000)), "safetensors", name="l.safetensors"),
    Case("text encoder", padded(t5_tensors()), "safetensors", name="t5.safetensors"),
    Case("TAESD", padded(TAESD), "safetensors", name="t.safetensors"),
    Case("large zip", zipped({**ldm(), "zzz": (LARGE // 4,)}), "pickle", name="a.pt"),
    Case("large zip, named safetensors", zipped({**ldm(), "zzz": (LARGE // 4,)}), "pickle", name="a.safetensors"),
    Case("zip, a VAE amid others", zipped({"a": (LARGE // 4,), **ldm(), "zzz": (LARGE // 4,)}), "pickle", name="a.pt"),
    Case("legacy, a VAE amid others", legacy({"a": (LARGE // 4,), **ldm(), "z": (LARGE // 4,)}), "pickle", name="a.pt"),
    Case("zip of a checkpoint", long_zip(1800), "pickle", name="a.ckpt"),
    Case("large legacy", legacy({**diffusers(), "zzz": (LARGE // 4,)}), "pickle", name="a.ckpt"),
    Case("large cut", padded(ldm())[:-1000], "safetensors", name="a.safetensors"),
    Case("large GGUF", b"GGUF\3\0\0\0" + bytes(LARGE), "gguf", name="a.safetensors"),
    Case("large zeros", bytes(LARGE), "unknown", name="a.safetensors"),
]  # fmt: skip


@pytest.fixture(scope="module")
def shelf() -> Iterator[Hub]:
    with Hub() as running:
        yield running


def look(source: Source, hub: Hub, **changes: Any) -> RemoteInspection:
    network = Network(**{"endpoint": hub.endpoint, "connect_timeout": 3, "read_timeout": 3, **changes})
    return inspect_remote(source, network=network, stop=threading.Event())


def answer(record: FileRecord) -> tuple[object, ...]:
    """All that a person is told of a file, but what needs all bytes."""
    return (
        record.size, record.container, record.table, dict(record.metadata), [one.code for one in record.problems],
        record.facts, [getattr(verdict(record, host).reason, "code", None) for host in (A1111, NEO)], no_vae(record),
    )  # fmt: skip


def whole(folder: Path, case: Case) -> FileRecord:
    path = folder / case.name
    path.write_bytes(case.data)
    return inspect(path)


# -- the answer ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("case", [*CASES, *BIG], ids=lambda case: case.id)
def test_it_is_that_of_the_whole_file(shelf: Hub, tmp_path: Path, case: Case) -> None:
    shelf.add(REPO, case.name, case.data)
    before, sent = len(shelf.requests), shelf.api.sent() + shelf.cdn.sent()
    found = look(HubSource(REPO, case.name), shelf)
    shelf.settle()
    assert len(shelf.requests) - before <= 4
    assert shelf.api.sent() + shelf.cdn.sent() - sent <= MAX_BYTES
    assert found.record.sha256 == sha256(case.data)
    expected = whole(tmp_path, case)
    if expected.problems and expected.problems[0].code in LOCAL_DAMAGE and not found.record.problems:
        assert found.record.table is not None
        return
    if expected.container == "gguf":
        assert answer(found.record)[4:5] == ([expected.problems[0].code],)
        return
    assert answer(found.record) == answer(expected)


@pytest.mark.parametrize("case", [case for case in BIG if case.name.endswith("safetensors")], ids=lambda case: case.id)
def test_most_files_need_three_requests_in_all(shelf: Hub, case: Case) -> None:
    shelf.add(REPO, case.name, case.data)
    before = len(shelf.requests)
    look(HubSource(REPO, case.name), shelf)
    assert len(shelf.requests) - before <= 3
    assert max(seen.sent for seen in shelf.cdn.requests[-2:]) < 1 * MB


@pytest.mark.parametrize("case", [case for case in BIG if case.name.endswith("safetensors")], ids=lambda case: case.id)
@pytest.mark.parametrize("fault", [Fault.range_ignored(), Fault.range_ignored() | Fault.without("Content-Length")])
def test_a_server_without_ranges(hub: Hub, tmp_path: Path, case: Case, fault: Fault) -> None:
    address = hub.publish(f"/{case.name}", case.data)
    hub.cdn.fail_always(fault)
    try:
        found = look(HttpsSource(address), hub)
    except NetworkError as error:  # an archive's table is at its end
        assert (error.code, case.container) == (NO_LOOK, "pickle")
    else:
        expected = whole(tmp_path, case)
        assert (found.record.container, no_vae(found.record)) == (expected.container, no_vae(expected))
        assert found.record.table is expected.table or expected.problems
    hub.settle()
    assert len(hub.requests) == 1
    assert hub.cdn.sent() < 10 * MB, "the rest was read"


# -- what a server can do ------------------------------------------------------------------------------------------
VAE = padded(ldm())


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault.gzip(), "compressed-answer"),
        (Fault.gzip() | Fault.range_ignored(), "compressed-answer"),
        (Fault.with_headers(("Content-Range", "bytes 0-131071/99")), NO_LOOK),
        (Fault.unsatisfiable(), NO_LOOK),
        (Fault.portal(), "web-page"),
        (Fault.status(404), "no-such-file"),
        (Fault.status(403), "sign-in-needed"),
        (Fault.status(503), "server-error"),
        (Fault.reset_before_headers(), None),
        (Fault.redirect("{target}"), "endless-redirects"),
        (Fault.stall_at(0), None),
        (Fault.close_after(0), None),
    ],
    ids=str,
)
def test_a_sentence_and_never_a_crash(hub: Hub, fault: Fault, code: str | None) -> None:
    hub.add(REPO, "a.safetensors", VAE)
    hub.cdn.fail_always(fault)
    address = hub.publish("/a.safetensors", VAE)
    source = HttpsSource(address) if code in ("no-such-file", "sign-in-needed") else HubSource(REPO, "a.safetensors")
    with pytest.raises((NetworkError, IntegrityError, NotFoundError)) as failed:
        look(source, hub, read_timeout=0.5)
    assert code is None or failed.value.code == code
    assert len(hub.requests) <= 15


@pytest.mark.parametrize(
    "fault",
    [Fault.other_start(100), Fault.with_headers(("Content-Range", "octets")), Fault.status(400), Fault.status(501)],
    ids=str,
)
def test_a_server_that_gives_no_right_part_is_asked_for_the_whole(hub: Hub, fault: Fault) -> None:
    """A download gets it, too; only the beginning is read here."""
    hub.add(REPO, "a.safetensors", VAE)
    hub.cdn.fail_next(fault)
    found = look(HubSource(REPO, "a.safetensors"), hub)
    hub.settle()
    assert (found.record.layout, found.requests) == ("ldm", 2)
    assert hub.cdn.sent() < 10 * MB, "the rest was read"


def test_a_cut_is_gone_on_from(hub: Hub) -> None:
    hub.add(REPO, "a.safetensors", padded({**ldm(), **NETWORK}))
    hub.cdn.fail_next(Fault.close_after(100_000))
    found = look(HubSource(REPO, "a.safetensors"), hub)
    assert (found.record.layout, found.requests) == ("checkpoint", 3)


def test_always_cut_is_an_error(hub: Hub) -> None:
    hub.add(REPO, "a.safetensors", padded({**ldm(), **NETWORK}))
    hub.cdn.fail_always(Fault.reset_after(20_000))
    with fails_with(NetworkError, NO_LOOK):
        look(HubSource(REPO, "a.safetensors"), hub)


def test_a_lying_range_is_garbage_and_no_vae_is_refused_by_it(hub: Hub) -> None:
    hub.add(REPO, "a.safetensors", VAE)
    hub.cdn.fail_always(Fault.other_start(5000, admitted=False))
    found = look(HubSource(REPO, "a.safetensors"), hub)
    assert (found.record.problems != (), no_vae_error(found)) == (True, None)


@pytest.mark.parametrize("length", [0, 1, MAX_BYTES, 2**31, 2**63, 2**64 - 1])
def test_a_lying_length_of_the_header(hub: Hub, tmp_path: Path, length: int) -> None:
    data = length.to_bytes(8, "little") + VAE[8:]
    case = Case("", data, "", name="a.safetensors")
    hub.add(REPO, case.name, data)
    found = look(HubSource(REPO, case.name), hub)
    assert answer(found.record) == answer(whole(tmp_path, case))
    assert hub.cdn.sent() <= MAX_BYTES


def test_a_header_of_two_megabytes(hub: Hub, tmp_path: Path) -> None:
    header, size = header_of(ldm())
    raw = json.dumps({**header, "__metadata__": {"made_by": "x" * 1_990_000}}).encode()
    raw = raw[: 2_000_000 - 100].ljust(len(raw))
    case = Case("", encode(raw, bytes(size)), "", name="a.safetensors")
    hub.add(REPO, case.name, case.data)
    found = look(HubSource(REPO, case.name), hub)
    assert answer(found.record)[:4] == answer(whole(tmp_path, case))[:4]


def test_a_pickle_too_large_for_a_look(hub: Hub) -> None:
    hub.add(REPO, "a.ckpt", long_zip(30_000))
    with fails_with(NetworkError, NO_LOOK):
        look(HubSource(REPO, "a.ckpt"), hub)
    assert hub.cdn.sent() <= MAX_BYTES


def test_few_requests_for_many_bytes_are_refused_too(hub: Hub) -> None:
    code = mapping({"x" * MAX_BYTES: tensor(storage("Byte", "0", LARGE), (LARGE,))})
    hub.add(REPO, "a.ckpt", as_zip(Made(b"\x80\x02" + code + b".", {"0": bytes(LARGE)})))
    with fails_with(NetworkError, NO_LOOK):
        look(HubSource(REPO, "a.ckpt"), hub)
    assert hub.cdn.sent() <= MAX_BYTES


def test_another_length_than_the_hubs(hub: Hub) -> None:
    hub.add(REPO, "a.safetensors", VAE, size=len(VAE) + 1)
    with fails_with(NetworkError, NO_LOOK):
        look(HubSource(REPO, "a.safetensors"), hub)


def test_it_stops_when_asked(hub: Hub) -> None:
    hub.add(REPO, "a.safetensors", VAE)
    stop = threading.Event()
    stop.set()
    with pytest.raises(Cancelled):
        inspect_remote(HubSource(REPO, "a.safetensors"), network=Network(endpoint=hub.endpoint), stop=stop)


def test_redirects_are_followed_once(hub: Hub) -> None:
    address = hub.publish("/a.safetensors", padded({**ldm(), **NETWORK}))
    hub.cdn.fail_always(Fault.redirect(address), path="/from")
    found = look(HttpsSource(f"{hub.cdn.address}/from/a.safetensors"), hub)
    assert (found.record.layout, found.requests) == ("checkpoint", 2)
    assert [seen.path for seen in hub.requests] == ["/from/a.safetensors", "/a.safetensors", "/a.safetensors"]


@pytest.mark.parametrize("status", [401, 403, 410])
def test_an_address_that_expires_is_renewed_by_its_redirects(hub: Hub, status: int) -> None:
    address = hub.publish("/a.safetensors", padded({**ldm(), **NETWORK}))
    hub.cdn.fail_always(Fault.redirect(address), path="/from")
    hub.cdn.fail_next(None, Fault.status(status), path="/a.safetensors")
    hub.cdn.fail_next(None, None, path="/from")
    source = HttpsSource(f"{hub.cdn.address}/from/b.safetensors")
    assert look(source, hub).record.layout == "checkpoint"
    paths = [seen.path for seen in hub.requests]
    assert paths == ["/from/b.safetensors", *["/a.safetensors"] * 2, "/from/b.safetensors", "/a.safetensors"]


def test_an_address_that_expires_is_renewed_by_its_hub(hub: Hub) -> None:
    hub.add(REPO, "a.safetensors", padded({**ldm(), **NETWORK}))
    hub.cdn.fail_next(None, Fault.expired())
    assert look(HubSource(REPO, "a.safetensors"), hub).record.layout == "checkpoint"
    assert [seen.method for seen in hub.requests] == ["HEAD", "GET", "GET", "HEAD", "GET"]
    hub.cdn.fail_always(Fault.expired())
    with fails_with(NetworkError, "address-refused"):
        look(HubSource(REPO, "a.safetensors"), hub)


# -- the sources ---------------------------------------------------------------------------------------------------
def test_a_file_of_this_machine(hub: Hub, tmp_path: Path) -> None:
    expected = whole(tmp_path, BIG[0])
    assert look(LocalSource(expected.path), hub).record == expected


def test_civitai(hub: Hub, tmp_path: Path) -> None:
    with Civitai() as civitai:
        civitai.keys.add("0123456789abcdef")
        civitai.add(7, "my vae.safetensors", VAE, primary=True, needs_key=True)
        found = look(CivitaiSource(7), hub, civitai=civitai.endpoint, keys={"127.0.0.1": "0123456789abcdef"})
        assert (found.record.path.name, found.record.sha256) == ("my vae.safetensors", sha256(VAE))
        assert (found.record.layout, len(civitai.api.requests + civitai.cdn.requests)) == ("ldm", 3)
        with fails_with(RefusedError, "api-key-needed"):
            look(CivitaiSource(7), hub, civitai=civitai.endpoint)


def test_a_bucket(hub: Hub) -> None:
    import fsspec

    files = fsspec.filesystem("memory")
    files.pipe_file("bucket/a.safetensors", VAE)
    try:
        assert look(BucketSource("memory", "bucket", "a.safetensors"), hub).record.layout == "ldm"
        with fails_with(RefusedError, "bucket-not-public"):
            look(BucketSource("memory", "bucket", "a.safetensors"), hub, public_only=True)
    finally:
        files.store.clear()


def test_no_private_address_is_asked_for_a_stranger(hub: Hub) -> None:
    address = hub.publish("/a.safetensors", VAE)
    with fails_with(RefusedError, "not-public"):
        look(HttpsSource(address), hub, public_only=True)
    assert hub.requests == []


def test_a_token_stays_with_the_hub(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.setenv(name, TOKEN)
    hub.add(REPO, "a.safetensors", VAE)
    hub.gate(REPO, TOKEN)
    assert look(HubSource(REPO, "a.safetensors"), hub, token_hosts=hosts_of(hub)).record.layout == "ldm"
    assert all(seen.authorization is None for seen in hub.cdn.requests)


# -- what is no VAE ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("data", "code"),
    [
        (tensors(ldm()), None),
        (tensors(diffusers()), None),
        (tensors(TAESD), None),
        (tensors(ldm())[:-1], None),
        (b"hello", None),
        (tensors({"lora_unet_x.lora_up.weight": (2, 2)}), "lora"),
        (tensors({**CARRIED, **NETWORK}), "checkpoint-with-vae"),
        (tensors(NETWORK), "checkpoint-without-vae"),
        (tensors(t5_tensors()), "text-encoder"),
        (tensors({"some.weight": (2, 2)}), "no-vae"),
        (b"GGUF\3\0\0\0" + bytes(64), "gguf"),
        (as_zip(Made(call(b"cos\nsystem\n", text("true")), {})), "unsafe-pickle"),
    ],
)
def test_only_what_is_certain_is_refused(tmp_path: Path, data: bytes, code: str | None) -> None:
    record = whole(tmp_path, Case("", data, "", name="a.safetensors"))
    found = RemoteInspection(HubSource(REPO, "a.safetensors"), record)
    error: VaeManagerError | None = no_vae_error(found)
    assert (error.code if error is not None else None) == code
    assert error is None or error.exit_status == 7
