"""Whom we may ask: gated and missing things, tokens, names."""

from __future__ import annotations

from dataclasses import replace

from tests.hub import Fault
from tests.transfer.ordering import COMMIT, MB, NAME, REPO
from vae_manager.catalogue.entry import HttpsSource, HubSource, Source
from vae_manager.errors import NetworkError, NotFoundError, RefusedError, UsageError

from .case import A_LITTLE, Case, Step, both, cdn
from .world import TOKEN, World

EVIL = (
    "../evil.safetensors",
    "a/b.safetensors",
    "a\\b.safetensors",
    "/etc/evil.safetensors",
    "C:evil.safetensors",
    "nul.safetensors",
    "CON",
    "",
    "..",
    ".hidden.safetensors",
    "-rf.safetensors",
    "evil.safetensors ",
    "evil\n.safetensors",
    "evil\0.safetensors",
    "x" * 300 + ".safetensors",
    "evil\u202e.safetensors",
)


def source(one: Source) -> Step:
    return lambda world: setattr(world, "order", replace(world.order, sources=(one,)))


def named(name: str) -> Step:
    return lambda world: setattr(world, "order", replace(world.order, file_name=name))


def nobody_signed_in(world: World) -> None:
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        world.patch.delenv(name)


def another_signed_in(world: World) -> None:
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        world.patch.setenv(name, "hf_other")
    world.hub.gate("some/thing", "hf_other")


def private(world: World) -> None:
    world.hub.make_private(REPO, "hf_owner")


def small_file(world: World) -> None:
    """Served by the hub itself, after a relative redirect, on a line as fast as the CDN's."""
    world.hub.api.link = world.mirror.api.link = world.link
    world.hub.site.needs_query = True
    world.hub.add(REPO, NAME, world.data, revision=COMMIT, lfs=False)


def to_a_stranger(world: World) -> None:
    """The hub leads to another hub, which has the file but is not to know the token."""
    world.mirror.add(REPO, NAME, world.data, revision=COMMIT, lfs=False)
    small_file(world)
    world.hub.api.fail_always(Fault.redirect(world.mirror.endpoint + "{target}", 307))


def to_a_stranger_at_last(world: World) -> None:
    """The hub leads away only when the bytes themselves are asked for."""
    world.mirror.add(REPO, NAME, world.data, revision=COMMIT, lfs=False)
    small_file(world)
    world.hub.api.fail_always(Fault.redirect(world.mirror.endpoint + "{target}", 307), method="GET")


def keyed_address(world: World) -> None:
    url = world.hub.publish("/api/download/1", world.data) + "?type=VAE&token=geheim&X-Amz-Signature=geheim"
    source(HttpsSource(url))(world)


def keyed_address_that_goes(world: World) -> None:
    keyed_address(world)
    world.hub.cdn.fail_next(*[Fault.reset_after(500_000)] * 3, *[Fault.status(404)] * 100)


def asked(world: World) -> None:
    """The hub got the token that the CDN must not have (see `nothing_got_out`)."""
    assert {seen.authorization for seen in world.hub.api.requests} == {f"Bearer {TOKEN}"}
    assert world.hub.cdn.requests


def the_stranger_was_asked(world: World) -> None:
    assert world.mirror.requests


def nobody_was_asked(world: World) -> None:
    assert world.hub.requests == []


HUB = [
    Case("gated, and nobody has signed in", nobody_signed_in, RefusedError, "nothing", 0, code="licence-at-hub"),
    Case("gated for who has signed in", another_signed_in, RefusedError, "nothing", 0, code="licence-at-hub"),
    Case("private", private, NotFoundError, "nothing", 0, code="no-such-repository", heals=False),
    Case("no such repository", source(HubSource("nobody/nothing", NAME)), NotFoundError, "nothing", 0, heals=False),
    Case("no such file", source(HubSource(REPO, "other.safetensors")), NotFoundError, "nothing", 0, heals=False),
    Case("no such revision, but the file is there", source(HubSource(REPO, NAME, "c" * 40)), twice=0),
    Case(
        "no such file at an address",
        lambda world: source(HttpsSource(world.hub.cdn.address + "/no"))(world),
        NotFoundError,
        "nothing",
        0,
        heals=False,
    ),
    Case("what is no repository", source(HubSource("a/b/c", NAME)), UsageError, "nothing", 0, heals=False),
    Case("no such host", source(HttpsSource("https://nowhere.invalid/vae")), NetworkError, "nothing", 0, heals=False),
    Case(
        "a port that nobody listens at",
        source(HttpsSource("http://127.0.0.1:9/vae")),
        NetworkError,
        "nothing",
        0,
        heals=False,
    ),
    Case(
        "an address without TLS", source(HttpsSource("http://example.org/vae")), RefusedError, "nothing", 0, heals=False
    ),
    Case(
        "an address with a password",
        source(HttpsSource("https://me:geheim@example.org/vae")),
        RefusedError,
        "nothing",
        0,
        heals=False,
    ),
]

TOKENS = [
    Case("the token stays with the hub", twice=0, check=asked),
    Case("the token stays with the hub when addresses expire", cdn(*[Fault.expired(), None] * 10), check=asked),
    Case(
        "the token stays with the hub when the line drops",
        cdn(*[Fault.reset_after(MB)] * 8),
        twice=8 * A_LITTLE,
        check=asked,
    ),
    Case("a small file of the hub", small_file, twice=A_LITTLE),
    Case("a hub that leads to a stranger", to_a_stranger, twice=A_LITTLE, check=the_stranger_was_asked),
    Case("a hub that leads to a stranger at last", to_a_stranger_at_last, twice=A_LITTLE, check=the_stranger_was_asked),
    Case(
        "a CDN that leads to a stranger",
        both(
            lambda world: world.mirror.publish("/vae", world.data),
            lambda world: world.hub.cdn.fail_always(Fault.redirect(world.mirror.cdn.address + "/vae")),
        ),
        twice=A_LITTLE,
        check=the_stranger_was_asked,
    ),
    Case("an address with keys in it", keyed_address, twice=0),
    Case("an address with keys in it, that goes", keyed_address_that_goes, NotFoundError, "partial", 8 * A_LITTLE),
]

NAMES = [
    Case(f"a file named {name[:30]!r}", named(name), RefusedError, "nothing", 0, heals=False, check=nobody_was_asked)
    for name in EVIL
]

CASES = [*HUB, *TOKENS, *NAMES]
