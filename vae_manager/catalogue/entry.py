"""Catalogue entries: file names, sources, families, and the lookup of an entry by hash, name or weights.

File names from outside (a server, an address, a catalogue) must satisfy POSIX *and* Windows rules on every system: a
models folder is often shared between machines.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal
from urllib.parse import unquote, urlsplit

from ..errors import NotFoundError, RefusedError, UsageError
from ..messages import Message, datum, msg

__all__ = [
    "COMPANIONS",
    "DRIVERS",
    "FAMILIES",
    "SHA256",
    "UNKNOWN_FAMILY",
    "VAE_SUFFIXES",
    "BucketSource",
    "Catalogue",
    "CatalogueProblem",
    "CivitaiSource",
    "EncoderEntry",
    "Entry",
    "Evaluation",
    "Family",
    "FamilyEvidence",
    "FamilyFacts",
    "FamilyGuess",
    "HttpsSource",
    "HubSource",
    "Layout",
    "Licence",
    "LocalSource",
    "PublishedFile",
    "Source",
    "bucket_source",
    "is_loopback",
    "is_named_host",
    "is_vae_file_name",
    "name_at",
    "not_offered",
    "safe_file_name",
]

SHA256: Final = re.compile(r"[0-9a-f]{64}")
"""A SHA-256 as hexadecimal digits."""

VAE_SUFFIXES: Final = (".safetensors", ".ckpt", ".pt")
"""Suffixes of the files that the WebUI lists in a VAE folder (modules/sd_vae.py refresh_vae_list)."""

COMPANIONS: Final = (".aria2", ".part", ".crdownload", ".download", ".opdownload", ".partial")
"""Suffixes that download programs add to the name of an incomplete file, for a file of their own beside it."""

MAX_NAME_BYTES: Final = 200
"""Bytes in UTF-8. File systems allow 255; the partial file and the journal beside it add to the name."""

_FORBIDDEN: Final = frozenset('<>:"/\\|?*')
# A device with any text after the first dot: "nul.safetensors" opens the null device on Windows.
_DEVICE: Final = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])\s*(?:\..*)?", re.IGNORECASE)

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

Only storages with TLS and authentication are allowed. Excluded, although fsspec opens them, are schemes that read this
machine (`file`, `local`, `zip`, `git`), that check neither encryption nor host (`http`, `ftp`, `sftp`, `smb`, `webdav`,
`hdfs`), and that wrap another address (`simplecache`, `reference`, `::`). `memory` lives in this process.
"""

KL_F8_PARAMETERS: Final = 83_653_863
"""Numbers in the VAE of SD 1.x and SDXL: the sum over the 248 shapes of `files.architecture`."""

Family = Literal["sd1", "sdxl", "sd3", "flux1", "flux2", "wan21", "wan22", "qwen"]
Layout = Literal["ldm", "prefixed", "diffusers", "checkpoint", "tiny", "wan", "video", "lora", "other", "unknown"]
"""The naming of the tensors. `ldm` is loaded by the WebUI; `prefixed` is ldm with a prefix such as
`first_stage_model.`; `tiny` is TAESD and its kin; `video` is for films, with convolutions over time; `unknown` is a
file that was not read."""

FamilyEvidence = Literal["yours", "hash", "weights", "yours by weights", "yours by encoder", "shapes", "latent test"]
"""The evidence of a family: the person's setting for this file, the catalogue's entry with its bytes, or with its
weights or encoder, the person's setting for another file with the same weights or encoder, shapes, a test."""


def is_loopback(host: str) -> bool:
    """Return whether a request to `host` stays on this machine: "localhost", or an address of the loopback network."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_named_host(address: str, hosts: Collection[str]) -> bool:
    """Return whether the host of `address` is one of `hosts`, each with its port unless that is the scheme's own."""
    try:
        parts = urlsplit(address)
        name, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        return False
    usual = {"https": 443, "http": 80}.get(parts.scheme)
    names = {f"{name}:{port or usual}", *([name] if port in (None, usual) else [])}
    return not names.isdisjoint(one.strip().lower() for one in hosts)


def safe_file_name(name: str) -> str:
    """Return `name`, if a file of this name can be made inside a folder, and only there, on any system.

    Raises `RefusedError`. The name is never repaired, since a changed name may be that of another file.
    """
    problem = name_problem(name)
    if problem is not None:
        raise RefusedError(
            msg(
                "The file name “{name}” cannot be used: {reason}",
                code="bad-file-name",
                name=_shown(name),
                reason=problem,
            )
        )
    return name


