"""Requests and answers of the API for programs, as models of pydantic: version 1 (A1111, reForge) and 2 (Forge, Neo).

The WebUI's page `/docs` shows them. Sentences are English; a `code` stays the same when its sentence is reworded.
"""

from __future__ import annotations

from typing import Any, Literal

import pydantic

__all__ = [
    "Best",
    "CatalogueEntry",
    "Choose",
    "Compare",
    "Comparison",
    "Component",
    "Download",
    "Failure",
    "Get",
    "GetNeeds",
    "Job",
    "JobRequest",
    "JobResult",
    "Needs",
    "PictureCount",
    "Ranking",
    "Request",
    "Rescue",
    "SendPicture",
    "Status",
    "Vae",
    "Verified",
    "Verify",
    "schema_of",
]

IS_PYDANTIC_2 = pydantic.VERSION.partition(".")[0] != "1"


def _with_nulls(schema: dict[str, Any], model: Any) -> None:
    """Add to the schema of pydantic 1 which fields may be null, as OpenAPI 3.0 writes it, and that answers have all."""
    properties = schema.get("properties", {})
    for field in model.__fields__.values():
        if field.allow_none:
            known = properties[field.alias]
            properties[field.alias] = {**({"allOf": [known]} if "$ref" in known else known), "nullable": True}
    if issubclass(model, Answer):
        schema["required"] = list(properties)


class Answer(pydantic.BaseModel):
    """An answer, which has each of its fields."""

    if not IS_PYDANTIC_2:

        class Config:
            """Its setting in pydantic 1."""

            schema_extra = staticmethod(_with_nulls)


class Request(pydantic.BaseModel):
    """A body, in which a field that does not exist is an error: it may be one that was misspelled."""

    if IS_PYDANTIC_2:
        model_config: Any = {"extra": "forbid"}
    else:

        class Config:
            """Its setting in pydantic 1."""

            extra = "forbid"
            schema_extra = staticmethod(_with_nulls)


class Failure(Answer):
    """Why a request failed."""

    error: str
    """A sentence."""
    code: str


class Status(Answer):
    """The VAE in the model, and the reason for it."""

    checkpoint: str | None
    """Name of the loaded checkpoint; null while no model is loaded."""
    vae: str | None
    """Name of the VAE file in the model; null for the checkpoint's own."""
    path: str | None
    """Its path, for the person at this machine."""
    sha256: str | None
    """Its hash, as far as it is known."""
    entry: str | None
    """The catalogue's id for these bytes."""
    dtype: str | None
    verdict: str | None
    """That of the file in the model, as in `vaes`; null for the checkpoint's own VAE."""
    verification: str | None
    """The outcome of its last verification."""
    choice: str
    """The setting: `Automatic`, `None` (the checkpoint's own), or the name of a file."""
    resolves_to: str | None
    """Name of the file that the setting means for this checkpoint; null for the checkpoint's own."""
    rule: str
    """The rule that decided it."""
    is_in_use: bool
    """True if the VAE in the model is the one that the setting means."""
    refused: Failure | None
    """Why a VAE that was chosen is not in use."""
    is_generating: bool


class Vae(Answer):
    """One VAE file that the WebUI lists."""

    name: str
    path: str | None
    size: int
    """Bytes."""
    container: str
    layout: str
    """`unknown` while the file was not read yet, as is the container."""
    family: str | None
    latent_channels: int | None
    dtype: str | None
    sha256: str | None
    entry: str | None
    verdict: str
    """`usable`, `usable-after` (a conversion), `ask-first`, `refused`, or `unknown` while it was not read yet."""
    is_loadable: bool
    """The WebUI can load it as it is, perhaps after a question."""
    is_convertible: bool
    """A conversion makes a file of it that the WebUI can load."""
    reason: Failure | None
    """Why it is not usable at once."""
    verification: str | None
    """The outcome of the last verification of these bytes; null without one."""
    verification_reason: Failure | None
    is_in_use: bool


class CatalogueEntry(Answer):
    """One published VAE."""

    id: str
    name: str
    family: str
    purpose: str
    file_name: str
    sha256: str
    size: int | None
    layout: str | None
    dtype: str | None
    licence: str | None
    is_offered: bool
    """It can be downloaded, by its licence and for a WebUI like this one."""
    not_offered_because: str | None
    here: str | None
    """Name of the file with exactly these bytes."""


class Download(Answer):
    """A download of this process, or one that has ended."""

    key: str
    name: str
    """The entry's name, or the file's."""
    file_name: str
    sha256: str | None
    """The hash that the file has to have; null if none is published."""
    state: str
    """`waiting`, `running`, `paused`, `done`, `failed` or `stopped`."""
    done: int
    """Bytes."""
    total: int | None
    speed: float | None
    """Bytes a second."""
    failure: Failure | None


class Component(Answer):
    """One part of a model: its VAE, or a text encoder."""

    role: str
    label: str
    state: str
    """`here`, `carried` (in the checkpoint's own file), `optional` or `missing`."""
    files: list[str]
    """Files that can serve, the best first."""
    undecided: list[str]
    """VAEs that fit by their shapes, and may be of another family: their hash decides."""
    entries: list[str]
    """Ids of what can be downloaded, the best advice first."""


