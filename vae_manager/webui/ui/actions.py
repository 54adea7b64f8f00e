"""Actions that the page can ask for, one class each, and the dispatcher that passes each to its handler.

The browser sends an action as a JSON object: its name under `do`, and its fields. A view makes the same object from the
same class, so that a misspelt field is an error of the type checker.

    button ──JSON──▶ gradio event ──▶ parse_action ──▶ DISPATCHER.dispatch ──▶ handler(host, service, action)
"""

from __future__ import annotations

import re
import typing
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, TypeVar

from ...errors import UsageError
from ...files.state_file import parse_json
from ...messages import msg

if TYPE_CHECKING:
    from ...service import Service
    from ..hosts.host import Host


@dataclass(frozen=True)
class Action:
    """Base of all actions."""

    wire_name: ClassVar[str]
    """Name of the class in kebab case."""
    by_name: ClassVar[dict[str, type[Action]]] = {}

    def __init_subclass__(cls) -> None:
        cls.wire_name = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", cls.__name__).lower()
        Action.by_name[cls.wire_name] = cls

    def as_dict(self, **beside: object) -> dict[str, object]:
        """Return the object that a button sends; `beside` is for the browser alone."""
        return {"do": self.wire_name, **asdict(self), **beside}

    @classmethod
    def form(cls, **known: object) -> dict[str, object]:
        """Return the object that a form sends, without the fields that the form's inputs hold.

        Raises:
            ValueError: A name in `known` is not a field.
        """
        unknown = known.keys() - {field.name for field in fields(cls)}
        if unknown:
            raise ValueError(f"{cls.__name__} has no field {', '.join(sorted(unknown))}")
        return {"do": cls.wire_name, **known}


# -- choice --------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Choose(Action):
    """Choose a VAE by the WebUI's word for it."""

    word: str


@dataclass(frozen=True)
class ChooseAnyway(Action):
    """Choose a VAE that was asked about."""

    choice: str


@dataclass(frozen=True)
class Prefer(Action):
    """Keep a choice on the card of the checkpoint that the user saw."""

    checkpoint: str
    word: str


@dataclass(frozen=True)
class Dismiss(Action):
    """Hide the failure of a choice."""

    job: str


@dataclass(frozen=True)
class DismissRefusal(Action):
    """Hide a refusal of the host."""

    serial: int


@dataclass(frozen=True)
class DismissPicture(Action):
    """Hide the notice about a pasted picture."""


# -- downloads -----------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Get(Action):
    """Download an entry of the catalogue; `accept` accepts its licence, `use` chooses it afterwards."""

    entry: str
    use: bool
    accept: bool


@dataclass(frozen=True)
class GetNeeds(Action):
    """Download the missing components of the checkpoint, and use all of them; `accept` accepts their licences."""

    accept: bool


@dataclass(frozen=True)
class GetFrom(Action):
    """Download from an address that the user typed.

    An empty `name` means the proposed one; `anyway` downloads a file that is no VAE too.
    """

    address: str
    name: str
    anyway: bool


@dataclass(frozen=True)
class Continue(Action):
    """Continue a download that an earlier process left unfinished."""

    job: str


@dataclass(frozen=True)
class Discard(Action):
    """Delete the partial file of such a download."""

    job: str


@dataclass(frozen=True)
class Pause(Action):
    """Pause a download."""

    job: str


@dataclass(frozen=True)
class Resume(Action):
    """Resume a paused download."""

    job: str


@dataclass(frozen=True)
class Cancel(Action):
    """Cancel a download."""

    job: str


@dataclass(frozen=True)
class Retry(Action):
    """Start a failed download again."""

    job: str


@dataclass(frozen=True)
class Forget(Action):
    """Remove an ended download from the list."""

    job: str


@dataclass(frozen=True)
class Move(Action):
    """Move a waiting download in the queue; `step` is a value of `jobs.Step`."""

    job: str
    step: str


@dataclass(frozen=True)
class SaveKey(Action):
    """Save the API key of Civitai."""

    key: str


@dataclass(frozen=True)
class RemoveKey(Action):
    """Delete the API key of Civitai."""


# -- settings ------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class QuickSettings(Action):
    """Show the VAE in the quick settings, or stop showing it."""

    on: bool


@dataclass(frozen=True)
class Reload(Action):
    """Reload the UI of the WebUI."""


@dataclass(frozen=True)
class ForgetDamage(Action):
    """Hide the notices about damaged state files."""


# -- library -------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class UseFile(Action):
    """Choose a file of the library by its key."""

    file: str


@dataclass(frozen=True)
class ConvertFile(Action):
    """Convert a file into a second file; `use` chooses that afterwards."""

    file: str
    use: bool


@dataclass(frozen=True)
class RenameFile(Action):
    """Rename a file."""

    file: str
    name: str


@dataclass(frozen=True)
class MoveFile(Action):
    """Move a file to another VAE folder; `folder` is its number, since a message names no path."""

    file: str
    folder: str


@dataclass(frozen=True)
class DeleteFile(Action):
    """Put a file into the trash."""

    file: str


