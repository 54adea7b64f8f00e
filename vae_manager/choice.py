"""Choice of a VAE by a person, and its resolution for a checkpoint. Pure: it touches no host and no file."""

from __future__ import annotations

import bisect
import enum
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Choice:
    """A person's choice: Automatic, Built-in (the checkpoint's own), or a VAE file by name.

    `word` is the WebUI's own word for it, the value of its setting `sd_vae`.
    """

    word: str

    @property
    def is_automatic(self) -> bool:
        """True if the WebUI's rules and the default of the family choose for each checkpoint."""
        return self.word in ("Automatic", "auto")  # "auto" is in old config files

    @property
    def is_builtin(self) -> bool:
        """True if the checkpoint's own VAE is wanted: the WebUI's word for it is the text `None`."""
        return self.word == "None"

    @property
    def file_name(self) -> str | None:
        """The base name of the chosen file; None for Automatic and Built-in."""
        return None if self.is_automatic or self.is_builtin else self.word


AUTOMATIC = Choice("Automatic")
BUILTIN = Choice("None")


class Rule(enum.Enum):
    """The reason why a VAE is the one in use. The order is that of precedence."""

    VAE_PATH = "vae-path"
    SETTING = "setting"
    CARD = "card"
    NEAR_NAME = "near-name"
    FAMILY = "family"
    """The person's default for the checkpoint's family."""
    NOTHING_NEARER = "nothing-nearer"
    """Automatic found no file for this checkpoint: its own VAE."""
    MISSING = "missing"
    """The chosen file is missing: the checkpoint's own VAE until it is back."""
    FAMILY_MISSING = "family-missing"
    """The same for the default of the family."""


@dataclass(frozen=True)
class ResolutionContext:
    """The input of the rules."""

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
    """The checkpoint card's "Preferred VAE", in the WebUI's words; None without one."""
    near_names: bool = True
    """A file whose name begins with the checkpoint's is taken for it."""
    family_default: str | None = None
    """Name of the VAE file that is the default for the checkpoint's family; None if no default is set."""


@dataclass(frozen=True)
class Resolution:
    """The VAE file that a checkpoint resolves to (None: its own), and the rule."""

    path: str | None
    rule: Rule
    missing: str | None = None
    """The name of the chosen file, or of the family's default, if it is missing."""
    preferred: str | None = None
    """The preference of the checkpoint's card, in the WebUI's words, used or not; None without a preference."""
    overrides: str | None = None
    """The same, if the choice precedes it and is another VAE."""


def resolve(situation: ResolutionContext) -> Resolution:
    """Apply the WebUI's rules (modules/sd_vae.py resolve_vae, v1.6 to v1.10.1) and return the result with its rule.

    The default for a family is the project's own: without one, the rules are exactly the WebUI's.
    """
    found = _resolve(situation)
    if situation.card_preference in (None, "", AUTOMATIC.word):
        return found
    wish = _from_card(situation)
    overridden = wish is not None and found.rule in (Rule.SETTING, Rule.MISSING) and wish.path != found.path
    preferred = situation.card_preference
    return replace(found, preferred=preferred, overrides=preferred if overridden else None)


def _resolve(situation: ResolutionContext) -> Resolution:
    if situation.vae_path is not None:
        return Resolution(situation.vae_path, Rule.VAE_PATH)
    if situation.setting_overrides_card and not situation.choice.is_automatic:
        return _from_setting(situation)
    return _from_card(situation) or _near_checkpoint(situation) or _from_setting(situation)


def _from_setting(situation: ResolutionContext) -> Resolution:
    name = situation.choice.file_name
    if situation.choice.is_builtin:
        return Resolution(None, Rule.SETTING)
    if name is None:
        return _from_family(situation)
    if name not in situation.files:
        return Resolution(None, Rule.MISSING, missing=name)
    return Resolution(situation.files[name], Rule.SETTING)


def _from_family(situation: ResolutionContext) -> Resolution:
    default = situation.family_default
    if default is None:
        return Resolution(None, Rule.NOTHING_NEARER)
    if default not in situation.files:
        return Resolution(None, Rule.FAMILY_MISSING, missing=default)
    return Resolution(situation.files[default], Rule.FAMILY)


def _from_card(situation: ResolutionContext) -> Resolution | None:
    preference = situation.card_preference
    if preference is None or preference == AUTOMATIC.word:
        return None
    if preference == BUILTIN.word:
        return Resolution(None, Rule.CARD)
    path = situation.files.get(preference)
    return Resolution(path, Rule.CARD) if path is not None else None


def _near_checkpoint(situation: ResolutionContext) -> Resolution | None:
    if not situation.near_names:
        return None
    stem = stem_of(situation.checkpoint_file)
    for name, path in situation.files.items():
        if name.startswith(stem):
            return Resolution(path, Rule.NEAR_NAME)
    return None


def stem_of(checkpoint_file: str) -> str:
    """Return the beginning of a VAE file's name that Automatic looks for."""
    base_name = checkpoint_file.replace("\\", "/").rsplit("/", 1)[-1]
    return base_name.rsplit(".", 1)[0]


@dataclass(frozen=True)
class PrefixMatch:
    """A VAE file that Automatic takes for a checkpoint, although its name is longer than the checkpoint's."""

    file: str
    stem: str
    """The checkpoint's file name without its suffix."""


def prefix_matches(file_names: Iterable[str], checkpoint_stems: Iterable[str]) -> Sequence[PrefixMatch]:
    """Return the files that Automatic takes only by the beginning of their names.

    A checkpoint `sd` gets the first file `sd…`. `file_names` are in the WebUI's order. A file called `sd.safetensors`
    or `sd.vae.safetensors` belongs to `sd`; if it comes first, no other file matches.
    """
    order = sorted((name, place) for place, name in enumerate(file_names))
    names = [name for name, _ in order]
    caught = []
    for stem in sorted(set(checkpoint_stems)):
        taken = min(_starting_with(stem, order, bisect.bisect_left(names, stem)), default=None)
        if taken is not None and not _is_meant_for(stem, taken[1]):
            caught.append(PrefixMatch(taken[1], stem))
    return caught


def _starting_with(stem: str, order: Sequence[tuple[str, int]], first: int) -> Iterator[tuple[int, str]]:
    """Yield place and name of each match: in the order of names they are adjacent."""
    for number in range(first, len(order)):
        name, place = order[number]
        if not name.startswith(stem):
            return
        yield place, name


def _is_meant_for(stem: str, name: str) -> bool:
    return name.removeprefix(stem).rpartition(".")[0] in ("", ".vae")
