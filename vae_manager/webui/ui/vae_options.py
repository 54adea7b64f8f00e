"""The options of the dropdown: their order, and the reasons against them."""

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
"""Families of four latent channels and the same shapes: a file's header cannot distinguish them."""

Value = TypeVar("Value")

_Basis = tuple[tuple[object, ...], tuple[object, ...]]


class Memo:
    """A cache of one value a name. All methods are thread-safe; two threads that miss at once both make the value."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[_Basis, Any]] = {}

    def get(self, name: str, same: tuple[object, ...], equal: tuple[object, ...], make: Callable[[], Value]) -> Value:
        """Return the last value of `name` if its inputs are unchanged, else make it.

        Args:
            name: Key of the value.
            same: Large inputs, unchanged only if they are the same objects.
            equal: Further inputs: small, or quick to compare. A mutable object must be copied.
            make: Function that makes the value.
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
    """Return the verdict of the WebUI with its checkpoint on a file; None for a file that has not been inspected."""
    return verdict(record, host.capability, host.signature()) if record is not None else None


def can_use(answer: Verdict | None) -> bool:
    """Return True if the file can be used as it is, perhaps after a question."""
    return not isinstance(answer, Refused | UsableAfter) and not needs_conversion(answer)


def can_convert(answer: Verdict | None) -> bool:
    """Return True if a conversion makes a usable file of it."""
    return needs_conversion(answer)


def needs_conversion(answer: Verdict | None) -> bool:
    """Return True if the file has to be converted before use."""
    return answer is not None and obstacle_of(answer) is not None


def sorts_last(answer: Verdict | None) -> bool:
    """Return True if the file belongs at the end of a list of options."""
    return answer is not None and not isinstance(answer, Usable)


CHOICE_KEY: Final = "choice "
"""Prefix, before the WebUI's word, of the key of a job that changes the choice."""


@dataclass(frozen=True)
class Option:
    """One line of the dropdown."""

    word: str
    """The WebUI's word."""
    file: VaeFile | None = None
    entry: Entry | None = None
    record: FileRecord | None = None
    """All known facts of the file; None until it has been inspected."""
    answer: Verdict | None = None
    """The verdict of the WebUI on the file."""
    missing: bool = False

    @property
    def family(self) -> str | None:
        """Return the certain family: set by the user, else that of the known bytes or weights."""
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
    """Return the question before this choice; None if the choice needs no question."""
    if option is None or not isinstance(option.answer, AskFirst):
        return None
    return msg("{reason} Nothing was changed.", reason=option.answer.reason.message)


def warning_in_tab(option: Option | None) -> Message | None:
    """Return the warning for a tab's own choice."""
    return option.answer.reason.message if option is not None and isinstance(option.answer, AskFirst) else None


def stuck_at(
    options: Sequence[Option], choosing: JobView | None, in_use: InUse, resolution: Resolution
) -> Option | None:
    """Return the option that needs a conversion: of the newest choice, else of the refusal, else of the setting."""
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
    """Check a permission.

    Raises:
        RefusedError: The WebUI does not allow `act`.
    """
    refusal = host.refusal(act)
    if refusal is not None:
        raise RefusedError(refusal)


def is_listed(host: Host, path: Path) -> None:
    """Check that the WebUI lists this file under its name.

    The WebUI keeps one file for each base name, so the name could mean another file than the verified one.
    """
    listed = host.files().get(path.name)
    if listed is not None and not Path(listed).samefile(path):
        raise RefusedError(
            msg(
                "{file} is there twice under one name, and the WebUI lists the other one: {path}. Rename one of them.",
                code="listed-twice",
                file=path.name,
                path=listed,
            )
        )


def choose(host: Host, service: Service, choice: Choice, *, sure: bool = False) -> None:
    """Make `choice` the WebUI's. Waits, in the background, for a running generation; the newest choice wins.

    A VAE that is known or guessed to be for another family is used only if the user is `sure`, or was so before.
    """
    allow(host, Permission.CHOOSE)

    ours = {host.choice().word}
    for view in service.choices.views():
        if not view.state.ended:
            ours.add(view.key.removeprefix(CHOICE_KEY))  # may still be written, by an earlier choice of the page

    def work(handle: JobContext) -> None:
        def still_wanted() -> bool:
            """Return False after a newer choice: here, or by the WebUI's own settings or API."""
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
    """Return the newest change of the choice.

    A failed one is forgotten after another choice elsewhere, even a refused one.
    """
    newest = next(reversed(service.choices.views()), None)
    if newest is None or newest.state is not JobState.FAILED or _state_of_choice(host) == service.choice_at_refusal:
        return newest
    service.choices.forget(newest.key)
    return None


def _state_of_choice(host: Host) -> tuple[str, int | None]:
    """Return the setting, and the serial of the VAE that it failed to put in."""
    refusal = host.in_use().refusal
    return host.choice().word, refusal.serial if refusal is not None else None


def dismiss(host: Host, service: Service, key: str) -> None:
    """Forget the failed change of the choice, and the host's refusal for the same reason."""
    failed, refusal = service.choices.view(key), host.in_use().refusal
    if failed is not None and refusal is not None and failed.error == refusal.message:
        service.dismissed_refusal = refusal.serial
    service.choices.forget(key)


def _doubt(host: Host, service: Service, choice: Choice) -> Message | None:
    return question_of(option_after_look(host, service, choice))


def option_after_look(host: Host, service: Service, choice: Choice) -> Option | None:
    """Return the option of a choice after an inspection of its file, however busy the machine is."""
    files = scan(host.folders())
    path = host.files().get(choice.word)
    for file in files:
        if str(file.path) == path:
            service.maintenance.inspect_file(file)
    service.maintenance.inspect(files, timeout=0)
    return option_of(read_options(host, service, files, choice), choice.word)


def prefer(host: Host, service: Service, checkpoint: str, choice: Choice) -> None:
    """Store `choice` in the card of the checkpoint that the user saw, and use the VAE that now results."""
    allow(host, Permission.PREFER)
    host.prefer(checkpoint, choice)
    follow(host, service)


def follow(host: Host, service: Service) -> None:
    """Apply the VAE that the choice now means, if it is another one: in the background, after the queued changes."""
    if host.resolution().path == host.in_use().path:
        return
    waiting = [view.key.removeprefix(CHOICE_KEY) for view in service.choices.views() if not view.state.ended]
    word = waiting[-1] if waiting else host.choice().word  # the dropdown keeps its value
    _start(host, service, word, lambda handle: host.follow_setting())
