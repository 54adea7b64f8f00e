"""The set of `--vae-manager-sync`: what is missing comes, nothing else is touched, and each failure is told."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.files.samples import some_vae
from tests.hub import Hub
from tests.webui.host import PlainHost
from tests.webui.test_page import wait_for
from vae_manager.jobs import JobState
from vae_manager.service import Service
from vae_manager.webui.declared_set import KEY, begin_sync

ONE, TWO = some_vae(200_000), some_vae(300_000)
OWN = """
- {{id: offered, name: Offered, family: sd1, sha256: {sha256}, source: "hub:me/vaes/one.safetensors", licence: MIT}}
- {{id: closed, name: Closed, family: sd1, sha256: {other}, source: "hub:me/vaes/two.safetensors",
   licence: {{name: Odd, link: "https://example.org/terms"}}}}
"""


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(autouse=True)
def files(hub: Hub, host: PlainHost, service: Service) -> None:
    hub.add("me/vaes", "one.safetensors", ONE)
    hub.add("me/vaes", "two.safetensors", TWO)
    host.endpoint_address = hub.endpoint
    service.catalogue_file.parent.mkdir(parents=True, exist_ok=True)
    service.catalogue_file.write_text(OWN.format(sha256=digest(ONE), other=digest(TWO)), encoding="utf-8")


def brought(host: PlainHost, service: Service, text: str) -> None:
    """Bring the folder to the set of this text, and wait for all that it begins."""
    file = host.root / "vaes.yaml"
    file.write_text(text, encoding="utf-8")
    begin_sync(host, service, file)
    ended = service.declared.wait(KEY)
    assert ended is not None
    assert ended.state is JobState.DONE
    wait_for(lambda: all(one.job.state.ended for one in service.downloads.views()))


def there(host: PlainHost) -> set[str]:
    return {path.name for path in host.vaes.iterdir() if not path.name.startswith(".")}


def code(service: Service) -> str | None:
    return service.maintenance.notice.message.code if service.maintenance.notice is not None else None


def test_missing_files_come(host: PlainHost, service: Service) -> None:
    brought(host, service, f"- offered\n- {{source: 'hub:me/vaes/two.safetensors', sha256: {digest(TWO)}}}")
    assert (host.vaes / "one.safetensors").read_bytes() == ONE
    assert (host.vaes / "two.safetensors").read_bytes() == TWO
    assert {"one.safetensors", "two.safetensors"} <= host.files().keys()
    assert code(service) is None
    assert [entry.file_name for entry in service.history.entries()].count("one.safetensors") == 1


def test_a_page_of_the_hub_that_is_set(host: PlainHost, service: Service, hub: Hub) -> None:
    page = f"{hub.endpoint}/me/vaes/blob/main/two.safetensors"
    brought(host, service, f"- {{source: '{page}', sha256: {digest(TWO)}}}")
    assert there(host) == {"two.safetensors"}


def test_a_file_that_is_there_is_not_asked_for(host: PlainHost, service: Service, hub: Hub) -> None:
    (host.vaes / "one.safetensors").write_bytes(ONE)
    brought(host, service, "- offered")
    assert (service.downloads.views(), code(service)) == ((), None)


def test_another_file_of_the_name_stays(host: PlainHost, service: Service) -> None:
    (host.vaes / "one.safetensors").write_bytes(TWO)
    brought(host, service, f"- offered\n- {{source: 'hub:me/vaes/two.safetensors', sha256: {digest(TWO)}}}")
    assert (host.vaes / "one.safetensors").read_bytes() == TWO
    assert code(service) == "name-taken"
    assert "two.safetensors" in there(host), "the others come all the same"


def test_terms_are_accepted_by_a_person_alone(host: PlainHost, service: Service) -> None:
    brought(host, service, "- closed")
    assert (there(host), code(service)) == (set(), "terms-not-accepted")
    service.accepted.add("closed")
    brought(host, service, "- closed")
    assert there(host) == {"two.safetensors"}


@pytest.mark.parametrize(
    ("text", "expected"), [("- gone", "bad-declaration"), ("{", "bad-declaration"), (None, "no-such-file")]
)
def test_a_declaration_that_cannot_be_used(
    host: PlainHost, service: Service, text: str | None, expected: str, caplog: pytest.LogCaptureFixture
) -> None:
    file = host.root / "vaes.yaml"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    begin_sync(host, service, file)
    service.declared.wait(KEY)
    assert (there(host), code(service)) == (set(), expected)
    assert file.name in caplog.text, "the console of a container has it"


def test_a_download_that_fails_is_told_as_any_other(host: PlainHost, service: Service) -> None:
    brought(host, service, f"- {{source: 'hub:me/vaes/gone.safetensors', sha256: {'0' * 64}}}\n- offered")
    states = {one.wanted.request.file_name: one.job.state for one in service.downloads.views()}
    assert states == {"gone.safetensors": JobState.FAILED, "one.safetensors": JobState.DONE}
    assert Path(host.vaes / "one.safetensors").is_file()
