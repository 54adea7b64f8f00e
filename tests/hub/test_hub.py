"""The real huggingface_hub against the hub: it must take it for the one it knows, at every version."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from . import Fault, Hub
from .fixtures import client_environment

CLIENT = Path(__file__).with_name("client.py")
REPO = "stabilityai/sd-vae-ft-mse-original"
COMMIT = "629b3ad3030ce36e15e70c5db7d91df0d60c627f"
LARGE = random.Random(1).randbytes(3_000_000)
SMALL = b'{"small": true}\n'
TOKEN = "hf_reader"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Client:
    """Runs calls of `client.py` in a process with a home of its own."""

    def __init__(self, hub: Hub, home: Path) -> None:
        self.environment = client_environment(hub, home)
        self.version = (0, 0)

    def __call__(self, *calls: tuple[str, dict[str, Any]]) -> list[dict[str, Any]]:
        command = [sys.executable, str(CLIENT), json.dumps(calls)]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        report = json.loads(done.stdout)
        major, minor = report["version"].split(".")[:2]
        self.version = (int(major), int(minor))
        outcomes: list[dict[str, Any]] = report["outcomes"]
        return outcomes


@pytest.fixture
def client(hub: Hub, tmp_path: Path) -> Client:
    hub.add(REPO, "vae.safetensors", LARGE, revision=COMMIT)
    hub.add(REPO, "folder/config.json", SMALL, lfs=False)
    return Client(hub, tmp_path)


def test_downloads_byte_exact(client: Client, hub: Hub, tmp_path: Path) -> None:
    source = tmp_path / "on-disk.bin"
    source.write_bytes(LARGE[::-1])
    hub.add(REPO, "from/disk with space.bin", source)
    outcomes = client(
        ("download", {"repo": REPO, "path": "vae.safetensors"}),
        ("download", {"repo": REPO, "path": "folder/config.json", "revision": COMMIT}),
        ("download", {"repo": REPO, "path": "from/disk with space.bin"}),
    )
    expected = [LARGE, SMALL, LARGE[::-1]]
    assert [outcome["result"] for outcome in outcomes] == [
        {"size": len(data), "sha256": sha256(data)} for data in expected
    ]
    hub.settle()
    assert hub.cdn.sent() == 2 * len(LARGE)
    assert {seen.method for seen in hub.cdn.requests} == {"GET"}


def test_a_mirror_that_serves_large_files_itself(client: Client, hub: Hub) -> None:
    hub.site.direct = True
    told, got = client(
        ("metadata", {"repo": REPO, "path": "vae.safetensors"}),
        ("download", {"repo": REPO, "path": "vae.safetensors"}),
    )
    assert (told["result"]["etag"], told["result"]["size"]) == (sha256(LARGE), len(LARGE))
    assert got["result"]["sha256"] == sha256(LARGE)
    assert hub.cdn.requests == []


def test_metadata_without_downloading(client: Client, hub: Hub) -> None:
    large, small = client(
        ("metadata", {"repo": REPO, "path": "vae.safetensors"}),
        ("metadata", {"repo": REPO, "path": "folder/config.json"}),
    )
    assert large["result"].pop("location").startswith(hub.cdn.address)
    assert large["result"] == {"etag": sha256(LARGE), "size": len(LARGE), "commit": COMMIT}
    location = small["result"].pop("location")
    assert location.startswith(hub.endpoint + "/api/resolve-cache/models/")
    blob = hashlib.sha1(b"blob %d\0%b" % (len(SMALL), SMALL)).hexdigest()
    assert small["result"] == {"etag": blob, "size": len(SMALL), "commit": COMMIT}
    assert hub.cdn.requests == []


def test_only_new_clients_keep_the_query(client: Client, hub: Hub) -> None:
    """Up to 0.x a relative redirect is followed by its path alone; a server that needs the query then refuses."""
    hub.site.needs_query = True
    (outcome,) = client(("metadata", {"repo": REPO, "path": "folder/config.json"}))
    if client.version < (1, 0):
        assert "BadRequestError" in outcome["error"]
    else:
        assert outcome["result"]["size"] == len(SMALL)


def test_listings(client: Client, hub: Hub) -> None:
    hub.add(REPO, "later.bin", LARGE[:10], revision="a" * 40)
    hub.repository(REPO).refs["v1/old"] = COMMIT
    before: dict[str, str | None] = {"vae.safetensors": sha256(LARGE), "folder/config.json": None}
    after = before | {"later.bin": sha256(LARGE[:10])}
    outcomes = client(
        ("tree", {"repo": REPO}),
        ("tree", {"repo": REPO, "revision": "v1/old"}),
        ("info", {"repo": REPO}),
        ("info", {"repo": REPO, "revision": COMMIT}),
        ("paths", {"repo": REPO, "path": "vae.safetensors"}),
    )
    assert [outcome["result"] for outcome in outcomes] == [
        after,
        before,
        {"sha": "a" * 40, "files": after},
        {"sha": COMMIT, "files": before},
        {"vae.safetensors": sha256(LARGE)},
    ]


def test_the_token_stays_with_the_hub(client: Client, hub: Hub) -> None:
    hub.gate(REPO, TOKEN)
    outcomes = client(
        ("download", {"repo": REPO, "path": "vae.safetensors", "token": TOKEN}),
        ("download", {"repo": REPO, "path": "folder/config.json", "token": TOKEN}),
        ("whoami", {"token": TOKEN}),
    )
    large, small, who = outcomes
    assert large["result"]["sha256"] == sha256(LARGE)
    assert who["result"] == "tester"
    if client.version < (0, 17):
        assert small["error"][0] == "GatedRepoError"  # it drops the token after any redirect, a relative one too
    else:
        assert small["result"]["sha256"] == sha256(SMALL)
    assert hub.cdn.requests
    assert all(seen.authorization is None for seen in hub.cdn.requests)
    assert any(seen.authorization == f"Bearer {TOKEN}" for seen in hub.api.requests)


def test_missing_things_raise_what_the_client_has_for_them(client: Client, hub: Hub) -> None:
    hub.add("some/private", "file.bin", b"secret")
    hub.make_private("some/private", "hf_owner")
    hub.site.tokens = {**hub.site.tokens, TOKEN: "tester"}
    path = "vae.safetensors"
    no_repo, no_repo_known, private, no_file, no_revision, bad_token, owner = client(
        ("download", {"repo": "no/such", "path": path}),
        ("download", {"repo": "no/such", "path": path, "token": TOKEN}),
        ("download", {"repo": "some/private", "path": "file.bin", "token": TOKEN}),
        ("download", {"repo": REPO, "path": "no-such-file"}),
        ("download", {"repo": REPO, "path": path, "revision": "no-such-branch"}),
        ("metadata", {"repo": REPO, "path": path, "token": "hf_wrong"}),
        ("download", {"repo": "some/private", "path": "file.bin", "token": "hf_owner"}),
    )
    for outcome in (no_repo, no_repo_known, private):
        assert "RepositoryNotFoundError" in outcome["error"]
        assert "GatedRepoError" not in outcome["error"]
    assert "EntryNotFoundError" in no_file["error"]
    assert "RevisionNotFoundError" in no_revision["error"]
    # 0.16 takes every 401 for a missing repository; later versions read X-Error-Message first.
    assert ("RepositoryNotFoundError" in bad_token["error"]) == (client.version < (0, 17))
    assert "HfHubHTTPError" in bad_token["error"]
    assert owner["result"]["size"] == 6
    refused = sorted(seen.status for seen in hub.api.requests if seen.status >= 400)
    assert refused == [401, 401, 404, 404, 404, 404]


def test_gated(client: Client, hub: Hub) -> None:
    hub.gate(REPO, "hf_admitted")
    hub.site.tokens = {**hub.site.tokens, TOKEN: "tester"}
    stranger, known, listing = client(
        ("download", {"repo": REPO, "path": "vae.safetensors"}),
        ("download", {"repo": REPO, "path": "vae.safetensors", "token": TOKEN}),
        ("tree", {"repo": REPO}),
    )
    assert stranger["error"][0] == known["error"][0] == "GatedRepoError"
    assert "401" in stranger["message"]
    assert "403" in known["message"]
    assert "vae.safetensors" in listing["result"]


def test_a_wrong_announcement_is_repeated_faithfully(client: Client, hub: Hub) -> None:
    """None of the versions compares the hash: this is what our own client has to notice."""
    hub.add(REPO, "lies.bin", LARGE, sha256="0" * 64)
    told, got = client(
        ("metadata", {"repo": REPO, "path": "lies.bin"}),
        ("download", {"repo": REPO, "path": "lies.bin"}),
    )
    assert told["result"]["etag"] == "0" * 64
    assert got["result"]["sha256"] == sha256(LARGE)


def test_faults_reach_the_client(client: Client, hub: Hub) -> None:
    """A byte flipped on the way passes at every version; a body that ends early is fetched again from 1.0 on only."""
    hub.add(REPO, "second.bin", LARGE[::-1])
    hub.cdn.fail_next(Fault.flip(1_000_000), Fault.close_after(1_000_000))
    flipped, cut = client(
        ("download", {"repo": REPO, "path": "vae.safetensors"}),
        ("download", {"repo": REPO, "path": "second.bin"}),
    )
    assert flipped["result"]["size"] == len(LARGE)
    assert flipped["result"]["sha256"] != sha256(LARGE)
    hub.settle()
    first, *later = [seen.headers.get("range") for seen in hub.cdn.requests][1:]
    assert first is None
    if client.version < (1, 0):
        assert {"ChunkedEncodingError", "OSError"} & set(cut["error"])  # urllib3 1.26 leaves it to the hub's own check
        assert later == []
    else:
        assert cut["result"]["sha256"] == sha256(LARGE[::-1])
        assert later == [None]  # from the start: it writes in blocks of 10 MB and forgets what is less
