"""What can be chosen, as plain data: one option for each line of the dropdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ...catalogue import Entry
from ...choice import AUTOMATIC, BUILTIN, Choice, Resolution
from ...jobs import JobState, JobView
from ...library import VaeFile
from ...records.verdict import AskFirst
from ...sentences import Sentence, say
from ...service import Service
from ..hosts.acts import InUse
from .fitting import judge, needs_conversion
from .memo import Memo

if TYPE_CHECKING:
    from ...files import FileRecord
    from ...records.verdict import Verdict
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
    record: FileRecord | None = None
    """All that is known of the file; None until it has been looked at."""
    answer: Verdict | None = None
    """What the WebUI can do with it."""
    missing: bool = False

    @property
    def family(self) -> str | None:
        """For certain: the person's own word, else what its bytes or weights are known as."""
        if self.record is not None and self.record.family.sure:
            return self.record.family.family
        return self.entry.family if self.entry is not None else None


def read_options(
    host: Host, service: Service, files: Sequence[VaeFile], choice: Choice, memo: Memo | None = None
) -> Sequence[Option]:
    """Return the lines of the dropdown: Automatic, Built-in, then the files by name."""
    records, listed = service.upkeep.records(files), dict(host.files())
    return (memo or Memo()).get(
        "options",
        (files, records),
        (listed, choice, host.capability, host.signature(), service.hashes.revision),
        lambda: _options(host, service, files, choice),
    )


def _options(host: Host, service: Service, files: Sequence[VaeFile], choice: Choice) -> Sequence[Option]:
    by_path = {str(file.path): file for file in files}
    options = [Option(AUTOMATIC.word), Option(BUILTIN.word)]
    records = service.upkeep.records(files)
    for name, path in sorted(host.files().items(), key=lambda item: item[0].casefold()):
        record = records.get(Path(path))
        entry = record.entry if record is not None else service.recognise(path)
        options.append(Option(name, by_path.get(path), entry, record, judge(host, record)))
    if choice.file_name is not None and choice.file_name not in host.files():
        options.append(Option(choice.file_name, missing=True))
    return options


def option_of(options: Sequence[Option], word: str) -> Option | None:
    return next((option for option in options if option.word == word), None)


def question_of(option: Option | None) -> Sentence | None:
    """Return the question that is asked before the choice is made; None if there is none."""
    if option is None or not isinstance(option.answer, AskFirst):
        return None
    return say("{reason} Nothing was changed.", reason=option.answer.reason.sentence)


def warning_in_tab(option: Option | None) -> Sentence | None:
    """Return the warning for what a tab has chosen for itself."""
    return option.answer.reason.sentence if option is not None and isinstance(option.answer, AskFirst) else None


def stuck_at(
    options: Sequence[Option], choosing: JobView | None, in_use: InUse, resolution: Resolution
) -> Option | None:
    """What the newest choice came to, else what was refused, else what the setting means."""
    if choosing is not None and choosing.state is JobState.FAILED:
        option = option_of(options, choosing.key.removeprefix(CHOICE_KEY))
    elif in_use.refusal is not None:
        option = option_of(options, Path(in_use.refusal.path).name)
    elif resolution.path is not None and resolution.path != in_use.path:
        option = option_of(options, Path(resolution.path).name)
    else:
        return None
    return option if option is not None and needs_conversion(option.answer) else None
