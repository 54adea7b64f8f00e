"""What a person may want to do with a host, and what a host says is in use: plain values."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...sentences import Sentence

if TYPE_CHECKING:
    from ...files import Identity


class Act(enum.Enum):
    """What a person may want to do; flags of the WebUI can forbid each."""

    CHOOSE = "choose"
    CHOOSE_FOR_TAB = "choose for tab"
    PREFER = "prefer"
    """Write the preference of a checkpoint into its card, a file beside it."""
    GET = "get"
    CHANGE_SOURCES = "change sources"
    """Set the endpoint, or fetch what the catalogue does not offer."""
    CHANGE_FILES = "change files"
    """Rename, move, delete or convert a file of the VAE folders."""
    ADOPT_FILES = "adopt files"
    """Take a file from anywhere on this machine into a VAE folder."""
    CHANGE_QUICK_SETTINGS = "change quick settings"
    RELOAD_PAGE = "reload page"
    MANAGE_DOWNLOADS = "manage downloads"
    """Pause, order, cancel, discard or continue a download."""
    ACCEPT_TERMS = "accept terms"
    """Accept the terms of a licence, for all who use this WebUI."""
    CHECK_FILES = "check files"
    """Verify files, look for duplicates, and stop such work."""


OWNERS = frozenset({Act.MANAGE_DOWNLOADS, Act.ACCEPT_TERMS, Act.CHECK_FILES})
"""Acts of the person at the WebUI's own machine. A shared WebUI refuses them to all others."""


@dataclass(frozen=True)
class InUse:
    """What is really in the loaded model: never what was asked for."""

    checkpoint: str | None
    """The loaded checkpoint's name; None while no model is loaded."""
    family: str | None
    """The checkpoint's family (`sd1`, `sdxl`, …), where the host tells."""
    path: str | None
    """The VAE file whose weights are in the model; None means the checkpoint's own."""
    dtype: str | None
    """`fp32`, `fp16`, `bf16`."""
    checkpoint_file: str | None = None
    """Where the loaded checkpoint lies."""
    decoded_by_taesd: bool = False
    """The WebUI is set to decode with TAESD: the chosen VAE does not decode at all."""
    overridden: bool = False
    """A picture is being made with a VAE of its own (this tab only, X/Y/Z, a request): the choice comes back after."""
    identity: Identity | None = None
    """The file that the weights were read from, as it was then; None where that is not known."""
    swap: Swap | None = None
    """The swap that brought it, where one has been made since the checkpoint was loaded."""
    coming: str | None = None
    """The checkpoint that the host loads with the next picture, while none is loaded."""
    notice: Sentence | None = None
    """What is worth knowing of the VAE in use, or of what the last picture asked for."""
    refusal: Refusal | None = None
    """The VAE that was asked for last and is not in use, until another choice is made or it goes in after all."""
    ignored: tuple[Ignored, ...] = ()
    """Files that are chosen beside the VAE and that the WebUI is not given."""


@dataclass(frozen=True)
class Refusal:
    """A VAE that was asked for by the setting, and the reason why it is not in use."""

    path: str
    sentence: Sentence
    serial: int
    """Another one for each time that somebody asks for it."""


@dataclass(frozen=True)
class Ignored:
    """A file that is chosen and not used, and the reason."""

    name: str
    sentence: Sentence


@dataclass(frozen=True)
class Swap:
    """How a VAE came into the model."""

    path: str | None
    seconds: float
    from_memory: bool
