"""Addresses of buckets: which are known, and which are refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from ..errors import UsageError
from ..sentences import say

__all__ = [
    "DRIVERS",
    "BucketSource",
    "CivitaiSource",
    "HttpsSource",
    "HubSource",
    "LocalSource",
    "Source",
    "bucket_source",
    "name_at",
]


DRIVERS: Final[Mapping[str, str | None]] = {
    "s3": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "az": "adlfs",
    "abfs": "adlfs",
    "oss": "ossfs",
    "tos": "tosfs",
    "oci": "ocifs",
    "memory": None,
}
"""Schemes, and the package that opens each (the names of fsspec's registry); None: fsspec itself.

Only storages that are reached by TLS and that know who asks. Not among them, though fsspec opens them: what reads this
machine (`file`, `local`, `zip`, `git`), what checks neither encryption nor host (`http`, `ftp`, `sftp`, `smb`,
`webdav`, `hdfs`), and what wraps another address (`simplecache`, `reference`, `::`). `memory` lives in this process.
"""


def bucket_source(address: str) -> BucketSource:
    """Read `SCHEME://BUCKET/PATH`. Raises `UsageError`, which never repeats what could be a secret."""
    scheme, _, rest = address.partition("://")
    bucket, _, path = rest.partition("/")
    if scheme.lower() not in DRIVERS:
        raise UsageError(
            say(
                "“{scheme}://” is not an https address. Buckets begin with {known}.",
                scheme=scheme,
                known=", ".join(f"{name}://" for name, driver in DRIVERS.items() if driver is not None),
            )
        )
    if "@" in bucket or "?" in rest or "#" in rest:
        raise UsageError(
            say(
                "An address of a bucket is {scheme}://BUCKET/PATH and nothing more: no name or key before it, no query "
                "after it. Sign in with the storage's own tool or environment variables.",
                scheme=scheme.lower(),
            )
        )
    if "::" in rest or "\\" in rest or not bucket.strip(". ") or not all(part.strip(". ") for part in path.split("/")):
        raise UsageError(say("“{address}” is not a file of a bucket. Write SCHEME://BUCKET/PATH.", address=address))
    return BucketSource(scheme.lower(), bucket, path)


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
    """`s3`, `gs`, … (`vae_manager.catalogue.sources.DRIVERS`)."""
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
