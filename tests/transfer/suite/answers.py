"""What a server answers: statuses, waits, ranges, expired addresses, headers."""

from __future__ import annotations

import time
from email.utils import formatdate

from tests.hub import Fault
from tests.transfer.ordering import MB, QUICK
from vae_manager.errors import IntegrityError, NetworkError, RefusedError
from vae_manager.transfer.range_requests import FIRST_CONNECTIONS

from .case import A_LITTLE, MORE, SLOW, WHOLE, Case, Step, both, cdn, cdn_always, hub, hub_always, midway
from .world import CONNECTIONS, World

PASSING = (408, 425, 500, 502, 503, 504)


def waits(seconds: float) -> Step:
    def check(world: World) -> None:
        assert world.seconds >= seconds, "the server's wish is kept"

    return check


def asks(server: str, most: int) -> Step:
    """At most so many requests."""

    def check(world: World) -> None:
        assert len(getattr(world.hub, server).requests) <= most

    return check


def in_two_seconds(world: World) -> str:
    """As an HTTP date, which knows whole seconds only."""
    return formatdate(time.time() + 2, usegmt=True)


def expire(world: World) -> None:
    world.hub.expire_addresses()


def short_lives(world: World) -> None:
    world.hub.limit_addresses(0.25)


STATUSES = [
    *[Case(f"{code} from the CDN", cdn(Fault.status(code))) for code in PASSING],
    *[Case(f"{code} from the hub", hub(Fault.status(code))) for code in PASSING],
    Case("503 to every second request", cdn(*[Fault.status(503), None] * 20)),
    Case("503 to the first eight", cdn(*[Fault.status(503)] * CONNECTIONS, None), (None, NetworkError), "nothing"),
    Case("503 in the middle of the way", cdn(*[Fault.reset_after(1_100_000), Fault.status(503)] * 3), twice=MORE),
    Case(
        "503 for ever from the CDN",
        cdn_always(Fault.status(503)),
        NetworkError,
        "nothing",
        0,
        code="server-error",
        check=asks("cdn", CONNECTIONS * QUICK.max_attempts),
    ),
    Case(
        "503 for ever from the hub",
        hub_always(Fault.status(503)),
        NetworkError,
        "nothing",
        0,
        code="server-error",
        check=asks("api", QUICK.max_attempts),
    ),
    Case("400 for ever from the hub", hub_always(Fault.status(400)), NetworkError, "nothing", 0, check=asks("api", 1)),
    Case(
        "403 for ever from the CDN", cdn_always(Fault.status(403)), NetworkError, "nothing", 0, code="address-refused"
    ),
    Case(
        "404 for ever from the CDN", cdn_always(Fault.status(404)), NetworkError, "nothing", 0, code="address-refused"
    ),
    # -- waits
    Case(
        "429 from the CDN, with seconds", cdn(*[Fault.status(429, retry_after=1)] * FIRST_CONNECTIONS), check=waits(1)
    ),
    Case("429 from the hub, with seconds", hub(Fault.status(429, retry_after=1)), check=waits(1)),
    Case(
        "503 from the CDN, with seconds", cdn(*[Fault.status(503, retry_after=1)] * FIRST_CONNECTIONS), check=waits(1)
    ),
    Case(
        "429 from the hub, with a date",
        lambda world: hub(Fault.status(429, retry_after=in_two_seconds(world)))(world),
        check=waits(0.9),
    ),
    Case(
        "429 from the CDN, with a date",
        lambda world: cdn(*[Fault.status(429, retry_after=in_two_seconds(world))] * FIRST_CONNECTIONS)(world),
        check=waits(0.9),
    ),
    Case("429 with a date that is over", hub(Fault.status(429, retry_after=formatdate(1e9, usegmt=True)))),
    Case("429 with nonsense for a wait", hub(Fault.status(429, retry_after="soon"))),
    Case("429 with less than nothing for a wait", hub(Fault.status(429, retry_after=-5))),
    Case("a rate limit of the hub", hub(Fault.rate_limited(1)), check=waits(1)),
    Case("a rate limit of the CDN", cdn(*[Fault.rate_limited(1)] * FIRST_CONNECTIONS), check=waits(1)),
    Case("a rate limit in the middle", cdn(Fault.reset_after(400_000), Fault.rate_limited(1))),
    Case(
        "a hub that wants an hour",
        hub_always(Fault.status(429, retry_after=3600)),
        NetworkError,
        "nothing",
        0,
        code="too-many-requests",
        check=asks("api", 1),
    ),
    Case(
        "a rate limit of an hour",
        hub_always(Fault.rate_limited(3600)),
        NetworkError,
        "nothing",
        0,
        code="too-many-requests",
        check=asks("api", 1),
    ),
    Case(
        "a CDN that wants an hour",
        cdn_always(Fault.status(429, retry_after=3600)),
        NetworkError,
        "nothing",
        0,
        code="too-many-requests",
        check=asks("cdn", CONNECTIONS),
    ),
]