@dataclass(frozen=True)
class RestoreFile(Action):
    """Restore an entry of the trash; an empty `name` restores the old one."""

    entry: str
    name: str


@dataclass(frozen=True)
class EmptyTrash(Action):
    """Delete the files in the trash for good; asks first unless `sure`."""

    sure: bool


@dataclass(frozen=True)
class AdoptFile(Action):
    """Import a local file."""

    path: str
    how: Literal["copy", "move", "link"]
    folder: str


@dataclass(frozen=True)
class VerifyFile(Action):
    """Verify a file."""

    file: str


@dataclass(frozen=True)
class KeepFile(Action):
    """Make the present bytes of a changed file those that it is compared with."""

    file: str


@dataclass(frozen=True)
class VerifyAll(Action):
    """Verify all files."""


@dataclass(frozen=True)
class FindDuplicates(Action):
    """Search for files with equal weights."""


@dataclass(frozen=True)
class RefreshFiles(Action):
    """Read the VAE folders again."""


@dataclass(frozen=True)
class SetFamily(Action):
    """Set the family of a file; empty clears it."""

    file: str
    family: str


@dataclass(frozen=True)
class TryFile(Action):
    """Test a file's latent space with the loaded checkpoint."""

    file: str


@dataclass(frozen=True)
class StopWork(Action):
    """Stop a job of the library."""

    job: str


@dataclass(frozen=True)
class ForgetWork(Action):
    """Remove an ended job of the library from the list."""

    job: str


@dataclass(frozen=True)
class ForgetTold(Action):
    """Hide the notice of the library."""


# -- comparison ----------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Compare(Action):
    """Compare a recent picture with the chosen VAEs."""

    kept: str
    vaes: list[str]


@dataclass(frozen=True)
class Rescue(Action):
    """Decode a recent picture again, with more precision or by another VAE, until one gives a picture."""

    kept: str


@dataclass(frozen=True)
class CompareShown(Action):
    """Compare the picture that a tab shows, found by its infotext; `size` is [width, height] as shown.

    An empty `vaes` means the VAEs that the page proposes.
    """

    tab: str
    infotext: str
    size: list[int]
    vaes: list[str]


@dataclass(frozen=True)
class CompareOwn(Action):
    """Compare an image of the user's own, which the event brings beside; `each` encodes it with each VAE."""

    vaes: list[str]
    each: bool


@dataclass(frozen=True)
class StopComparison(Action):
    """Stop a comparison."""

    id: str


@dataclass(frozen=True)
class SaveComparison(Action):
    """Save the pictures of a comparison and its sheet."""

    id: str


@dataclass(frozen=True)
class FindBest(Action):
    """Rank VAEs by the pictures of a source; `folder` is a folder of the WebUI's machine, else empty."""

    source: Literal["recent", "dropped", "folder"]
    folder: str
    vaes: list[str]


@dataclass(frozen=True)
class StopTrial(Action):
    """Stop such a ranking."""

    id: str


@dataclass(frozen=True)
class ForgetTrial(Action):
    """Hide the result of the last one."""


# -- dispatch ------------------------------------------------------------------------------------------------------
A = TypeVar("A", bound=Action)
Handler = Callable[["Host", "Service", A], object]


def parse_action(text: str) -> Action:
    """Return the action that a browser sent: a JSON object with its name under `do`.

    Raises:
        UsageError: The text is no action of this version, so the page is out of date.
    """
    try:
        data = parse_json(text.encode("utf-8", "surrogatepass"))
        action = Action.by_name[data["do"]]
        return action(**{name: _checked(data[name], kind) for name, kind in _types(action).items()})
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UsageError(msg("The page is out of date. Reload it.")) from None


def _types(action: type[Action]) -> dict[str, Any]:
    hints = typing.get_type_hints(action)
    return {field.name: hints[field.name] for field in fields(action)}


def _checked(value: Any, kind: Any) -> Any:
    """Return `value` if it has exactly this type, and each item of a list too. Raises TypeError."""
    whole, items = typing.get_origin(kind) or kind, typing.get_args(kind)
    if whole is Literal:
        if value not in items:
            raise TypeError(kind)
        return value
    if type(value) is not whole or (items and any(type(item) is not items[0] for item in value)):
        raise TypeError(kind)
    return value


class Dispatcher:
    """Handlers by the class of action."""

    def __init__(self) -> None:
        self._handlers: dict[type[Action], Callable[[Host, Service, Any], object]] = {}

    def handles(self, action: type[A]) -> Callable[[Handler[A]], Handler[A]]:
        """Register the decorated function as the one handler of a class of actions."""

        def register(handler: Handler[A]) -> Handler[A]:
            if action in self._handlers:
                raise ValueError(f"{action.__name__} has a handler already")
            self._handlers[action] = handler
            return handler

        return register

    def dispatch(self, host: Host, service: Service, action: Action) -> None:
        """Pass an action to its handler. Raises VaeManagerError, and KeyError for an action without a handler."""
        self._handlers[type(action)](host, service, action)


DISPATCHER: Final = Dispatcher()
handles: Final = DISPATCHER.handles
