"""Where the bytes of a VAE come from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["HttpsSource", "HubSource", "LocalSource", "Source"]


@dataclass(frozen=True)
class HubSource:
    """A file in a model hub's repository."""

    repo: str
    """`owner/name`."""
    path: str
    """The file's path inside the repository."""
    revision: str | None = None
    """A commit; None means the main branch."""

    def __str__(self) -> str:
        return f"hub:{self.repo}/{self.path}" + (f"@{self.revision}" if self.revision else "")


@dataclass(frozen=True)
class HttpsSource:
    """An address. Plain http only where it does not leave this machine."""

    url: str

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True)
class LocalSource:
    """A file on this machine."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)


Source = HubSource | HttpsSource | LocalSource
