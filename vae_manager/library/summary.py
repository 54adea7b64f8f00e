"""What an inspection said, without the tensors: what a list shows, and what a small file can hold of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ..errors import VaeManagerError
from ..files import Inspection, Problem
from ..files.json_text import whole
from ..sentences import Sentence, from_data, to_data

__all__ = ["Summary"]

MOST_ITEMS: Final = 40
MOST_CHARACTERS: Final = 500
"""Of metadata: a trainer may put all its settings there."""


@dataclass(frozen=True)
class Summary:
    """What one file is, and what is wrong with it; the fields are those of `Inspection`."""

    container: str
    layout: str = "unknown"
    latent_channels: int | None = None
    dtype: str | None = None
    parameters: int | None = None
    has_encoder: bool = False
    has_decoder: bool = False
    prefix: str = ""
    convertible: bool = False
    loadable: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict)
    """The first items of it, each cut to a length that can be shown."""
    problems: tuple[Problem, ...] = ()

    @property
    def problem(self) -> Sentence | None:
        """The first of the problems."""
        return self.problems[0].sentence if self.problems else None

    @classmethod
    def of(cls, inspection: Inspection) -> Summary:
        return cls(
            inspection.container,
            inspection.layout,
            inspection.latent_channels,
            inspection.dtype,
            inspection.parameters,
            inspection.has_encoder,
            inspection.has_decoder,
            inspection.prefix,
            inspection.convertible,
            inspection.loadable,
            dict(_shortened(*item) for item in sorted(inspection.metadata.items(), key=_is_foreign)[:MOST_ITEMS]),
            inspection.problems,
        )

    @classmethod
    def of_unreadable(cls, error: VaeManagerError) -> Summary:
        """Of a file that is there and cannot be read."""
        return cls("unknown", problems=(Problem("unreadable", error.sentence),))

    def to_data(self) -> dict[str, Any]:
        """As JSON can hold it; what is as it is by default is left out."""
        data = {name: value for name, value in vars(self).items() if value != _PLAIN[name]}
        if self.problems:
            data["problems"] = [{"code": problem.code, **to_data(problem.sentence)} for problem in self.problems]
        return data

    @classmethod
    def from_data(cls, data: Any) -> Summary:
        """What `to_data` was given. Raises `ValueError`, `TypeError`, `KeyError` or `AttributeError` for what is
        none."""
        problems = tuple(Problem(_text(one["code"]), from_data(one)) for one in data.get("problems", ()))
        metadata = {_text(key): _text(value) for key, value in data.get("metadata", {}).items()}
        summary = cls(**{**data, "problems": problems, "metadata": metadata})
        for name, plain in _PLAIN.items():
            value = getattr(summary, name)
            if not isinstance(value, _KINDS.get(name, type(plain))):
                raise TypeError(name)
        for count in (summary.latent_channels, summary.parameters):
            if count is not None:
                whole(count)
        return summary


_PLAIN: Final = vars(Summary(""))
_KINDS: Final[Mapping[str, Any]] = dict.fromkeys(("latent_channels", "parameters"), int | None) | {"dtype": str | None}


def _is_foreign(item: tuple[str, str]) -> bool:
    """Return False for metadata of this program, which comes first: a result names its source there."""
    return not item[0].startswith("vae_manager.")


def _shortened(key: str, value: str) -> tuple[str, str]:
    cut = value if len(value) <= MOST_CHARACTERS else f"{value[:MOST_CHARACTERS]}…"
    return key[:MOST_CHARACTERS], cut


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value
