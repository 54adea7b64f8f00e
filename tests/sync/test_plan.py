"""What a folder and a declared set differ in, and how it ends. Pure."""

from __future__ import annotations

import pytest

from vae_manager.errors import (
    Cancelled,
    DiskError,
    IntegrityError,
    NetworkError,
    NotFoundError,
    RefusedError,
    TransientNetworkError,
    UsageError,
    VaeManagerError,
)
from vae_manager.messages import msg
from vae_manager.sync import Item, plan, worst_exit_status

A, B = Item("a.pt", "a" * 64, ()), Item("b.pt", "b" * 64, ())


def states(there: dict[str, str]) -> list[str]:
    return [step.state for step in plan([A, B], there, []).steps]


def test_states() -> None:
    assert states({}) == ["missing", "missing"]
    assert states({"a.pt": A.sha256, "b.pt": A.sha256}) == ["same", "other"]
    assert states({"a.pt": ""}) == ["other", "missing"]


def test_what_differs() -> None:
    assert not plan([], {}, []).differs
    assert not plan([A], {"a.pt": A.sha256}, ["a.pt"]).differs
    assert plan([A], {}, []).differs
    assert plan([A], {"a.pt": B.sha256}, []).differs


def test_a_file_of_the_name_and_bytes_counts_anywhere_below_the_folder() -> None:
    for there in ({"sub/a.pt": A.sha256}, {"a.pt": B.sha256, "sub/a.pt": A.sha256}):
        found = plan([A], there, ["a.pt", "sub/a.pt"])
        assert (found.steps[0].state, found.steps[0].file, found.undeclared) == ("same", "sub/a.pt", ("a.pt",))
    elsewhere = plan([A], {"sub/a.pt": B.sha256, "sub/c.pt": A.sha256}, ["sub/a.pt", "sub/c.pt"])
    assert (elsewhere.steps[0].state, elsewhere.steps[0].file) == ("missing", "a.pt")
    assert elsewhere.undeclared == ("sub/a.pt", "sub/c.pt")


def test_what_nobody_declared_is_named_and_no_difference() -> None:
    found = plan([A], {"a.pt": A.sha256}, ["a.pt", "c.pt", "sub/a.pt"])
    assert found.undeclared == ("c.pt", "sub/a.pt")
    assert not found.differs


@pytest.mark.parametrize(
    ("kinds", "status"),
    [
        ([], 0),
        ([UsageError], 2),
        ([RefusedError, NotFoundError], 3),
        ([NotFoundError, TransientNetworkError], 4),
        ([NetworkError, DiskError, RefusedError], 6),
        ([RefusedError, IntegrityError, DiskError], 5),
        ([IntegrityError, Cancelled], 130),
    ],
)
def test_the_worst_decides(kinds: list[type[VaeManagerError]], status: int) -> None:
    assert worst_exit_status(kind(msg("Stopped.")) for kind in kinds) == status
