"""HTML of the page, from the templates beside this module, and the components that the views share.

Each value in a template is escaped, a `Message` is translated, and misleading characters are replaced (`plain`);
templates contain no code for this. HTML has a type of its own, `Markup`, which this module alone makes.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Final, Literal, NamedTuple

from jinja2 import DictLoader, Environment, StrictUndefined, Template
from jinja2.ext import Extension
from jinja2.lexer import Token
from markupsafe import Markup, escape

from ...errors import RefusedError
from ...jobs import JobState, JobView, PendingCommand
from ...messages import Message, codes_of, megabytes, msg
from ..translation import Translator, plain
from .actions import Action

TEMPLATES: Final = Path(__file__).with_name("templates")
_TRANSLATE: ContextVar[Translator] = ContextVar("_TRANSLATE")
"""The language of the view that is being rendered. Macros imported from another template have globals alone."""


def render(template: str, view: str, translate: Translator, *arguments: object, **values: object) -> Markup:
    """Render one view: a macro of `template`."""
    before = _TRANSLATE.set(translate)
    try:
        macro = getattr(_template(template).module, view)
        html: Markup = macro(*arguments, **values)
        return html
    finally:
        _TRANSLATE.reset(before)


_PRIMARY: Final = ('class="vm-button vm-primary"', 'class="vm-button"')
"""The quotes belong to it: they are escaped in every value, so no file name contains it."""


def one_primary(*parts: Markup) -> list[Markup]:
    """Keep the first primary button and make the others plain, since several primary buttons give no guidance."""
    found, is_first = [], True
    for part in parts:
        before, primary, after = str(part).partition(_PRIMARY[0]) if is_first else ("", "", str(part))
        found.append(Markup(before + primary + after.replace(*_PRIMARY)))
        is_first = is_first and not primary
    return found


class _LineBreaks(Extension):
    """A filter that removes line breaks with their indentation: between buttons they would be visible as spaces.

    A line break between two attributes or two words becomes a space.
    """

    _AT_EDGE = re.compile(r"(?:\A|(?<=>))\s*\n\s*|\s*\n\s*(?=<|\Z)")
    _WITHIN = re.compile(r"\s*\n\s*")

    def filter_stream(self, stream: Iterable[Token]) -> Iterable[Token]:
        for token in stream:
            if token.type == "data":
                yield Token(token.lineno, "data", self._WITHIN.sub(" ", self._AT_EDGE.sub("", token.value)))
            else:
                yield token


def _shown(value: object) -> object:
    """Return a value of a template in the form that the page shows."""
    if type(value) is str:
        return value if value.isprintable() else plain(value)  # most are, and `plain` costs more
    if isinstance(value, Markup | int | float):
        return value
    return _TRANSLATE.get()(value) if isinstance(value, Message) else plain(str(value))


def _translated(text: str) -> str:
    """Translate a text of the catalogue."""
    return _TRANSLATE.get()(text)


def moment(seconds: float) -> str:
    """Format a time (seconds since 1970) in the server's time zone, to the minute."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def _words(action: Mapping[str, object]) -> str:
    return " ".join(map(str, action.values()))


def _coded(text: object) -> Markup:
    """Return the attribute with the codes of a message, for the element that shows it; empty without codes.

    Style sheets, scripts and tests thus find a message in each language.
    """
    codes = codes_of(text) if isinstance(text, Message) else ()
    return Markup(' data-vae-code="{}"').format(" ".join(codes)) if codes else Markup()


_BREAK: Final = re.compile(r"(?<=[._\-\s])(?=[^._\-\s])")


def _pieces(name: str) -> list[str]:
    """Split a file name after its separators, at which a line may break."""
    return _BREAK.split(plain(name))


_ENVIRONMENT: Final = Environment(
    # Read at once, as the modules are: an update on the disk changes neither before the next start.
    loader=DictLoader({path.name: path.read_text("utf-8") for path in TEMPLATES.glob("*.html")}),
    autoescape=True,
    undefined=StrictUndefined,
    finalize=_shown,
    extensions=[_LineBreaks],
    auto_reload=False,
)


def _form(name: str, **known: object) -> dict[str, object]:
    """Return what the form of an action sends beside its inputs."""
    return Action.by_name[name].form(**known)


_ENVIRONMENT.globals = {"form": _form, "msg": msg}
_ENVIRONMENT.filters |= {
    "coded": _coded,
    "exact": escape,  # unchanged, with misleading characters too: for values that the browser sends back
    "grouped": "{:,}".format,
    "json": json.dumps,
    "megabytes": megabytes,
    "moment": moment,
    "pieces": _pieces,
    "short": "{:g}".format,
    "translated": _translated,
    "words": _words,
}


def _template(name: str) -> Template:
    return _ENVIRONMENT.get_template(name)


INFO: Final = "fine"
WARNING: Final = "look"
ERROR: Final = "broken"
"""Three kinds of lines; each has a sign and a word beside its colour."""
PLAIN: Final = ""


class Button(NamedTuple):
    """A button that sends `action` to the server."""

    label: Message | str
    action: Mapping[str, object]
    key: str
    """Its name across updates of the page, so that it keeps the keyboard focus."""
    about: str = ""
    """A text for screen readers after the label, if the label alone is ambiguous."""
    primary: bool = False


