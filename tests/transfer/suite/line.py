"""The connection: cuts, stalls, trickles."""

from __future__ import annotations

from tests.hub import Fault, Link
from tests.transfer.ordering import MB
from vae_manager.errors import NetworkError

from .case import A_LITTLE, MORE, Case, both, cdn, cdn_always, hub, hub_always
from .world import CONNECTIONS, World

KB = 1000
NOTHING_LIMITED = Link()


def several_worked(world: World) -> None:
    assert world.hub.cdn.peak >= 4, "more join as long as that pays, which a busy machine may hide"


CASES = [
    Case("nothing goes wrong", twice=0, check=several_worked),
    Case("nothing goes wrong with a fast line", link=NOTHING_LIMITED, size=40 * MB, twice=MORE),
    Case("nothing goes wrong with one connection", network={"connections": 1}, twice=0),
    # -- cuts
    Case("a reset after 400 kB", cdn(Fault.reset_after(400 * KB))),
    Case("an end after 400 kB", cdn(Fault.close_after(400 * KB))),
    Case("a reset after 400 kB, three times", cdn(*[Fault.reset_after(400 * KB)] * 3)),
    Case("an end after 400 kB, three times", cdn(*[Fault.close_after(400 * KB)] * 3)),
    Case("a reset after the first byte", cdn(Fault.reset_after(1))),
    Case("a reset with the headers", cdn(Fault.reset_after(0))),
    Case("a reset of the first eight", cdn(*[Fault.reset_after(300 * KB)] * CONNECTIONS), twice=MORE),
    Case("a reset of every answer after 1.1 MB", cdn_always(Fault.reset_after(1_100 * KB)), twice=MORE),
    Case("an end of every answer after 1.1 MB", cdn_always(Fault.close_after(1_100 * KB)), twice=MORE),
    Case(
        "a line that drops every 5 MB",
        cdn_always(Fault.reset_after(5 * MB)),
        size=42 * MB,
        link=NOTHING_LIMITED,
        twice=MORE,
    ),
    Case(
        "a line that drops every 5 MB, each connection for itself",
        cdn_always(Fault.reset_after(5 * MB, per_connection=True)),
        size=42 * MB,
        link=NOTHING_LIMITED,
        twice=MORE,
    ),
    Case(
        "a line that drops every 50 MB",
        cdn_always(Fault.reset_after(50 * MB, per_connection=True)),
        size=105 * MB,
        twice=MORE,
    ),
    Case(
        "each connection is reset after 1.1 MB",
        cdn_always(Fault.reset_after(1_100 * KB, per_connection=True)),
        twice=MORE,
    ),
    Case(
        "each connection ends after 1.1 MB",
        cdn_always(Fault.close_after(1_100 * KB, per_connection=True)),
        twice=MORE,
    ),
    Case(
        "a single connection that is reset every 1.1 MB",
        cdn_always(Fault.reset_after(1_100 * KB)),
        network={"connections": 1},
        twice=7 * 70 * KB,
    ),
    Case("every second answer is reset", cdn(*[Fault.reset_after(500 * KB), None] * 20), twice=MORE),
    *[
        Case(f"one connection alone: {name}", fail, network={"connections": 1}, twice=twice)
        for name, fail, twice in (
            ("three resets", cdn(*[Fault.reset_after(1_100 * KB)] * 3), 3 * 70 * KB),
            ("a reset before the headers", cdn(Fault.reset_before_headers()), 0),
            ("a stall", cdn(Fault.stall_at(400 * KB)), 0.3 * MB),
            ("an answer of 503", cdn(Fault.status(503)), 0),
            ("an expired address", cdn(Fault.expired()), 0),
        )
    ],
    # -- before there is an answer
    Case("a reset before the headers", cdn(Fault.reset_before_headers())),
    Case("a reset before the headers, three times", cdn(*[Fault.reset_before_headers()] * 3)),
    Case("an end before the headers", cdn(Fault.close_before_headers())),
    Case("a reset before the headers of every second answer", cdn(*[Fault.reset_before_headers(), None] * 20)),
    Case("a reset before the headers at the hub", hub(Fault.reset_before_headers())),
    Case("an end before the headers at the hub, twice", hub(*[Fault.close_before_headers()] * 2)),
    Case(
        "a CDN that resets whatever comes",
        cdn_always(Fault.reset_before_headers()),
        NetworkError,
        "nothing",
        0,
        code="unreachable",
    ),
    Case("a hub that resets whatever comes", hub_always(Fault.reset_before_headers()), NetworkError, "nothing", 0),
    Case(
        "a line that goes for good",
        both(cdn(*[Fault.reset_after(700 * KB)] * CONNECTIONS), cdn_always(Fault.reset_before_headers())),
        NetworkError,
        "partial",
        MORE,
    ),
    # -- silence
    Case("a stall after 400 kB", cdn(Fault.stall_at(400 * KB))),
    Case("a stall of the first eight", cdn(*[Fault.stall_at(400 * KB)] * CONNECTIONS), twice=MORE),
    Case("a stall before the first byte", cdn(Fault.stall_at(0))),
    Case("an answer that comes late", cdn(Fault.late(3))),
    Case("a hub that answers late", hub(Fault.late(3))),
    Case(
        "a CDN that never answers",
        cdn_always(Fault.late(60)),
        NetworkError,
        "nothing",
        0,
        code="no-answer|too-slow",
        network={"read_timeout": 0.3},
    ),
    Case(
        "a hub that never answers",
        hub_always(Fault.late(60)),
        NetworkError,
        "nothing",
        0,
        code="no-answer",
        network={"read_timeout": 0.3},
    ),
    Case(
        "every answer stalls after 1.1 MB",
        cdn_always(Fault.stall_at(1_100 * KB)),
        twice=MORE,
        network={"read_timeout": 0.3},
    ),
    # -- trickles
    Case("the first connection trickles", cdn(Fault.trickle(500)), twice=A_LITTLE),
    Case("the second connection trickles", cdn(None, Fault.trickle(500)), twice=A_LITTLE),
    Case("one connection trickles after its first bytes", cdn(None, Fault.trickle(20 * KB))),
    Case("the first three trickle", cdn(*[Fault.trickle(500)] * 3), twice=MORE),
    Case("the second to eighth trickle", cdn(None, *[Fault.trickle(500)] * 7), twice=MORE),
    Case("everything trickles", cdn_always(Fault.trickle(50)), NetworkError, "hidden", MORE, code="too-slow"),
]
