"""The choices of the dropdown: which there are, in which order, with which reason against them."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ...catalogue import Entry
from ...choice import AUTOMATIC, BUILTIN, Choice, Resolution
from ...errors import RefusedError
from ...jobs import JobContext, JobState, JobView
from ...library import VaeFile, scan
from ...messages import Message, msg
from ...records.verdict import AskFirst, Refused, Usable, UsableAfter, Verdict, family_label, obstacle_of, verdict
from ...service import Service
from ..hosts.host_values import InUse, Permission

if TYPE_CHECKING:
    from ...files import FileRecord
    from ...records.verdict import Verdict
    from ..hosts.host import Host

__all__ = ["LOOK_ALIKE", "can_convert", "can_use", "family_label", "judge", "needs_conversion", "sorts_last"]


LOOK_ALIKE: Final = ("sd1", "sdxl")
"""Families of four latent channels and the same shapes: a file's header cannot tell them apart."""

Value = TypeVar("Value")

_Basis = tuple[tuple[object, ...], tuple[object, ...]]


class Memo:
    """One value a name. All methods may be called from any thread; two that miss at once both make the value."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[_Basis, Any]] = {}

    def get(self, name: str, same: tuple[object, ...], equal: tuple[object, ...], make: Callable[[], Value]) -> Value:
        """Return what was made last under `name`, or make it.

        Args:
            same: Inputs that may be long: taken for unchanged only if they are the same object.
            equal: Further inputs: short, or quick to compare. An object that others may change must be copied.
        """
        kept = self._kept.get(name)
        if kept is not None:
            (then_same, then_equal), value = kept
            if len(same) == len(then_same) and all(map(operator.is_, same, then_same)) and equal == then_equal:
                known: Value = value
                return known
        made = make()
        self._kept[name] = (same, equal), made
        return made


def judge(host: Host, record: FileRecord | None) -> Verdict | None:
    """Return what the WebUI, with its checkpoint, can do with a file; None for one that was not looked at yet."""
    return verdict(record, host.capability, host.signature()) if record is not None else None


def can_use(answer: Verdict | None) -> bool:
    """The file can be put in as it is, perhaps after a question."""
    return not isinstance(answer, Refused | UsableAfter) and not needs_conversion(answer)


def can_convert(answer: Verdict | None) -> bool:
    """A conversion makes a file of it that can be used."""
    return needs_conversion(answer)


def needs_conversion(answer: Verdict | None) -> bool:
    """The file has to be converted before it can be used."""
    return answer is not None and obstacle_of(answer) is not None


def sorts_last(answer: Verdict | None) -> bool:
    """The file stands at the end of a list to choose from."""
    return answer is not None and not isinstance(answer, Usable)


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
    records, listed = service.maintenance.records(files), dict(host.files())
    return (memo or Memo()).get(
        "options",
        (files, records),
        (listed, choice, host.capability, host.signature(), service.stores.hashes.revision),
        lambda: _options(host, service, files, choice),
    )


def _options(host: Host, service: Service, files: Sequence[VaeFile], choice: Choice) -> Sequence[Option]:
    by_path = {str(file.path): file for file in files}
    options = [Option(AUTOMATIC.word), Option(BUILTIN.word)]
    records = service.maintenance.records(files)
    for name, path in sorted(host.files().items(), key=lambda item: item[0].casefold()):
        record = records.get(Path(path))
        entry = record.entry if record is not None else service.recognise(path)
        options.append(Option(name, by_path.get(path), entry, record, judge(host, record)))
    if choice.file_name is not None and choice.file_name not in host.files():
        options.append(Option(choice.file_name, missing=True))
    return options


def option_of(options: Sequence[Option], word: str) -> Option | None:
    return next((option for option in options if option.word == word), None)


def question_of(option: Option | None) -> Message | None:
    """Return the question that is asked before the choice is made; None if there is none."""
    if option is None or not isinstance(option.answer, AskFirst):
        return None
    return msg("{reason} Nothing was changed.", reason=option.answer.reason.message)


def warning_in_tab(option: Option | None) -> Message | None:
    """Return the warning for what a tab has chosen for itself."""
    return option.answer.reason.message if option is not None and isinstance(option.answer, AskFirst) else None


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


def allow(host: Host, act: Permission) -> None:
    """Raises RefusedError where the WebUI does not allow `act`."""
    refusal = host.refusal(act)
    if refusal is not None:
        raise RefusedError(refusal)


def is_listed(host: Host, path: Path) -> None:
    """The WebUI keeps one file a base name: choosing the name could mean another file than the one that was proven."""
    listed = host.files().get(path.name)
    if listed is not None and not Path(listed).samefile(path):
        raise RefusedError(
            msg(
                "{file} is there twice under one name, and the WebUI lists the other one: {path}. Rename one of them.",
                file=path.name,
                path=listed,
            )
        )


def choose(host: Host, service: Service, choice: Choice, *, sure: bool = False) -> None:
    """Make `choice` the WebUI's. Waits, in the background, for a running generation; the newest choice wins.

    A VAE known or guessed to be made for another family is used only if the person is `sure`, or was so before.
    """
    allow(host, Permission.CHOOSE)

    ours = {host.choice().word}
    for view in service.choices.views():
        if not view.state.ended:
            ours.add(view.key.removeprefix(CHOICE_KEY))  # may still be written, by an earlier choice of the page

    def work(handle: JobContext) -> None:
        def still_wanted() -> bool:
            """Not when a newer choice was made meanwhile: here, or by the WebUI's own settings or API."""
            return not handle.stop.is_set() and host.choice().word in ours

        doubt = _doubt(host, service, choice)
        question = (choice.word, str(doubt))
        if doubt is not None and sure:
            service.confirmed.add(question)
        if doubt is not None and question not in service.confirmed:
            raise RefusedError(doubt)
        host.choose(choice, still_wanted)

    for view in service.choices.views():
        service.choices.stop(view.key)
        service.choices.forget(view.key)
    _start(host, service, choice.word, work)