def is_vae_file_name(name: str) -> bool:
    """Return True if the WebUI would list a file of this name in a VAE folder."""
    return name.lower().endswith(VAE_SUFFIXES)


def name_problem(name: str) -> Message | None:
    if not name.strip(". "):
        return msg("it is empty or only dots.", code="empty-name")
    if any(not character.isprintable() for character in name):
        return msg("it has a character that cannot be seen.", code="invisible-character")
    forbidden = sorted(_FORBIDDEN.intersection(name))
    if forbidden:
        return msg("it must not have {characters} in it.", code="forbidden-character", characters=" ".join(forbidden))
    if name != name.strip(" ") or name.endswith("."):
        return msg("it begins or ends with a space, or ends with a dot.", code="outer-space")
    if name.startswith(("-", ".")):
        return msg("it begins with a dash or a dot.", code="leading-dash-or-dot")
    if _DEVICE.fullmatch(name):
        return msg("Windows reserves this name.", code="reserved-name")
    if len(name.encode()) > MAX_NAME_BYTES:
        return msg("it is longer than {count} bytes.", code="name-too-long", count=MAX_NAME_BYTES)
    return None


def _shown(name: str) -> str:
    """Return `name` as one short printable line."""
    return "".join(character if character.isprintable() else "�" for character in name[:80])


def bucket_source(address: str) -> BucketSource:
    """Read `SCHEME://BUCKET/PATH`. Raises `UsageError`, which never repeats a part that could be a secret."""
    scheme, _, rest = address.partition("://")
    bucket, _, path = rest.partition("/")
    if scheme.lower() not in DRIVERS:
        raise UsageError(
            msg(
                "“{scheme}://” is not an https address. Buckets begin with {known}.",
                code="unknown-scheme",
                scheme=scheme,
                known=", ".join(f"{name}://" for name, driver in DRIVERS.items() if driver is not None),
            )
        )
    if "@" in bucket or "?" in rest or "#" in rest:
        raise UsageError(
            msg(
                "An address of a bucket is {scheme}://BUCKET/PATH and nothing more: no name or key before it, no query "
                "after it. Sign in with the storage's own tool or environment variables.",
                code="bad-bucket-address",
                scheme=scheme.lower(),
            )
        )
    if "::" in rest or "\\" in rest or not bucket.strip(". ") or not all(part.strip(". ") for part in path.split("/")):
        raise UsageError(
            msg(
                "“{address}” is not a file of a bucket. Write SCHEME://BUCKET/PATH.",
                code="bad-bucket-address",
                address=address,
            )
        )
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
        path = self.path.replace("%", "%25").replace("@", "%40")  # a revision follows the last @
        return f"hub:{self.repo}/{path}" + (f"@{self.revision}" if self.revision else "")


@dataclass(frozen=True)
class HttpsSource:
    """An address. Plain http is allowed only for this machine."""

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
    """The object's key, without percent-encoding."""

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
"""Each kind has a branch in `source_text.parse_source`, `name_at`, `transfer.sources.resolve_source` and both functions
of `transfer.resume_journal`, where one without a branch would be kept as a local file."""


def name_at(source: Source) -> str | None:
    """Return the name of the file at `source`, unchecked; None if only the server has it."""
    if isinstance(source, CivitaiSource):
        return source.file
    if isinstance(source, HttpsSource):
        try:
            return unquote(urlsplit(source.url).path.rpartition("/")[2])
        except ValueError:  # no address; a request says so
            return ""
    return source.path.name if isinstance(source, LocalSource) else source.path.rpartition("/")[2]


@dataclass(frozen=True)
class Licence:
    """The terms that a VAE was published under."""

    name: str
    """SPDX identifier if there is one, else the publisher's own name."""
    link: str | None = None
    permissive: bool = False
    """MIT or Apache: no terms to read before the first download."""


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


