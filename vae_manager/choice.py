"""Which VAE the person asked for, and which one that means for a checkpoint. Pure: no host, no file is touched."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Choice:
    """What the person asked for: Automatic, Built-in (the checkpoint's own), or a VAE file by name.

    `word` is the WebUI's own word for it, as it stands in its setting `sd_vae`.
    """

    word: str

    @property
    def is_automatic(self) -> bool:
        return self.word in ("Automatic", "auto")  # "auto" stands in old config files

    @property
    def is_builtin(self) -> bool:
        return self.word == "None"

    @property
    def file_name(self) -> str | None:
        """The base name of the chosen file; None for Automatic and Built-in."""
        return None if self.is_automatic or self.is_builtin else self.word


AUTOMATIC = Choice("Automatic")
BUILTIN = Choice("None")


class Rule(enum.Enum):
    """Why a VAE is the one in use. The order is that of precedence."""

    VAE_PATH = "vae-path"
    SETTING = "setting"
    CARD = "card"
    NEAR_NAME = "near-name"
    NOTHING_NEARER = "nothing-nearer"
    """Automatic found no file for this checkpoint: its own VAE."""
    MISSING = "missing"
    """The chosen file is not there: the checkpoint's own VAE until it is back."""


@dataclass(frozen=True)
class Situation:
    """What the rules look at."""

    choice: Choice
    checkpoint_file: str
    """The checkpoint's file name, with or without folders."""
    files: Mapping[str, str]
    """The WebUI's list: base name -> path, in its order."""
    vae_path: str | None = None
    """`--vae-path`."""
    setting_overrides_card: bool = True
    """The WebUI's option `sd_vae_overrides_per_model_preferences`."""
    card_preference: str | None = None
    """The checkpoint card's "Preferred VAE", in the WebUI's words; None where the card has none."""


@dataclass(frozen=True)
class Resolution:
    """Which VAE file a checkpoint ends up with (None: its own), and by which rule."""

    path: str | None
    rule: Rule
    missing: str | None = None
    """The chosen file's name, when it is not there."""


def resolve(situation: Situation) -> Resolution:
    """Apply the WebUI's rules (modules/sd_vae.py resolve_vae, v1.6 to v1.10.1) and name the one that won."""
    if situation.vae_path is not None:
        return Resolution(situation.vae_path, Rule.VAE_PATH)
    if situation.setting_overrides_card and not situation.choice.is_automatic:
        return _from_setting(situation)
    return _from_card(situation) or _near_checkpoint(situation) or _from_setting(situation)


def _from_setting(situation: Situation) -> Resolution:
    name = situation.choice.file_name
    if situation.choice.is_builtin:
        return Resolution(None, Rule.SETTING)
    if name is None:
        return Resolution(None, Rule.NOTHING_NEARER)
    if name not in situation.files:
        return Resolution(None, Rule.MISSING, missing=name)
    return Resolution(situation.files[name], Rule.SETTING)


def _from_card(situation: Situation) -> Resolution | None:
    preference = situation.card_preference
    if preference is None or preference == AUTOMATIC.word:
        return None
    if preference == BUILTIN.word:
        return Resolution(None, Rule.CARD)
    path = situation.files.get(preference)
    return Resolution(path, Rule.CARD) if path is not None else None


def _near_checkpoint(situation: Situation) -> Resolution | None:
    base_name = situation.checkpoint_file.replace("\\", "/").rsplit("/", 1)[-1]
    stem = base_name.rsplit(".", 1)[0]
    for name, path in situation.files.items():
        if name.startswith(stem):
            return Resolution(path, Rule.NEAR_NAME)
    return None
