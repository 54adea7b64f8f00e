"""Signed addresses do not get into the log."""

from __future__ import annotations

import logging
import threading

import pytest

from tests.hub import Hub
from vae_manager.transfer.http_client import LOGGER, keep_queries_out_of_the_log
from vae_manager.transfer.request import NETWORK_THREAD

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
