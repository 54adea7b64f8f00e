"""A second source of the same hash takes over, and the partial file goes on."""

from __future__ import annotations

from dataclasses import replace

from tests.hub import Fault
from tests.transfer.ordering import COMMIT, MB, NAME, PINNED, REPO, some_bytes
from vae_manager.catalogue.entry import HttpsSource, HubSource, LocalSource
from vae_manager.errors import IntegrityError, NetworkError, NotFoundError

from .case import HELPING, MORE, SIZE, WHOLE, Case, Step, both, cdn, cdn_always, hub_always
from .world import World

GOES = both(cdn(*[Fault.reset_after(500_000)] * 8), cdn_always(Fault.reset_before_headers()))
"""Each of the connections brings something, and then the first source is gone."""


def with_mirror(world: World, data: bytes | None = None) -> None:
    url = world.mirror.publish("/vae.safetensors", world.data if data is None else data)
    world.order = replace(world.order, sources=(PINNED, HttpsSource(url)))


def with_wrong_mirror(world: World) -> None:
    with_mirror(world, some_bytes(len(world.data), seed=9))


def with_local(world: World) -> None:
    path = world.tmp_path / "given.safetensors"
    path.write_bytes(world.data)
    world.order = replace(world.order, sources=(PINNED, LocalSource(path)))


def only_dead_ones(world: World) -> None:
    world.order = replace(
        world.order, sources=(HubSource("nobody/nothing", NAME), HttpsSource("http://127.0.0.1:9/vae"))
    )


def only_missing_ones(world: World) -> None:
    world.order = replace(
        world.order, sources=(HubSource("nobody/nothing", NAME), HttpsSource(world.hub.cdn.address + "/nothing"))
    )


def other_file_at_the_hub(world: World) -> None:
    world.hub.add(REPO, NAME, some_bytes(MB, seed=9), revision=COMMIT)


def mirror_sent(most: float, least: float = 1) -> Step:
    def check(world: World) -> None:
        world.mirror.settle()
        assert least <= world.mirror.cdn.sent() <= most

    return check


MIRROR = {
    "is gone": cdn_always(Fault.reset_before_headers()),
    "is overloaded": cdn_always(Fault.status(503)),
    "has a hub without an answer": hub_always(Fault.status(500)),
    "is a captive portal": hub_always(Fault.portal()),
    "is compressed as nobody can unpack": cdn_always(Fault(added=(("Content-Encoding", "br"),))),
    "has another file now": other_file_at_the_hub,
}

CASES = [
    *[
        Case(
            f"a mirror, since the first source {what}",
            both(with_mirror, fail),
            twice=MORE,
            check=mirror_sent(SIZE + HELPING),
        )
        for what, fail in MIRROR.items()
    ],
    Case(
        "a mirror goes on where the first source went away",
        both(with_mirror, GOES),
        twice=MORE,
        check=mirror_sent(SIZE - 400_000),
    ),
    Case(
        "a mirror after wrong bytes",
        both(with_mirror, cdn_always(Fault.flip(SIZE // 2), covering=SIZE // 2)),
        twice=2 * WHOLE,
        check=mirror_sent(SIZE + MORE, SIZE),
    ),
    Case("a mirror that is not needed", with_mirror, twice=0, check=mirror_sent(0, 0)),
    Case(
        "a mirror with wrong bytes, and a first source that goes",
        both(with_wrong_mirror, GOES),
        (IntegrityError, NetworkError),
        "nothing",
        3 * WHOLE,
    ),
    Case("a file on this computer goes on where the first source went away", both(with_local, GOES), twice=MORE),
    Case("two dead sources", only_dead_ones, NetworkError, "nothing", 0, heals=False, code="no-source-left"),
    Case("two sources without the file", only_missing_ones, NotFoundError, "nothing", 0, heals=False),
]