def _start(host: Host, service: Service, word: str, work: Callable[[JobContext], None]) -> None:
    def noting(handle: JobContext) -> None:
        try:
            work(handle)
        except Exception:
            service.choice_at_refusal = _state_of_choice(host)
            raise

    service.choices.start(CHOICE_KEY + word, word, noting)


def newest_choice(host: Host, service: Service) -> JobView | None:
    """The newest change of the choice; one that has failed is forgotten once another choice was made elsewhere, even
    one that was refused."""
    newest = next(reversed(service.choices.views()), None)
    if newest is None or newest.state is not JobState.FAILED or _state_of_choice(host) == service.choice_at_refusal:
        return newest
    service.choices.forget(newest.key)
    return None


def _state_of_choice(host: Host) -> tuple[str, int | None]:
    """The setting, and the serial of the VAE that it has asked for in vain."""
    refusal = host.in_use().refusal
    return host.choice().word, refusal.serial if refusal is not None else None


def dismiss(host: Host, service: Service, key: str) -> None:
    """Forget the change of the choice that failed, and what the host says of the same failure."""
    failed, refusal = service.choices.view(key), host.in_use().refusal
    if failed is not None and refusal is not None and failed.error == refusal.message:
        service.dismissed_refusal = refusal.serial
    service.choices.forget(key)


def _doubt(host: Host, service: Service, choice: Choice) -> Message | None:
    return question_of(option_after_look(host, service, choice))


def option_after_look(host: Host, service: Service, choice: Choice) -> Option | None:
    """Return the option of a choice whose file has been looked at, however busy the machine is."""
    files = scan(host.folders())
    path = host.files().get(choice.word)
    for file in files:
        if str(file.path) == path:
            service.maintenance.inspect_file(file)
    service.maintenance.inspect(files, timeout=0)
    return option_of(read_options(host, service, files, choice), choice.word)


def prefer(host: Host, service: Service, checkpoint: str, choice: Choice) -> None:
    """Keep `choice` on the card of the checkpoint that the person saw, and use what now results."""
    allow(host, Permission.PREFER)
    host.prefer(checkpoint, choice)
    follow(host, service)


def follow(host: Host, service: Service) -> None:
    """Put into the model what the choice means now, if it is another VAE: in the background, after what waits there."""
    if host.resolution().path == host.in_use().path:
        return
    waiting = [view.key.removeprefix(CHOICE_KEY) for view in service.choices.views() if not view.state.ended]
    word = waiting[-1] if waiting else host.choice().word  # what the dropdown shows stays what it shows
    _start(host, service, word, lambda handle: host.follow_setting())
