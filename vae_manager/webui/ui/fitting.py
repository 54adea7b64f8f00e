"""Whether a VAE fits the loaded checkpoint, as far as that is known. Pure; it refuses nothing by itself."""

from __future__ import annotations

import enum
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ...catalogue import FAMILIES
from ...upkeep import Known

if TYPE_CHECKING:
    from ...files import Inspection
    from ..hosts.host import Host

LOOK_ALIKE: Final = ("sd1", "sdxl")
"""Families of four latent channels and the same shapes: a file's header cannot tell them apart."""


class Fit(enum.Enum):
    """From fine to hopeless."""

    SURE = "sure"
    """Made for the checkpoint's family."""
    UNTOLD = "untold"
    """Nothing speaks against it."""
    OTHER_FAMILY = "other family"
    """It can be loaded, and pictures would be noise."""
    CONVERTIBLE = "convertible"
    """The WebUI cannot load it as it is."""
    OTHER_SHAPES = "other shapes"
    """It can go into another kind of model only."""
    NO_VAE = "no VAE"
    """The WebUI can never load it."""

    @property
    def last(self) -> bool:
        """It stands at the end of a list to choose from."""
        return self not in (Fit.SURE, Fit.UNTOLD)


def fit_of(known: Known | None, family: str | None) -> Fit:
    """How what is `known` of a file goes with a checkpoint of `family`; None where either is not known."""
    if known is None:
        return Fit.UNTOLD
    facts = FAMILIES.get(family or "")
    channels = facts.latent_channels if facts is not None else None
    if not known.loadable and not known.convertible:
        return Fit.NO_VAE
    if None not in (channels, known.latent_channels) and channels != known.latent_channels:
        return Fit.OTHER_SHAPES
    if known.convertible:
        return Fit.CONVERTIBLE
    if known.family is None or family is None:
        return Fit.UNTOLD
    return Fit.SURE if known.family == family else Fit.OTHER_FAMILY


def needs_conversion(host: Host, file: Known | Inspection) -> bool:
    """Whether this WebUI could load the file's VAE after a conversion, and not before."""
    return file.convertible and not (host.loads_any_layout and file.layout != "checkpoint")


def for_this_host(host: Host, known: Known | None) -> Known | None:
    """What is `known` of a file, where the WebUI may load more than A1111's does."""
    if known is None or not known.convertible or needs_conversion(host, known):
        return known
    return replace(known, problems=(), loadable=True, convertible=False)


def family_label(family: str) -> str:
    """How people write a family: SD 1.x, SDXL, …"""
    facts = FAMILIES.get(family)
    return facts.label if facts is not None else family
