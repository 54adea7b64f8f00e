"""What can be chosen, as plain data: one option for each line of the dropdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ...catalogue import Entry
from ...choice import AUTOMATIC, BUILTIN, Choice, Resolution
from ...jobs import JobState, JobView
from ...library import VaeFile
from ...sentences import Sentence, say
from ...service import Service
from ...upkeep import Known
from ..hosts.acts import InUse
from .fitting import family_label, for_this_host
from .memo import Memo

if TYPE_CHECKING:
    from ..hosts.host import Host

CHOICE_KEY: Final = "choice "
"""Before the WebUI's word, in the key of a job that makes it the choice."""


@dataclass(frozen=True)
class Option:
    """One line of the dropdown."""

    word: str
    """The WebUI's word."""
    file: VaeFile | None = None
    entry: Entry | None = None
    known: Known | None = None
    """What the file is, once it has been looked at."""
    missing: bool = False

    @property
    def family(self) -> str | None:
        """For certain: the person's own word, else what its bytes or weights are known as."""
        if self.known is not None and self.known.family_sure:
            return self.known.family
        return self.entry.family if self.entry is not None else None


def read_options(
    host: Host, service: Service, files: Sequence[VaeFile], choice: Choice, memo: Memo | None = None
) -> Sequence[Option]:
    """The lines of the dropdown, in the WebUI's order."""
    known, listed = service.upkeep.known(files), dict(host.files())
    return (memo or Memo()).get(
        "options",
        (files, known),
        (listed, choice, host.loads_any_layout, service.hashes.revision),
        lambda: _options(host, service, files, choice),
    )


def _options(host: Host, service: Service, files: Sequence[VaeFile], choice: Choice) -> Sequence[Option]:
    by_path = {str(file.path): file for file in files}
    options = [Option(AUTOMATIC.word), Option(BUILTIN.word)]
    known = service.upkeep.known(files)
    for name, path in host.files().items():
        told = for_this_host(host, known.get(Path(path)))
        entry = told.entry if told is not None else service.recognise(path)
        options.append(Option(name, by_path.get(path), entry, told))
    if choice.file_name is not None and choice.file_name not in host.files():
        options.append(Option(choice.file_name, missing=True))
    return options


def option_of(options: Sequence[Option], word: str) -> Option | None:
    return next((option for option in options if option.word == word), None)


def misfit(ours: str | None, option: Option | None) -> Sentence | None:
    """Why a choice is hardly meant for a checkpoint of the family `ours`, where that can be told: it is asked first."""
    names = _two_families(ours, option)
    if names is None:
        return None
    return say(
        "{vae} was made for {theirs}, this checkpoint is {ours}: pictures would be noise. Nothing was changed.", **names
    )


def misfit_in_tab(ours: str | None, option: Option | None) -> Sentence | None:
    """As `misfit`, for what a tab has chosen for itself."""
    names = _two_families(ours, option)
    if names is None:
        return None
    return say("{vae} was made for {theirs}, this checkpoint is {ours}: this tab's pictures will be noise.", **names)


def _two_families(ours: str | None, option: Option | None) -> Mapping[str, str] | None:
    theirs = option.family if option is not None else None
    if option is None or theirs is None or ours is None or theirs == ours:
        return None
    name = option.entry.name if option.entry is not None else option.word
    return {"vae": name, "theirs": family_label(theirs), "ours": family_label(ours)}


def stuck_at(
    options: Sequence[Option], choosing: JobView | None, in_use: InUse, resolution: Resolution
) -> Option | None:
    """What the newest choice came to, else what the setting means."""
    if choosing is not None and choosing.state is JobState.FAILED:
        option = option_of(options, choosing.key.removeprefix(CHOICE_KEY))
    elif resolution.path is not None and resolution.path != in_use.path:
        option = option_of(options, Path(resolution.path).name)
    else:
        return None
    return option if option is not None and option.known is not None and option.known.convertible else None
