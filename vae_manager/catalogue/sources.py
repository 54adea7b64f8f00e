"""Where the bytes of a VAE come from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

__all__ = ["BucketSource", "CivitaiSource", "HttpsSource", "HubSource", "LocalSource", "Source", "name_at"]


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


@dataclass(frozen=True)
class BucketSource:
    """An object in a bucket of a cloud storage, read by fsspec with the credentials that this machine has."""

    scheme: str
    """`s3`, `gs`, … (`vae_manager.catalogue.buckets.DRIVERS`)."""
    bucket: str
    path: str
    """The object's key, as it is: nothing in it is percent-encoded."""

    def __str__(self) -> str:
        return f"{self.scheme}://{self.bucket}/{self.path}"


@dataclass(frozen=True)
class CivitaiSource:
    """A file of a model version at Civitai."""

    version: int
    """The number behind `modelVersionId=` in the address of a model's page."""
    file: str | None = None
    """One of the version's files by its name; None: its VAE."""

    def __str__(self) -> str:
        return f"civitai:{self.version}" + (f"/{self.file}" if self.file else "")


Source = HubSource | HttpsSource | LocalSource | BucketSource | CivitaiSource


def name_at(source: Source) -> str | None:
    """The name that the file has at `source`, unchecked; None: the source does not say, its server does."""
    if isinstance(source, CivitaiSource):
        return source.file
    if isinstance(source, HttpsSource):
        return unquote(urlsplit(source.url).path.rpartition("/")[2])
    return source.path.name if isinstance(source, LocalSource) else source.path.rpartition("/")[2]
