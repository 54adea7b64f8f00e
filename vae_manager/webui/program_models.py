"""Requests and answers of the API for programs, as models of pydantic: version 1 (A1111, reForge) and 2 (Forge, Neo).

The WebUI's page `/docs` shows them. Sentences are English; a `code` stays the same when its sentence is reworded.
"""

from __future__ import annotations

from typing import Any

import pydantic

__all__ = [
    "CatalogueEntry",
    "Choose",
    "Download",
    "Failure",
    "Get",
    "JobRequest",
    "Request",
    "Status",
    "Vae",
    "schema_of",
]

IS_PYDANTIC_2 = pydantic.VERSION.partition(".")[0] != "1"


class Request(pydantic.BaseModel):
    """A body, in which a field that does not exist is an error: it may be one that was misspelled."""

    if IS_PYDANTIC_2:
        model_config: Any = {"extra": "forbid"}
    else:

        class Config:
            """Its setting in pydantic 1."""

            extra = "forbid"


class Failure(pydantic.BaseModel):
    """Why a request failed."""

    error: str
    """A sentence."""
    code: str


class Status(pydantic.BaseModel):
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


class Vae(pydantic.BaseModel):
    """One VAE file that the WebUI lists."""

    name: str
    path: str | None
    size: int
    """Bytes."""
    layout: str
    family: str | None
    dtype: str | None
    sha256: str | None
    entry: str | None
    verdict: str
    """`usable`, `usable-after` (a conversion), `ask-first`, `refused`, or `unknown` while it was not read yet."""
    reason: Failure | None
    """Why it is not usable at once."""
    is_in_use: bool


class CatalogueEntry(pydantic.BaseModel):
    """One published VAE."""

    id: str
    name: str
    family: str
    file_name: str
    sha256: str
    size: int | None
    licence: str | None
    is_offered: bool
    """It can be downloaded, by its licence and for a WebUI like this one."""
    here: str | None
    """Name of the file with exactly these bytes."""


class Download(pydantic.BaseModel):
    """A download of this process, or one that has ended."""

    key: str
    name: str
    state: str
    """`waiting`, `running`, `paused`, `done`, `failed` or `stopped`."""
    done: int
    """Bytes."""
    total: int | None
    speed: float | None
    """Bytes a second."""
    failure: Failure | None


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
    """The key of a download."""

    key: pydantic.StrictStr


def schema_of(model: type[pydantic.BaseModel]) -> dict[str, Any]:
    """Return the JSON schema of a model."""
    make = getattr(model, "model_json_schema", None) or model.schema
    schema: dict[str, Any] = make()
    return schema