class Needs(Answer):
    """The components of the checkpoint that is loaded, or comes with the next picture."""

    checkpoint: str
    host: str
    """`a1111`, `reforge`, `forge` or `neo`."""
    engine: str
    families: list[str]
    variant: str | None
    dtype: str | None
    complete: bool
    """Nothing is missing."""
    is_checking: bool
    """Files here are still being read, so that more may be found."""
    components: list[Component]


class Job(Answer):
    """A verification, a comparison or a ranking of this process, or one that has ended."""

    key: str
    kind: str
    """`verify`, `compare`, `best` or `other`."""
    name: str
    state: str
    """`waiting`, `running`, `done`, `failed` or `stopped`."""
    done: int
    total: int | None
    failure: Failure | None


class Verified(Answer):
    """The verification of one file."""

    name: str
    path: str | None
    """Its path, for the person at this machine."""
    sha256: str | None
    entry: str | None
    outcome: str
    """`verified`, `unverified`, `changed`, `damaged`, `not-a-vae` or `unreadable`."""
    text: str
    reason: Failure | None
    """The problem; null for a right file."""


class Comparison(Answer):
    """The pictures of several VAEs, in the order of their decoding."""

    reference: str | None
    """The VAE that the others are measured against, `original`, or null."""
    note: str | None
    seconds: float | None
    results: list[dict[str, Any]]
    """Of each VAE: `vae`, `picture` (PNG in base64), `seconds`, `peak_bytes`, `nan`, `figures`, `words`, `note`,
    `error`, `code`, `infotext`."""


class ComparisonResult(Comparison):
    """A comparison with all pictures side by side."""

    sheet: str | None
    """PNG in base64."""


class Ranking(Answer):
    """The VAEs by their distance from the pictures."""

    pictures: int
    """How many count."""
    side: int
    """Pixels of their middle that were measured, along each side at most."""
    note: str | None
    """What the result has to be read with."""
    ranking: list[dict[str, Any]]
    """Of each VAE: `vae`, `place`, `standing`, `confidence`, `distance`, `behind`, `interval`, `hash`, `measures`,
    `defects`, `sentence`."""
    failed: list[dict[str, Any]]
    left_out: list[dict[str, Any]]
    card: str | None
    """PNG in base64; null while nothing is ranked."""


class JobResult(Job):
    """A job with its result, of which the one of its kind is there; null while it runs, and once it is dropped."""

    verified: list[Verified] | None
    comparison: ComparisonResult | None
    ranking: Ranking | None


class PictureCount(Answer):
    """How many pictures a batch has."""

    count: int


class Choose(Request):
    """A choice of a VAE."""

    vae: pydantic.StrictStr
    """`Automatic`, `None` (the checkpoint's own), or the name of a file that the WebUI lists."""
    sure: pydantic.StrictBool = False
    """Take a VAE that may be of another family."""


class Get(Request):
    """A download: an `entry` of the catalogue, or an `address`."""

    entry: pydantic.StrictStr | None = None
    address: pydantic.StrictStr | None = None
    """An address, as a person would paste it."""
    name: pydantic.StrictStr = ""
    """File name for a download by its address; empty for the proposed one."""
    use: pydantic.StrictBool = False
    """Choose the VAE of the catalogue once it has come."""
    accept: pydantic.StrictBool = False
    """Accept the licence of the entry."""
    anyway: pydantic.StrictBool = False
    """Download a file of an address that is no VAE."""


class JobRequest(Request):
    """The key of a download, or of a job."""

    key: pydantic.StrictStr


class GetNeeds(Request):
    """A download of what the checkpoint lacks."""

    accept: pydantic.StrictBool = False
    """Accept the licences of the entries."""


class Verify(Request):
    """A verification."""

    vae: pydantic.StrictStr | None = None
    """Name of a file that the WebUI lists; null: all files."""
    keep: pydantic.StrictBool = False
    """Accept the file if it has changed: later verifications compare it with its present bytes."""


class Compare(Request):
    """A comparison of the last picture of an infotext, of the newest one, or of a picture that is sent."""

    vaes: list[pydantic.StrictStr]
    """Names of files that the WebUI lists; `None` is the checkpoint's own."""
    infotext: pydantic.StrictStr | None = None
    picture: pydantic.StrictStr | None = None
    """A picture in base64, which is encoded and decoded again."""
    encode: Literal["current", "each"] = "current"
    """Encode the picture by the VAE in use, or by each one itself."""


class Rescue(Request):
    """A picture that is to be decoded again."""

    infotext: pydantic.StrictStr | None = None
    """Of one of the last pictures; null: the newest."""


class SendPicture(Request):
    """A picture for a ranking."""

    batch: pydantic.StrictStr
    """Any text: a picture with another one begins anew."""
    name: pydantic.StrictStr
    picture: pydantic.StrictStr
    """A PNG, JPEG or WEBP in base64."""


class Best(Request):
    """A ranking of VAEs."""

    vaes: list[pydantic.StrictStr]
    """Names of two files or more that the WebUI lists; `None` is the checkpoint's own."""
    batch: pydantic.StrictStr | None = None
    """The batch of pictures that were sent; null: the last generated pictures."""


def schema_of(model: type[pydantic.BaseModel]) -> dict[str, Any]:
    """Return the JSON schema of a model."""
    make = getattr(model, "model_json_schema", None) or model.schema
    schema: dict[str, Any] = make()
    return schema
