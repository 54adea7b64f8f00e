"""A catalogue's entry, and the sources that its file can come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal
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
    """`s3`, `gs`, … (`vae_manager.catalogue.entry.DRIVERS`)."""
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


Family = Literal["sd1", "sdxl", "sd3", "flux1", "flux2", "wan21", "wan22", "qwen"]
Layout = Literal["ldm", "prefixed", "diffusers", "checkpoint", "tiny", "wan", "video", "lora", "other", "unknown"]
"""How the tensors are named. `ldm` is what the WebUI loads; `prefixed` is ldm with a prefix such as
`first_stage_model.`; `tiny` is TAESD and its kin; `video` is for films, with convolutions over time; `unknown` means
that nobody has looked."""


@dataclass(frozen=True)
class Licence:
    """The terms that a VAE was published under."""

    name: str
    """SPDX identifier where there is one, else the publisher's own name."""
    link: str | None = None
    permissive: bool = False
    """MIT or Apache: nothing to read before the first download."""


@dataclass(frozen=True)
class Evaluation:
    """Figures that the publisher measured: reconstruction of a data set's pictures at 256 px."""

    dataset: str
    """`COCO 2017 (256 × 256, 5000 images)`, `LAION-Aesthetics 5+ (256 × 256, 10000 images)`."""
    rfid: float
    """Reconstruction FID; lower is better."""
    psnr: str
    """dB, mean ± deviation as published; higher is better."""
    ssim: str
    psim: str
    """Perceptual similarity; lower is better."""
    steps: int | None = None
    """Training steps of the evaluated weights."""


@dataclass(frozen=True)
class Entry:
    """One published VAE file. *Offered* entries can be fetched from the page; others are only named when met."""

    id: str
    name: str
    family: Family
    file_name: str
    """The name it gets in a VAE folder."""
    sha256: str
    purpose: str
    """One line of advice, in words: what a person would pick it for. English; the page translates it."""
    licence: Licence | None
    sources: tuple[Source, ...] = ()
    """In the order in which they are tried; all give the same bytes, since the hash decides."""
    size: int | None = None
    """Bytes, where known."""
    layout: Layout = "ldm"
    dtype: str | None = None
    """Of most weights: `fp32`, `fp16`, `bf16`; None where unknown."""
    offered: bool = False
    not_offered_because: str | None = None
    """A sentence in English, as it stands in the catalogue; None for what is offered."""
    gated: bool = False
    evidence: Literal["A", "B", "user"] = "user"
    """A: two or more independent sources bind this hash to this file. B: one. user: from the user's own catalogue."""
    aliases: tuple[str, ...] = ()
    """Names under which the very same bytes are in circulation."""
    evaluations: tuple[Evaluation, ...] = ()
