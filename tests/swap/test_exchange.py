"""What is lent to a module goes where the module is by then, and so does what it had."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vae_manager.swap.weights import temporary_weights


@dataclass(frozen=True)
class Stored:
    """As much of a tensor as an exchange asks for: which one it is, and where it lies."""

    name: str
    device: str

    def to(self, device: str) -> Stored:
        return Stored(self.name, device)


class Place:
    """As much of a parameter."""

    def __init__(self, data: Stored) -> None:
        self.data = data

    @property
    def device(self) -> str:
        return self.data.device


def test_a_module_that_was_moved_since_the_weights_were_fitted() -> None:
    place: Any = Place(Stored("own", "gpu"))
    fitted: Any = {"weight": Stored("lent", "cpu")}
    with temporary_weights({"weight": place}, fitted):
        assert place.data == Stored("lent", "gpu")
        place.data = place.data.to("cpu")  # another part of the model takes its place there
    assert place.data == Stored("own", "cpu")
