"""What the bytes are: lengths, codings, flipped bytes, pages, changed files, hashes."""

from __future__ import annotations

from dataclasses import replace

from tests.hub import Fault
from tests.transfer.ordering import COMMIT, MB, NAME, REPO, some_bytes
from vae_manager.catalogue.entry import HttpsSource, HubSource
from vae_manager.errors import IntegrityError, NetworkError
from vae_manager.transfer.range_requests import FIRST_CONNECTIONS

from .case import MORE, SIZE, SLOW, WHOLE, Case, Step, both, cdn, cdn_always, hub_always, midway
from .world import World

MIDDLE = SIZE // 2
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 334641164\n"
CUTS = cdn_always(Fault.reset_after(1_100_000))


def new_data(world: World) -> bytes:
    return some_bytes(len(world.data), seed=9)


# -- orders --------------------------------------------------------------------------------------------------------
def no_hash(world: World) -> None:
    """A plain address, of which nobody knows the hash."""
    url = world.hub.publish("/files/vae.safetensors", world.data)
    world.order = world.desk.order(world.data, HttpsSource(url), known=False)


def no_hash_at_the_hub(world: World) -> None:
    """The newest file of a repository, whose hash the hub alone knows."""
    world.order = world.desk.order(world.data, HubSource(REPO, NAME), known=False)


def wrong_announcement(world: World) -> None:
    world.hub.add(REPO, NAME, new_data(world), revision=COMMIT)


def wrong_body(world: World) -> None:
    """The hub announces the right hash over other bytes."""
    world.hub.add(REPO, NAME, new_data(world), revision=COMMIT, sha256=world.order.sha256)


def wrong_body_for_its_own_hash(world: World) -> None:
    no_hash_at_the_hub(world)
    world.hub.add(REPO, NAME, world.data, revision=COMMIT, sha256="0" * 64)


# -- changes on the way --------------------------------------------------------------------------------------------
def changes(world: World) -> None:
    """The plain address holds another file from now on, and that one is as good."""
    world.allowed.append(new_data(world))
    world.hub.publish("/files/vae.safetensors", new_data(world))


def commits(world: World) -> None:
    """The repository has a newer file from now on, and that one is as good."""
    world.allowed.append(new_data(world))
    world.hub.add(REPO, NAME, new_data(world), revision="b" * 40)


def keep(world: World) -> None:
    world.keep()


def no_etags(world: World) -> None:
    world.hub.cdn.fail_always(Fault.without("ETag", "Last-Modified"))


def is_the_new_one(world: World) -> None:
    assert world.target.read_bytes() == new_data(world)


def is_proven(proven: bool) -> Step:
    def check(world: World) -> None:
        assert world.delivery is not None
        assert world.delivery.proven is proven

    return check


def sends_nothing(world: World) -> None:
    assert world.sent() == 0


def fetches_it_twice_at_most(world: World) -> None:
    """One clean retry, not as many as a broken line gets."""
    assert world.sent() <= 2 * len(world.data) + MORE


LENGTHS = [
    Case("a length that is too long", cdn(Fault.length_off(1000)), (None, IntegrityError), "nothing", WHOLE),
    Case("a length that is too short", cdn(Fault.length_off(-1000)), (None, IntegrityError), "nothing", WHOLE),
    Case("a part whose length is too long", cdn(None, Fault.length_off(1000)), twice=MORE),
    Case("a part whose length is too short", cdn(None, Fault.length_off(-1000)), twice=MORE),
    Case(
        "every length is too long",
        cdn_always(Fault.length_off(1000)),
        (None, IntegrityError, NetworkError),
        "nothing",
        2 * WHOLE,
    ),
    Case(
        "every length is too short",
        cdn_always(Fault.length_off(-1000)),
        (None, IntegrityError, NetworkError),
        "hidden",
        2 * WHOLE,
    ),
    Case("no answer has a length", cdn_always(Fault.without("Content-Length")), twice=MORE),
    Case(
        "no answer has a length, and the line drops",
        cdn_always(Fault.without("Content-Length") | Fault.close_after(1_100_000)),
        twice=MORE,
    ),
    Case("chunks", cdn_always(Fault.chunked()), twice=MORE),
    Case("chunks, and the line drops", cdn_always(Fault.chunked() | Fault.reset_after(1_100_000)), twice=MORE),
    Case("one answer in chunks", cdn(None, Fault.chunked()), twice=MORE),
    Case("compressed once", cdn(None, Fault.gzip()), twice=MORE),
    Case("compressed for ever", cdn_always(Fault.gzip()), twice=MORE),
    Case(
        "a mirror that strips all headers",
        both(
            hub_always(Fault.without("X-Linked-Size", "X-Linked-ETag", "X-Repo-Commit")),
            cdn_always(Fault.without("ETag", "Content-Length", "Accept-Ranges", "Last-Modified")),
        ),
        twice=MORE,
    ),
]