RANGES = [
    Case("ranges are ignored", cdn_always(Fault.range_ignored()), twice=MORE),
    Case(
        "ranges are ignored, and the line drops",
        both(cdn(*[Fault.reset_after(2 * MB)] * 2), cdn_always(Fault.range_ignored())),
        twice=2 * 2 * MB + MORE,
    ),
    Case("the second request's range is ignored", cdn(None, Fault.range_ignored()), twice=MORE),
    Case("every second range is ignored", cdn(*[None, Fault.range_ignored()] * 20), twice=MORE),
    Case("a range is ignored after a cut", cdn(Fault.reset_after(400_000), Fault.range_ignored()), twice=WHOLE),
    Case("a part from further on, and it says so", cdn(*[None, Fault.other_start(100)]), twice=MORE),
    Case("a part from before, and it says so", cdn(*[None, Fault.other_start(-100)]), twice=MORE),
    Case(
        "a part from further on, and it says so, after a cut",
        cdn(Fault.reset_after(400_000), Fault.other_start(100)),
        twice=WHOLE,
    ),
    Case("every part is from further on, and says so", cdn_always(Fault.other_start(100)), twice=MORE),
    Case(
        "a part that lies about its start",
        cdn(Fault.reset_after(400_000), Fault.other_start(-100, admitted=False)),
        twice=WHOLE,
    ),
    Case(
        "every part lies about its start",
        cdn_always(Fault.other_start(-100, admitted=False)),
        (None, IntegrityError),
        "nothing",
        2 * WHOLE,
    ),
    Case("a part without Content-Range", cdn(*[None, Fault.without("Content-Range")]), twice=MORE),
    Case("every part without Content-Range", cdn_always(Fault.without("Content-Range")), twice=MORE),
    Case("a part of nonsense", cdn(None, Fault.with_headers(("Content-Range", "bytes 5-1/2"))), twice=MORE),
    Case(
        "no ETag, no dates, no Accept-Ranges",
        cdn_always(Fault.without("ETag", "Last-Modified", "Accept-Ranges")),
        twice=MORE,
    ),
    Case("Accept-Ranges: none", cdn_always(Fault.with_headers(("Accept-Ranges", "none"))), twice=MORE),
    *[
        Case(f"416 {form}, after a cut", cdn(Fault.reset_after(400_000), Fault.unsatisfiable(value)), twice=WHOLE)
        for form, value in (
            ("with the size", "bytes */{size}"),
            ("with a smaller size", "bytes */5"),
            ("without a size", None),
            ("with nonsense", "bytes 0-1/2"),
        )
    ],
    Case("416 for ever", cdn_always(Fault.unsatisfiable()), NetworkError, "nothing", 0),
]

ADDRESSES = [
    Case("an expired address", cdn(Fault.expired())),
    Case("every second address has expired", cdn(*[Fault.expired(), None] * 20)),
    Case("an address expires after a cut", cdn(Fault.reset_after(400_000), Fault.expired())),
    Case(
        "all addresses expire in the middle, and the line drops",
        both(cdn_always(Fault.reset_after(1_100_000)), midway(expire)),
        link=SLOW,
        twice=MORE,
    ),
    Case("all addresses expire in the middle", midway(expire), link=SLOW, twice=A_LITTLE),
    Case(
        "addresses that live for a quarter of a second, and a line that drops",
        both(short_lives, cdn_always(Fault.reset_after(1_100_000))),
        link=SLOW,
        twice=MORE,
    ),
    Case("no address is any good", lambda world: world.hub.limit_addresses(-1), NetworkError, "nothing", 0),
]

HEADERS = [
    *[Case(f"150 headers from the {name}", to(Fault.many_headers())) for name, to in (("CDN", cdn), ("hub", hub))],
    *[
        Case(f"a header of 70 kB from the {name}", to(Fault.large_header()))
        for name, to in (("CDN", cdn), ("hub", hub))
    ],
    Case("150 headers for ever", cdn_always(Fault.many_headers()), (None, NetworkError), "nothing", 2 * WHOLE),
    Case("a header of 70 kB for ever", cdn_always(Fault.large_header()), NetworkError, "nothing", 2 * WHOLE),
    Case(
        "a redirect without end at the CDN",
        cdn_always(Fault.redirect("{target}")),
        NetworkError,
        "nothing",
        0,
        code="endless-redirects",
    ),
    Case(
        "a redirect without end at the hub",
        hub_always(Fault.redirect("{target}")),
        NetworkError,
        "nothing",
        0,
        code="endless-redirects",
    ),
    Case("five redirects and then the file", cdn(*[Fault.redirect("{target}")] * 5)),
    *[
        Case(f"a redirect to {where} from the {name}", to(Fault.redirect(where)), RefusedError, "nothing", 0)
        for where in ("file:///etc/passwd", "ftp://example.org/vae", "http://example.org/vae")
        for name, to in (("CDN", cdn_always), ("hub", hub_always))
    ],
]

CASES = [*STATUSES, *RANGES, *ADDRESSES, *HEADERS]