@dataclass(frozen=True, kw_only=True)
class PublishedFile:
    """One published file. *Offered* ones can be downloaded from the page; others are only recognised."""

    id: str
    """Unique among VAEs and text encoders alike."""
    name: str
    file_name: str
    """The file's name in its folder."""
    sha256: str
    purpose: str
    """One line of advice on the choice, in English; the page translates it."""
    licence: Licence | None
    sources: tuple[Source, ...] = ()
    """In the order in which they are tried; all have the same bytes, since the hash decides."""
    size: int | None = None
    """Bytes, if known."""
    dtype: str | None = None
    """Of most weights: `fp32`, `fp16`, `bf16`, or a quantised form such as `fp8_e4m3fn_scaled`; None if unknown."""
    offered: bool = False
    not_offered_because: str | None = None
    """The catalogue's sentence in English; None for an offered entry."""
    gated: bool = False
    evidence: Literal["A", "B", "user"] = "user"
    """A: two or more independent sources bind this hash to this file. B: one. user: from the user's own catalogue."""
    aliases: tuple[str, ...] = ()
    """Other names under which the same bytes are distributed."""


@dataclass(frozen=True, kw_only=True)
class Entry(PublishedFile):
    """One published VAE file."""

    family: Family
    layout: Layout = "ldm"
    evaluations: tuple[Evaluation, ...] = ()

    def fields(self) -> dict[str, Any]:
        """Return the fields of JSON that the command line and the routes for programs share; the size is in bytes."""
        return {
            "id": self.id,
            "name": self.name,
            "family": self.family,
            "purpose": self.purpose,
            "file_name": self.file_name,
            "sha256": self.sha256,
            "size": self.size,
            "layout": self.layout,
            "dtype": self.dtype,
            "licence": self.licence.name if self.licence is not None else None,
            "not_offered_because": self.not_offered_because,
        }

    @property
    def estimated_size(self) -> int | None:
        """The size in bytes; without one, that of the family's one architecture in this number format, within 1 %."""
        is_whole = self.family in ("sd1", "sdxl") and self.layout in ("ldm", "diffusers")
        width = {"fp32": 4, "fp16": 2, "bf16": 2}.get(self.dtype or "")
        return self.size or (KL_F8_PARAMETERS * width if is_whole and width is not None else None)


@dataclass(frozen=True, kw_only=True)
class EncoderEntry(PublishedFile):
    """One published file of a text encoder, which some checkpoints need beside themselves."""

    encoder: str
    """A key of `engines.ENCODERS`."""
    engines: tuple[str, ...] = ()
    """Engines that these weights suit, keys of `engines.ENGINES`; empty: all that use this text encoder."""


@dataclass(frozen=True)
class FamilyFacts:
    """One latent space, and the models that use it."""

    id: Family
    label: str
    """A proper name, the same in every language."""
    members: tuple[str, ...]
    latent_channels: int
    spatial: int
    """Pixels for one side of a latent's pixel."""
    scaling_factor: float | None = None
    """The divisor of latents before decoding; None if there is no single number."""
    shift_factor: float | None = None


@dataclass(frozen=True)
class FamilyGuess:
    """The family of a file, with its evidence."""

    family: str | None = None
    """A key of `FAMILIES`; None if it is unknown."""
    why: FamilyEvidence | None = None
    """The evidence; None without any."""
    sure: bool = False
    """Bytes or weights show it, or the person has set it for these weights."""
    candidates: tuple[str, ...] = ()
    """Families that match the shapes, if there are several."""
    figure: float | None = None
    """The result of the latent test."""


UNKNOWN_FAMILY: Final = FamilyGuess()


def _by_id(*facts: FamilyFacts) -> Mapping[str, FamilyFacts]:
    return MappingProxyType({family.id: family for family in facts})


