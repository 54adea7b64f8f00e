"""The last latents are bounded in number and in bytes, counted exactly."""

from __future__ import annotations

import threading

import torch

from vae_manager.compare import Checkpoint, RecentLatents, RecentPicture

BYTES = 4 * 8 * 8 * 4


def kept(number: int, *, side: int = 8, latent: bool = True) -> RecentPicture:
    return RecentPicture(
        id=str(number),
        latent=torch.zeros(1, 4, side, side) if latent else None,
        size=(8 * side, 8 * side),
        when=float(number),
        tab="txt2img",
        job="job",
        number=0,
        infotext=f"a house {number}",
        tiling=False,
        checkpoint=Checkpoint("demo.safetensors", None, "sd1"),
        vae=None,
    )


def ids(latents: RecentLatents) -> list[str]:
    return [one.id for one in latents.all()]


def test_the_newest_come_first_and_the_oldest_go_first() -> None:
    latents = RecentLatents(lambda: 3, lambda: 10**6)
    for number in range(4):
        latents.put([kept(number)])
    latents.put([kept(10), kept(11)])
    assert ids(latents) == ["10", "11", "3"]
    assert latents.nbytes == 3 * BYTES
    assert latents.get("3") is not None
    assert latents.get("0") is None
    assert latents.of_infotext("a house 11") is latents.get("11")
    latents.put([kept(20), kept(21)])
    assert ids(latents) == ["20", "21", "11"]


def test_bytes_are_bounded_too() -> None:
    latents = RecentLatents(lambda: 100, lambda: 2 * BYTES)
    latents.put([kept(1), kept(2, latent=False), kept(3), kept(4)])
    assert ids(latents) == ["2", "3", "4"], "of a generation, the last ones"
    latents.put([kept(5, side=32)])
    assert (ids(latents), latents.nbytes) == ([], 0)


def test_none_of_either_keeps_nothing() -> None:
    for count, size in ((0, 10**6), (8, 0), (-1, 10**6)):
        latents = RecentLatents(lambda count=count: count, lambda size=size: size)  # type: ignore[misc]
        assert not latents.wanted
        latents.put([kept(1), kept(2, latent=False)])
        assert ids(latents) == []


def test_a_bound_that_becomes_smaller() -> None:
    most = 5
    latents = RecentLatents(lambda: most, lambda: 10**6)
    latents.put([kept(number) for number in range(5)])
    most = 2
    latents.shrink()
    assert ids(latents) == ["3", "4"]


def test_from_many_threads() -> None:
    latents = RecentLatents(lambda: 8, lambda: 6 * BYTES)

    def puts(first: int) -> None:
        for number in range(200):
            latents.put([kept(1000 * first + number)])
            assert latents.nbytes <= 6 * BYTES
            assert len(latents.all()) <= 8

    threads = [threading.Thread(target=puts, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert latents.nbytes == 6 * BYTES