WRONG_BYTES = [
    *[
        Case(f"{where} is flipped once", cdn(Fault.flip(offset), covering=offset), twice=WHOLE, check=is_proven(True))
        for where, offset in (("the first byte", 0), ("a byte in the middle", MIDDLE), ("the last byte", SIZE - 1))
    ],
    Case(
        "a byte is always flipped",
        cdn_always(Fault.flip(MIDDLE), covering=MIDDLE),
        IntegrityError,
        "nothing",
        2 * WHOLE,
        code="wrong-bytes",
        check=fetches_it_twice_at_most,
    ),
    Case("a segment is a web page once", cdn(Fault.filled(), covering=MIDDLE), twice=WHOLE),
    Case(
        "the first segment is a web page once",
        cdn(Fault.filled(), covering=0),
        (None, IntegrityError),
        "nothing",
        WHOLE,
    ),
    Case(
        "a segment is always a web page",
        cdn_always(Fault.filled(), covering=MIDDLE),
        IntegrityError,
        "hidden",
        2 * WHOLE,
        check=fetches_it_twice_at_most,
    ),
    Case("everything is a web page", cdn_always(Fault.filled()), IntegrityError, "nothing", 2 * WHOLE, code="web-page"),
    Case("a captive portal on the hub", hub_always(Fault.portal()), IntegrityError, "nothing", 1000, code="web-page"),
    Case("a captive portal on the CDN", cdn_always(Fault.portal()), IntegrityError, "nothing", 9000, code="web-page"),
    Case(
        "a captive portal on one connection",
        cdn(*[None] * FIRST_CONNECTIONS, Fault.portal()),
        (None, IntegrityError),
        "partial",
        MORE,
    ),
    Case(
        "a captive portal in the middle",
        # Eight connections bring no more than half of it before they ask again.
        both(midway(cdn_always(Fault.portal()), 0.25), cdn_always(Fault.reset_after(500_000))),
        IntegrityError,
        "partial",
        MORE,
        code="web-page",
        link=SLOW,
    ),
    Case(
        "a pointer of Git LFS",
        cdn_always(Fault.filled(POINTER)),
        IntegrityError,
        "nothing",
        2 * WHOLE,
        code="lfs-pointer",
    ),
]

HASHES = [
    Case(
        "the hub announces another hash",
        wrong_announcement,
        IntegrityError,
        "nothing",
        0,
        heals=False,
        check=sends_nothing,
    ),
    Case(
        "the hub announces the right hash and has other bytes",
        wrong_body,
        IntegrityError,
        "nothing",
        2 * WHOLE,
        heals=False,
        size=4 * MB,
        check=fetches_it_twice_at_most,
    ),
    Case(
        "the hub's own hash is not that of its bytes",
        wrong_body_for_its_own_hash,
        IntegrityError,
        "nothing",
        2 * WHOLE,
        heals=False,
        size=4 * MB,
        check=fetches_it_twice_at_most,
    ),
    Case("only the hub knows the hash", no_hash_at_the_hub, twice=0, check=is_proven(True)),
    Case(
        "only the hub knows the hash, and a byte is flipped once",
        both(no_hash_at_the_hub, cdn(Fault.flip(MIDDLE), covering=MIDDLE)),
        twice=WHOLE,
        check=is_proven(True),
    ),
    Case("nobody knows a hash", no_hash, twice=0, check=is_proven(False)),
    Case("nobody knows a hash, and the line drops", both(no_hash, CUTS), twice=MORE, check=is_proven(False)),
    Case(
        "the known size is another",
        lambda world: setattr(world, "order", replace(world.order, size=SIZE - 1)),
        IntegrityError,
        "nothing",
        MORE,
        heals=False,
    ),
]
CHANGES = [
    Case(
        "other bytes for one request in the middle",
        cdn(None, Fault.other_content(some_bytes(SIZE, seed=9))),
        twice=2 * WHOLE,
    ),
    Case(
        "other bytes after a cut",
        cdn(Fault.reset_after(1_100_000), Fault.other_content(some_bytes(SIZE, seed=9))),
        twice=2 * WHOLE,
    ),
    Case(
        "other bytes of another size, for one request",
        cdn(*[None] * FIRST_CONNECTIONS, Fault.other_content(some_bytes(MB, seed=9))),
        (None, IntegrityError),
        "partial",
        WHOLE,
    ),
    Case("changed between two calls", both(no_hash, keep, changes), twice=WHOLE, check=is_the_new_one),
    Case("changed in the middle", both(no_hash, CUTS, midway(changes)), link=SLOW, twice=WHOLE),
    Case(
        "changed in the middle, without ETags",
        both(no_hash, no_etags, CUTS, midway(changes)),
        link=SLOW,
        ends=(None, NetworkError, IntegrityError),
        left="hidden",
        twice=4 * WHOLE,
    ),
    Case(
        "changed in the middle, on one connection",
        both(no_hash, midway(changes)),
        link=SLOW,
        network={"connections": 1},
        twice=WHOLE,
    ),
    Case("a new commit between two calls", both(no_hash_at_the_hub, keep, commits), twice=WHOLE, check=is_the_new_one),
    Case("a new commit in the middle", both(no_hash_at_the_hub, CUTS, midway(commits)), link=SLOW, twice=WHOLE),
]

CASES = [*LENGTHS, *WRONG_BYTES, *HASHES, *CHANGES]
