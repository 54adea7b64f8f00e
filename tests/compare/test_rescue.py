"""What is wrong with a decode, and which decodes may give the picture all the same."""

from __future__ import annotations

import pytest
import torch

from vae_manager.compare.rescue import Attempt, Fault, Origin, Situation, attempts, faults, is_finite

INF, NAN = float("inf"), float("nan")


def picture(**places: float) -> torch.Tensor:
    """A possible one, with some of its values replaced."""
    made = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(1)) * 1.6 - 0.8
    for name, value in places.items():
        made.view(-1)[{"first": 0, "middle": 300, "last": -1}[name]] = value
    return made


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize(
    ("decoded", "fault"),
    [
        (picture(), None),
        (picture(last=3.0, first=-3.0), None),
        (picture(first=NAN), Fault.NAN),
        (picture(last=NAN), Fault.NAN),
        (picture(middle=NAN, last=INF), Fault.NAN),
        (picture(middle=INF), Fault.INFINITE),
        (picture(middle=-INF), Fault.INFINITE),
        (torch.full((3, 16, 16), 0.25), Fault.FLAT),
        (picture() - 2, Fault.FLAT),
        (picture() + 2, Fault.FLAT),
        (picture() - 1, None),
    ],
)
def test_fault_of_a_picture(decoded: torch.Tensor, fault: Fault | None, dtype: torch.dtype) -> None:
    assert faults([picture().to(dtype), decoded.to(dtype)]) == [None, fault]


def test_no_pictures_have_no_faults() -> None:
    assert faults([]) == []


def test_finite_tensors_whose_sum_is_infinite_are_sound() -> None:
    large = torch.full((4,), 3e38)
    assert is_finite([large, torch.ones(2), torch.ones(2, dtype=torch.long)])
    assert not is_finite([large, torch.tensor([1.0, NAN])])
    assert not is_finite([torch.tensor([INF], dtype=torch.float16)])
    assert is_finite([])


def planned(fault: Fault, **changes: object) -> list[tuple[str | None, str, str]]:
    situation = {"path": "a", "dtype": "fp16", "is_sound": True, "has_bf16": False, **changes}
    return [(one.path, one.origin.value, one.dtype) for one in attempts(fault, Situation(**situation))]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fault", "changes", "expected"),
    [
        (Fault.NAN, {}, [("a", "model", "fp32")]),
        (Fault.NAN, {"has_bf16": True}, [("a", "model", "bf16"), ("a", "model", "fp32")]),
        (Fault.NAN, {"has_bf16": True, "dtype": "bf16"}, [("a", "model", "fp32")]),
        (Fault.NAN, {"has_bf16": True, "dtype": "fp32"}, []),
        (
            Fault.FLAT,
            {"others": (None, "b")},
            [("a", "model", "fp32"), (None, "other", "fp32"), ("b", "other", "fp32")],
        ),
        (Fault.NAN, {"is_sound": False}, [("a", "anew", "fp32")]),
        (Fault.NAN, {"is_sound": False, "has_bf16": True}, [("a", "anew", "bf16"), ("a", "anew", "fp32")]),
        (Fault.MEMORY, {"others": (None,)}, [("a", "model", "fp16"), ("a", "model", "fp32")]),
        (Fault.MEMORY, {"dtype": "fp32", "has_bf16": True}, [("a", "model", "fp32")]),
    ],
)
def test_attempts_begin_with_the_nearest(
    fault: Fault, changes: dict[str, object], expected: list[tuple[str | None, str, str]]
) -> None:
    assert planned(fault, **changes) == expected


def test_no_more_than_three_other_vaes_are_tried_and_never_that_in_the_model() -> None:
    found = planned(Fault.NAN, dtype="fp32", others=("a", None, "b", "c", "d"))
    assert [path for path, _, _ in found] == [None, "b", "c"]
    assert Attempt(None, Origin.OTHER, "fp32") in list(
        attempts(Fault.NAN, Situation("a", "fp32", True, False, (None,)))
    )
