"""What is kept in memory: within its bound, never what somebody has written to, never an old file's."""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch

from vae_manager.files import identity_of
from vae_manager.swap.swapper import WeightCache, default_bound
from vae_manager.swap.weights import Weights, checksums

COUNT = 100
SIZE = 4 * COUNT


def weights(folder: Path, name: str) -> Weights:
    path = folder / name
    path.write_text(name)
    identity = identity_of(path)
    assert identity is not None
    tensors = {"a": torch.randn(COUNT)}
    return Weights(identity, tensors, checksums(tensors))


def test_the_longest_unused_goes_first(tmp_path: Path) -> None:
    cache = WeightCache(lambda: 2 * SIZE)
    first, second, third = (weights(tmp_path, name) for name in "abc")
    cache.put(first)
    cache.put(second)
    assert cache.get(first.identity) is first
    cache.put(third)
    assert cache.get(second.identity) is None
    assert cache.get(first.identity) is first
    assert cache.nbytes == 2 * SIZE


def test_what_was_read_from_a_deleted_file_is_dropped(tmp_path: Path) -> None:
    cache = WeightCache(lambda: 10 * SIZE)
    first, second = (weights(tmp_path, name) for name in "ab")
    cache.put(first)
    cache.put_back(second)
    (tmp_path / "b").unlink()
    cache.forget(second.identity.path)
    assert cache.at(second.identity.path) is None
    assert cache.nbytes == SIZE


@pytest.mark.parametrize(
    ("total", "available", "expected"),
    [(8e9, 6e9, 1.0), (4e9, 4e9, 0.8), (64e9, 60e9, 4.0), (64e9, 4e9, 1.0), (16e9, 1e9, 0.2), (16e9, 0, 0)],
)
def test_default_bound_looks_at_what_is_free(total: float, available: float, expected: float) -> None:
    assert default_bound(int(total), int(available)) == expected


@pytest.mark.parametrize("before", [torch.float16, torch.float64], ids=str)
def test_a_converted_set_lies_in_one_piece_of_memory(tmp_path: Path, before: torch.dtype) -> None:
    """Only so does the system get it back: the C library keeps the pieces of many tensors."""
    large = 200_003  # of torch's own tensors, each begins at a page of its own
    tensors = {"a": torch.randn(large).to(before), "b": torch.ones(3), "c": torch.randn(large, 2).to(before)}
    read = replace(weights(tmp_path, "a"), tensors=tensors, sums=checksums(tensors))
    found = read.converted(torch.float32)
    assert all(torch.equal(found.tensors[name], tensor.float()) for name, tensor in tensors.items())
    assert found.untouched()
    assert not found.shares_with(read)
    named_tensors = sorted((one.data_ptr(), one.numel() * one.element_size()) for one in found.tensors.values())
    gaps = [after - (start + length) for (start, length), (after, _) in pairwise(named_tensors)]
    assert all(0 <= gap < 64 for gap in gaps)


def test_a_smaller_bound_counts_from_the_next_set_on(tmp_path: Path) -> None:
    bound = [2 * SIZE]
    cache = WeightCache(lambda: bound[0])
    for name in "ab":
        cache.put(weights(tmp_path, name))
    bound[0] = SIZE - 1
    cache.put_back(weights(tmp_path, "c"))
    cache.wait()
    cache.shrink()
    assert cache.nbytes == 0


def test_what_was_written_to_is_not_kept(tmp_path: Path) -> None:
    cache = WeightCache(lambda: 10 * SIZE)
    good, bad, sly = (weights(tmp_path, name) for name in "abc")
    bad.tensors["a"][7] += 1
    sly.tensors["a"].data[7] += 1
    for one in (good, bad, sly):
        cache.put_back(one)
    assert [cache.get(one.identity) for one in (good, bad, sly)] == [good, None, None]


def test_a_set_whose_file_has_changed_is_dropped_and_one_whose_file_has_gone_is_not(tmp_path: Path) -> None:
    cache = WeightCache(lambda: 10 * SIZE)
    changed, gone = weights(tmp_path, "a"), weights(tmp_path, "b")
    cache.put(changed)
    cache.put(gone)
    os.utime(tmp_path / "a", (1, 1))
    (tmp_path / "b").unlink()
    cache.shrink()
    assert cache.get(changed.identity) is None
    assert cache.get(gone.identity) is gone
    assert cache.at(gone.identity.path) == gone.identity
    assert cache.nbytes == SIZE
