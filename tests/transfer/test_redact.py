"""Signed addresses do not get into the log."""

from __future__ import annotations

import logging
import threading

import pytest

from tests.hub import Hub
from vae_manager.transfer.http_client import LOGGER, keep_queries_out_of_the_log
from vae_manager.transfer.request import NETWORK_THREAD
from vae_manager.transfer.urls import may_be_secret

from .ordering import COMMIT, MB, NAME, REPO, Desk, some_bytes

DATA = some_bytes(MB)


def test_a_delivery_logs_its_requests_without_what_opens_them(
    hub: Hub, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    hub.add(REPO, NAME, DATA, revision=COMMIT)
    desk.get(desk.order(DATA))
    assert [seen for seen in hub.cdn.requests if "Signature=" in seen.target]
    lines = [record.getMessage() for record in caplog.records if record.name == LOGGER]
    assert [line for line in lines if "?… HTTP/1.1" in line and line.endswith(f" 206 {len(DATA)}")]
    assert "Signature" not in caplog.text


@pytest.mark.parametrize(
    ("thread", "logged"),
    [
        (f"{NETWORK_THREAD} 3", 'http://h:80 "GET /a?… HTTP/1.1" 200 5'),
        ("Thread-1", 'http://h:80 "GET /a?b=c%20 HTTP/1.1" 200 5'),
    ],
)
def test_only_our_own_threads_are_touched(thread: str, logged: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    keep_queries_out_of_the_log()
    keep_queries_out_of_the_log()

    def log() -> None:
        line = '%s://%s:%s "%s %s %s" %s %s'
        logging.getLogger(LOGGER).debug(line, "http", "h", 80, "GET", "/a?b=c%20", "HTTP/1.1", 200, 5)

    one = threading.Thread(target=log, name=thread)
    one.start()
    one.join()
    assert [record.getMessage() for record in caplog.records] == [logged]
    assert [str(type(one).__name__) for one in logging.getLogger(LOGGER).filters].count("WithoutQueries") == 1


@pytest.mark.parametrize(
    ("address", "secret"),
    [
        ("https://a.b/c", False),
        ("https://a.b/c?download=true", False),
        ("https://a.b/c?download", False),
        ("https://a.b/c?dl=1&raw=0", False),
        ("https://a.b/c?type=Model&format=SafeTensor&size=full&fp=fp16", False),
        ("https://a.b/api/v1/models/x/y/repo?Revision=master&FilePath=sub/a b.safetensors", False),
        ("https://a.b/c?revision=629b3ad3030ce36e15e70c5db7d91df0d60c627f&version=1.2", False),
        ("https://a.b/c?token=1", True),
        ("https://a.b/c?download=8f3a9c", True),
        ("https://a.b/c?download=true&x=8f3a9c", True),
        ("https://a.b/c?k=1", True),
        ("https://a.b/c?8f3a9c", True),
        ("https://a.b/c?=8f3a9c", True),
        ("https://a.b/c?&", True),
        ("https://a.b/c?FilePath=8f3a9c8f3a9c", True),
        ("https://a.b/c?FilePath=../../../../../a.safetensors%0a8f3a", True),
        ("https://a.b/c?Download=8f3a9c", True),
        ("https://a.b/c?revision=8f3a9c", True),
        ("https://a.b/c#8f3a9c", True),
        ("https://u:8f3a9c@a.b/c", True),
        ("https://a.b/c?download=true;key=8f3a9c", True),
    ],
)
def test_only_a_query_that_is_known_may_travel(address: str, secret: bool) -> None:
    assert may_be_secret(address) is secret