class Line(NamedTuple):
    """A line of text with its buttons."""

    kind: str
    text: Message | str
    within: Sequence[Button] = ()
    beside: Sequence[Button] = ()
    dismissal: Mapping[str, object] | None = None
    """The action of the cross at the end of the line."""


class Progress(NamedTuple):
    """The bar of a job."""

    name: str | Message
    text: str | Message
    percent: float
    key: str = ""
    is_still: bool = False
    kind: Literal["progress"] = "progress"


class Question(RefusedError):
    """A refusal before any change: after a click on `label`, `action` does the work."""

    def __init__(self, message: Message, label: Message, action: dict[str, object]) -> None:
        super().__init__(message)
        self.label = label
        self.action = action


def question(asked: Question, translate: Translator) -> Markup:
    """Render a question, with the button that answers it."""
    return render("components.html", "question", translate, asked.message, Button(asked.label, asked.action, "answer"))


def answer(message: Message, translate: Translator, *, can_close: bool = False) -> Markup:
    """Render the reason why a click failed; screen readers read it when it appears."""
    return render("components.html", "answer", translate, message, can_close)


def use_here(file: str, **beside: object) -> dict[str, object]:
    """Return the message of a button that uses `file` in its tab alone, or sends `Choose`: the browser decides."""
    return {"do": "use", "file": file, **beside}


def progress_text(job: JobView, translate: Translator) -> str:
    """Return the progress of a download: its position, its phase, or amount, speed and time left."""
    return " · ".join(part if isinstance(part, str) else translate(part) for part in _parts(job, translate))


def _parts(job: JobView, translate: Translator) -> list[Message | str]:
    amount_done = _amount_done(job) if job.done else None
    if job.state is JobState.PAUSED:
        return [msg("Paused"), *([amount_done] if amount_done is not None else [])]
    if job.state is JobState.WAITING:
        if job.position is not None and job.position > 1:
            return [msg("Waiting: number {place} in the queue", code="waiting-in-queue", place=job.position)]
        return [msg("Waiting for its turn", code="waiting-for-turn")]
    if job.command is PendingCommand.STOP:
        return [msg("Cancelling …")]
    if job.command is PendingCommand.PAUSE:
        return [msg("Pausing …")]
    phases = {
        "resolving": msg("Looking for the file …", code="looking-for-file"),
        "retrying": msg("The line failed. Trying again …", code="trying-again"),
        "resuming": msg("Checking what is here already …", code="checking-kept"),
        "proving": msg("Checking every byte …", code="checking-bytes"),
        "publishing": msg("Putting it in place …", code="putting-in-place"),
    }
    if job.phase == "waiting":
        return [_others(job)]
    if job.phase in phases or not job.phase:
        return [phases.get(job.phase, phases["resolving"])]
    parts: list[Message | str] = [_amount_done(job)]
    if job.speed is not None:
        parts.append(f"{amount(round(job.speed))}/s")
    if job.seconds_left is not None:
        parts.append(time_left(job.seconds_left))
    return parts


def _amount_done(job: JobView) -> Message | str:
    if not job.total:
        return amount(job.done)
    return msg("{done} of {total}", done=amount(job.done), total=amount(job.total))


def _others(job: JobView) -> Message:
    """Describe a download by another process on this machine or on the shared folder; this process uses its result."""
    if not job.total:
        return msg("Another program is fetching it; {done} are there.", code="fetched-by-other", done=amount(job.done))
    return msg(
        "Another program is fetching it; {done} of {total} are there.",
        code="fetched-by-other-of",
        done=amount(job.done),
        total=amount(job.total),
    )


def percent(job: JobView) -> float:
    """Return 0 to 100 with one decimal; 0 while the total is unknown or 0."""
    return min(100.0, round(100 * job.done / job.total, 1)) if job.total else 0.0


def amount(count: int) -> str:
    """Format `count` bytes with three digits: 1.23 MB, 12.3 MB, 123 MB."""
    if count < 999_500:
        return f"{count / 1e3:.0f} kB"
    value, unit = (count / 1e9, "GB") if count >= 999_500_000 else (count / 1e6, "MB")
    return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f} {unit}"


def time_left(seconds: float) -> Message:
    """Format a remaining time; the precision follows the size, since false precision would mislead."""
    if seconds < 19.95:
        return msg("{count} s left", count=f"{max(0.1, seconds):.1f}")
    if seconds < 120:
        return msg("{count} s left", count=round(seconds))
    if seconds < 1200:
        minutes, rest = divmod(5 * round(seconds / 5), 60)
        return msg("{minutes} min {seconds} s left", minutes=minutes, seconds=rest)
    if seconds < 7200:
        return msg("{count} min left", count=round(seconds / 60))
    hours, minutes = divmod(round(seconds / 60), 60)
    return msg("{hours} h {minutes} min left", hours=hours, minutes=minutes)


def time_taken(seconds: float) -> Message:
    """Format a duration in seconds; the precision follows the size, and one above two minutes is in whole minutes."""
    if seconds < 10:
        return msg("{count} s", count=f"{seconds:.1f}")
    if seconds < 120:
        return msg("{count} s", count=round(seconds))
    return msg("{count} min", count=round(seconds / 60))