# Factors: the `scaling_factor` and `shift_factor` in the published config.json of each VAE. That of SD 1.x lacks them:
# 0.18215 is the factor that its denoiser was trained with.
FAMILIES: Final = _by_id(
    FamilyFacts("sd1", "SD 1.x / 2.x", ("SD 1.x", "SD 2.x"), 4, 8, 0.18215),
    FamilyFacts(
        "sdxl", "SDXL", ("SDXL", "Pony", "Illustrious", "NoobAI", "Kolors", "AuraFlow", "Pony v7"), 4, 8, 0.13025
    ),
    FamilyFacts("sd3", "SD 3.x", ("SD3", "SD3.5"), 16, 8, 1.5305, 0.0609),
    FamilyFacts("flux1", "FLUX.1", ("FLUX.1", "Chroma", "Z-Image", "Lumina 2", "HiDream"), 16, 8, 0.3611, 0.1159),
    # Normalised by running statistics inside the file (bn.*); packed to 128 channels of 16 pixels.
    FamilyFacts("flux2", "FLUX.2", ("FLUX.2 dev", "FLUX.2 klein", "ERNIE-Image", "Ideogram 4", "Lens"), 32, 8),
    # Normalised by one mean and one deviation a channel.
    FamilyFacts("wan21", "Wan 2.1", ("Wan 2.1", "Wan 2.2 14B"), 16, 8),
    FamilyFacts("wan22", "Wan 2.2 5B", ("Wan 2.2 TI2V-5B",), 48, 16),
    FamilyFacts("qwen", "Qwen-Image", ("Qwen-Image", "Krea 2", "Anima"), 16, 8),
)
"""Family id -> facts, in the order in which a page shows them."""


@dataclass(frozen=True)
class CatalogueProblem:
    """An unusable line of a catalogue file. The rest of the file was used."""

    file: Path
    line: int
    """1 for the first."""
    message: Message

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


def not_offered(entry: PublishedFile) -> Message:
    """Return the reason why `entry` is only recognised."""
    return msg(
        "{vae} is not offered: {reason}",
        code="not-offered",
        vae=entry.name,
        reason=datum(entry.not_offered_because or ""),
    )


@dataclass(frozen=True)
class Catalogue:
    """All entries: the built-in ones, then the user's, each in the order of its file."""

    entries: tuple[Entry, ...]
    """VAEs."""
    problems: tuple[CatalogueProblem, ...] = ()
    encoders: tuple[EncoderEntry, ...] = ()
    """Text encoders."""

    def entry(self, id: str) -> Entry:
        """Return the entry of this id. Raises `NotFoundError`, which names the nearest ids."""
        found = self._by_id.get(id)
        if found is not None:
            return found
        near = self._nearest(id)
        if near:
            raise NotFoundError(
                msg(
                    "The catalogue has no entry “{id}”. Did you mean {names}?",
                    code="no-such-entry",
                    id=id,
                    names=", ".join(near),
                )
            )
        raise NotFoundError(msg("The catalogue has no entry “{id}”.", code="no-such-entry", id=id))

    def recognise(self, sha256: str) -> Entry | None:
        """Return the entry whose bytes have this SHA-256 (hexadecimal); a built-in one before a user's."""
        return self._by_hash.get(sha256.lower())

    def published(self, sha256: str) -> PublishedFile | None:
        """Return the VAE or text encoder whose bytes have this SHA-256 (hexadecimal); None for unknown bytes."""
        return self.recognise(sha256) or self._encoder_by_hash.get(sha256.lower())

    def offered_encoders(self, encoder: str, engine: str) -> tuple[EncoderEntry, ...]:
        """Return the downloadable files of one text encoder that suit an engine, best advice first.

        Both are keys of `engines.ENCODERS` and `engines.ENGINES`.
        """
        return tuple(
            entry
            for entry in self.encoders
            if entry.offered and entry.encoder == encoder and (not entry.engines or engine in entry.engines)
        )

    def offered(self, family: str | None = None) -> tuple[Entry, ...]:
        """Return the downloadable entries, best advice first; `family` limits it to one latent space."""
        return tuple(entry for entry in self.entries if entry.offered and family in (None, entry.family))

    @cached_property
    def _by_id(self) -> Mapping[str, Entry]:
        return {entry.id: entry for entry in self.entries}

    @cached_property
    def _by_hash(self) -> Mapping[str, Entry]:
        return {entry.sha256: entry for entry in reversed(self.entries)}  # the first of two wins

    @cached_property
    def _encoder_by_hash(self) -> Mapping[str, EncoderEntry]:
        return {entry.sha256: entry for entry in reversed(self.encoders)}

    def _nearest(self, asked: str) -> list[str]:
        """Return at most three ids, nearest first; a person may have typed a name or a file name instead of an id."""
        ids: dict[str, str] = {}
        for entry in self.entries:
            for known in (entry.id, entry.name, entry.file_name, *entry.aliases):
                ids.setdefault(known.lower(), entry.id)
        near = difflib.get_close_matches(asked.lower(), ids, n=6, cutoff=0.6)
        return list(dict.fromkeys(ids[known] for known in near))[:3]
