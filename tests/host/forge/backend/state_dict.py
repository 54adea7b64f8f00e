"""Imitates backend/state_dict.py: tensors by the beginning of their names, and a load that lets any be missing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

Weights = dict[str, Any]


def load_state_dict(
    model: Any,
    sd: Weights,
    ignore_errors: Collection[str] = (),
    log_name: str | None = None,
    ignore_start: str | None = None,
) -> None:
    """What is missing stays what it was, with a line on the console; a wrong shape is a RuntimeError."""
    missing, unexpected = model.load_state_dict(sd, strict=False)
    for word, names in (("Missing", missing), ("Unexpected", unexpected)):
        told = [name for name in names if name not in ignore_errors]
        if ignore_start is not None:
            told = [name for name in told if not name.startswith(ignore_start)]
        if told:
            print(f"{log_name or type(model).__name__} {word}: {told}")


def state_dict_has(sd: Weights, prefix: str) -> bool:
    return any(name.startswith(prefix) for name in sd)


def filter_state_dict_with_prefix(sd: Weights, prefix: str, new_prefix: str = "") -> Weights:
    """Takes them out of `sd`."""
    return {new_prefix + name[len(prefix) :]: sd.pop(name) for name in list(sd) if name.startswith(prefix)}


def try_filter_state_dict(sd: Weights, prefix_list: Sequence[str], new_prefix: str = "") -> Weights:
    for prefix in prefix_list:
        if state_dict_has(sd, prefix):
            return filter_state_dict_with_prefix(sd, prefix, new_prefix)
    return {}
