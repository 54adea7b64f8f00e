"""Each exit status, by a situation that leads to it: a sentence on stderr, no traceback, nothing lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hub import Fault, Hub
from vae_manager.catalogue import load

from .command import DATA, PATH, REPO, SOURCE, Cli, sha256

Prepare = Callable[[Hub, Cli], "tuple[str | Path, ...]"]
"""Makes the situation and returns the command."""

CASES: dict[str, tuple[int, str, Prepare, tuple[str, ...]]] = {}


def leads_to(status: int, code: str, *names: str) -> Callable[[Prepare], Prepare]:
    """The command that a function returns ends with `status` and `code`, and its sentence names all of `names`."""

    def add(prepare: Prepare) -> Prepare:
        CASES[prepare.__name__] = (status, code, prepare, names)
        return prepare

    return add


# -- 0 done --------------------------------------------------------------------------------------------------------
@leads_to(0, "")
def done(hub: Hub, cli: Cli) -> tuple[str | Path, ...]:
    return "get", SOURCE, "--dir", cli.folder


# -- 2 usage -------------------------------------------------------------------------------------------------------
@leads_to(2, "bad-hub-source", "hub:vaes")
def no_path_in_the_repository(hub: Hub, cli: Cli) -> tuple[str | Path, ...]:
    return "get", "hub:vaes", "--dir", cli.folder


@leads_to(2, "plain-http", "http://example.com/vae.safetensors")
def plain_http(hub: Hub, cli: Cli) -> tuple[str | Path, ...]:
    return "get", "http://example.com/vae.safetensors", "--dir", cli.folder


@leads_to(2, "unknown-scheme", "ftp://", "s3://")
def no_such_scheme(hub: Hub, cli: Cli) -> tuple[str | Path, ...]:
    return "get", "ftp://example.com/vae.safetensors", "--dir", cli.folder


# -- 3 not found ---------------------------------------------------------------------------------------------------
@leads_to(3, "no-such-entry", "ft-mze", "ft-mse")
def no_such_entry(hub: Hub, cli: Cli) -> tuple[str | Path, ...]:
    return "get", "ft-mze", "--dir", cli.folder


@leads_to(3, "no-such-repository", "nobody/nothing")
def no_such_repository(hub: Hub, cli: Cli) -> tuple[str | Path, ...]:
    return "get", "hub:nobody/nothing/vae.safetensors", "--dir", cli.folder


@leads_to(3, "no-such-file", "other.safetensors", "me/vaes", "main")
def no_such_file_in_the_repository(hub: Hub, cli: Cli) -> tuple[str | Path, ...]:
    return "get", f"hub:{REPO}/other.safetensors", "--dir", cli.folder


@leads_to(3, "no-such-revision", "me/vaes", "v2")
def no_such_revision(hub: Hub, cli: Cli) -> tuple[str | Path, ...]:
    return "get", SOURCE + "@v2", "--dir", cli.folder


@leads_to(3, "no-such-file", "/nothing.safetensors")
def no_such_address(hub: Hub, cli: Cli) -> tuple[str | Path, ...]:
    return "get", hub.cdn.address + "/nothing.safetensors", "--dir", cli.folder


@leads_to(3, "no-such-file", "nothing.safetensors")
def no_such_local_file(hub: Hub, cli: Cli) -> tuple[str | Path, ...]:
    return "get", cli.work / "nothing.safetensors", "--dir", cli.folder


@leads_to(3, "no-such-catalogue", "nothing.yaml")
def no_such_catalogue(hub: Hub, cli: Cli) -> tuple[str | Path, ...]:
    return "get", "mine", "--catalogue", "nothing.yaml", "--dir", cli.folder


@leads_to(3, "no-such-file", "nothing.safetensors")
def nothing_to_verify(hub: Hub, cli: Cli) -> tuple[str | Path, ...]:
    return "verify", "nothing.safetensors"


# -- 4 network -----------------------------------------------------------------------------------------------------
@leads_to(4, "too-many-requests")
def asked_too_often(hub: Hub, cli: Cli) -> tuple[str | Path, ...]:
    hub.api.fail_always(Fault.status(429, retry_after=3600))
    return "get", SOURCE, "--dir", cli.folder


@leads_to(4, "offline", "HF_HUB_OFFLINE")
def offline_by_wish(hub: Hub, cli: Cli) -> tuple[str | Path, ...]:
    cli.variables["HF_HUB_OFFLINE"] = "1"
    return "get", SOURCE, "--dir", cli.folder


@leads_to(4, "endless-redirects")
def redirected_in_a_circle(hub: Hub, cli: Cli) -> tuple[str | Path, ...]:
    hub.cdn.fail_always(Fault.redirect("{target}"))
    return "get", hub.publish("/vae.safetensors", DATA), "--dir", cli.folder


@leads_to(4, "sign-in-needed", "403")
def an_address_that_wants_a_sign_in(hub: Hub, cli: Cli) -> tuple[str | Path, ...]:
    hub.cdn.fail_always(Fault.status(403))
    return "get", hub.publish("/vae.safetensors", DATA), "--dir", cli.folder


# -- 5 integrity ---------------------------------------------------------------------------------------------------
@leads_to(5, "wrong-bytes", sha256(DATA))
def wrong_bytes(hub: Hub, cli: Cli) -> tuple[str | Path, ...]:
    hub.cdn.fail_always(Fault.flip(1_000_000))
    return "get", "mine", "--catalogue", cli.entry(), "--dir", cli.folder


@leads_to(5, "other-file-at-source", sha256(DATA), "0" * 64)
def the_hub_has_another_file(hub: Hub, cli: Cli) -> tuple[str | Path, ...]:
    return "get", "mine", "--catalogue", cli.entry(sha256="0" * 64), "--dir", cli.folder


@leads_to(5, "web-page")
def a_web_page(hub: Hub, cli: Cli) -> tuple[str | Path, ...]:
    hub.cdn.fail_always(Fault.portal())
    return "get", SOURCE, "--dir", cli.folder


# -- 6 disk --------------------------------------------------------------------------------------------------------
@leads_to(6, "no-space")
def no_space(hub: Hub, cli: Cli) -> tuple[str | Path, ...]:
    hub.add(REPO, "huge.safetensors", DATA, size=10**18)
    return "get", f"hub:{REPO}/huge.safetensors", "--dir", cli.folder


@leads_to(6, "not-a-folder")
def a_file_where_the_folder_should_be(hub: Hub, cli: Cli) -> tuple[str | Path, ...]:
    (cli.work / "file").write_bytes(b"mine")
    return "get", SOURCE, "--dir", cli.work / "file"


# -- 7 refused -----------------------------------------------------------------------------------------------------
@leads_to(7, "licence-at-hub", REPO)
def gated(hub: Hub, cli: Cli) -> tuple[str | Path, ...]:
    hub.gate(REPO)
    return "get", SOURCE, "--dir", cli.folder


@leads_to(7, "not-offered", load().entry("orangemix").not_offered_because or "?")
def leaked(hub: Hub, cli: Cli) -> tuple[str | Path, ...]:
    return "get", "orangemix", "--dir", cli.folder


@leads_to(7, "terms-not-accepted", "https://example.com/licence", "--accept-terms")
def terms_to_read_first(hub: Hub, cli: Cli) -> tuple[str | Path, ...]:
    catalogue = cli.entry(licence={"name": "CreativeML Open RAIL-M", "link": "https://example.com/licence"})
    return "get", "mine", "--catalogue", catalogue, "--dir", cli.folder


@leads_to(7, "name-taken", "mine.safetensors")
def another_file_of_that_name(hub: Hub, cli: Cli) -> tuple[str | Path, ...]:
    cli.folder.mkdir()
    (cli.folder / "mine.safetensors").write_bytes(b"mine")
    return "get", SOURCE, "--dir", cli.folder


@leads_to(7, "bad-file-name", "nul.safetensors")
def a_name_that_cannot_be_used(hub: Hub, cli: Cli) -> tuple[str | Path, ...]:
    return "get", SOURCE, "--name", "nul.safetensors", "--dir", cli.folder


@pytest.mark.parametrize("name", CASES)
def test_status(hub: Hub, cli: Cli, name: str) -> None:
    status, code, prepare, names = CASES[name]
    command = prepare(hub, cli)
    before = files_of(cli)
    result = cli(*command)
    assert result.status == status, result.err
    if status == 0:
        assert "Traceback" not in result.err
    else:
        assert [text for text in names if text not in result.message] == []
        answer = cli(*command, "--json")
        [row] = answer.json if isinstance(answer.json, list) else [answer.json]
        assert (answer.status, row["status"], row["code"]) == (status, status, code)
        assert files_of(cli) == before, "nothing is lost, and no half of a file is left"


def files_of(cli: Cli) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in (*cli.home.rglob("*"), *cli.work.rglob("*")) if path.is_file()}


def test_every_status_has_a_case() -> None:
    assert {status for status, *_ in CASES.values()} == {0, 2, 3, 4, 5, 6, 7}


@pytest.mark.parametrize("arguments", [(), ("get", "ft-mse", "--dirr", "x")])
def test_a_command_that_cannot_be_read_is_usage(cli: Cli, arguments: tuple[str, ...]) -> None:
    result = cli(*arguments)
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith("usage: python -m vae_manager")


def test_secrets_in_an_address_are_not_repeated(hub: Hub, cli: Cli) -> None:
    result = cli("get", f"{hub.cdn.address}/nothing.safetensors?token=hunter2", "--dir", cli.folder)
    assert result.status == 3
    assert "hunter2" not in result.out + result.err


def test_a_gated_repository_is_read_by_who_may_read_it(hub: Hub, cli: Cli) -> None:
    """A token belongs to the hub it was saved for: it is not sent to another endpoint."""
    hub.gate(REPO, "hf_secret")
    cli.variables["HF_TOKEN"] = "hf_secret"
    assert cli("get", SOURCE, "--dir", cli.folder).status == 7
    assert all(seen.authorization is None for seen in hub.requests)
    assert PATH not in "".join(seen.path for seen in hub.cdn.requests)
