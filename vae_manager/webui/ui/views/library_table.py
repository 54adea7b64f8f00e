"""Views of the library: a row for each file, the panel of one file, and the trash."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from ....files import FileRecord
from ....library.verification import Outcome, Verification, may_be_kept
from ....messages import Message, megabytes, msg
from ....records.verdict import NETWORK_CODES, AskFirst, Refused, Usable, Verdict, obstacle_of
from ...translation import Translator
from .. import actions
from ..library_view_model import HashState, Library, LibraryRow
from ..rendering import Button, moment, render
from ..vae_options import LOOK_ALIKE, can_convert, can_use, family_label, needs_conversion, sorts_last
from .labels import outcome_word, problem_word
from .status import activity_lines

if TYPE_CHECKING:
    from ....library.trash import Removed

__all__ = ["trash"]


_html = partial(render, "library_table.html")


WORST = 4


# -- rows ----------------------------------------------------------------------------------------------------------
def library_row(row: LibraryRow, library: Library, translate: Translator) -> Markup:
    """Render one row. It depends on `library` only by the values that `Page` passes as `seen_with`."""
    known, gravity = row.record, _gravity(row, library)
    below = str(row.path.relative_to(row.folder))  # in the whole path, a search for "vae" would find each file
    family, why = _family(row)
    kind, sign, state = _state(row, gravity)
    it = {
        "found": f"{below} {row.sha256 or ''}".lower(),
        "recognised": _recognised(row),
        "hash": row.hash_state.value,
        "family": family,
        "why": why,
        "layout": known.layout if known is not None and known.layout != "unknown" else "",
        "dtype": known.dtype or "" if known is not None else "",
        "size": megabytes(row.size),
        "gravity": gravity,
        "kind": kind,
        "sign": sign,
        "state": state,
        "buttons": _main_button(row, library),
        "can_compare": can_compare(row),
    }
    return _html("library_row", translate, it, row)


def _gravity(row: LibraryRow, library: Library) -> int:
    if row.record is None:
        return 1
    if row.broken is not None:
        if is_replaced(row):
            return 1
        return 3 if needs_conversion(row.answer) else WORST
    return 2 if row.name_clashes or sorts_last(row.answer) else 0


def _recognised(row: LibraryRow) -> Message | str:
    if row.entry is not None:
        return row.entry.name if row.published else msg("weights of {vae}", code="weights-of", vae=row.entry.name)
    return msg("same weights as {file}", code="same-weights", file=row.twins[0]) if row.twins else ""


def _family(row: LibraryRow) -> tuple[str, Message | str | None]:
    """Return the label of its family, and the origin of that, or other known properties."""
    record = row.record
    if record is None:
        return "", None
    if record.family.family is None:
        count = record.latent_channels
        return "", msg("{count} channels", count=count) if count is not None else ""
    label = family_label(record.family.family)
    if record.is_family_own:
        return label, msg("set by you", code="set-by-you")
    if record.family.why == "yours by weights":
        return label, msg("set by you, for a twin")
    return label, None if record.family.sure else msg("guess")


def _state(row: LibraryRow, gravity: int) -> tuple[str, str, Message]:
    """Return a kind, a sign and a word."""
    answer = row.answer
    if answer is None:
        return "", "…", msg("not scanned yet", code="not-scanned-yet")
    if row.broken is not None:
        told = _problem(row)
        if is_replaced(row):
            return (
                "fine",
                "✓",
                msg("converted: {file}", code="converted", file=row.converted.name if row.converted else ""),
            )
    elif row.name_clashes:
        told = msg("duplicate name", code="duplicate-name")
    elif answer.reason is not None:
        told = problem_word(answer.reason.code)
    else:
        return "fine", "✓", msg("can be used", code="usable")
    return ("broken", "✗", told) if gravity == WORST else ("look", "!", told)


def _problem(row: LibraryRow) -> Message:
    answer, verification = row.answer, row.verification
    obstacle = obstacle_of(answer) if answer is not None else None
    reason = obstacle if obstacle is not None or answer is None else answer.reason
    if reason is None:
        return (
            outcome_word(verification.outcome)
            if verification is not None
            else msg("cannot be loaded", code="not-loadable")
        )
    is_convertible = obstacle is not None and reason.code != "checkpoint"
    return msg("needs converting", code="needs-converting") if is_convertible else problem_word(reason.code)


def _main_button(row: LibraryRow, library: Library) -> list[Button]:
    """Return the one most useful action."""
    key = f"row use {row.key}"
    if may_use(row, library):
        return [Button(msg("Use"), actions.UseFile(row.key).as_dict(), key, row.name)]
    if is_replaced(row):
        return use_converted(row, library, key)
    if may_convert(row, library):
        return [Button(msg("Convert"), actions.ConvertFile(row.key, use=False).as_dict(), key, row.name)]
    return []


def can_compare(row: LibraryRow) -> bool:
    return row.word is not None and not _is_damaged(row) and can_use(row.answer)


def is_replaced(row: LibraryRow) -> bool:
    """Return True if the WebUI cannot load it and a conversion of it exists."""
    return row.converted is not None and needs_conversion(row.answer)


def use_converted(row: LibraryRow, library: Library, key: str, *, primary: bool = False) -> list[Button]:
    """Return the button that uses the result of a file's conversion."""
    made = row.converted
    if made is None or made.word is None or library.choose_refused is not None:
        return []
    return [Button(msg("Use {file}", file=made.name), actions.UseFile(made.key).as_dict(), key, primary=primary)]


def _is_damaged(row: LibraryRow) -> bool:
    return row.verification is not None and row.verification.outcome is Outcome.DAMAGED


def may_use(row: LibraryRow, library: Library) -> bool:
    can = can_use(row.answer) and not _is_damaged(row)
    is_new = not row.in_use or row.was_changed
    return can and row.word is not None and is_new and library.choose_refused is None


def may_convert(row: LibraryRow, library: Library) -> bool:
    return can_convert(row.answer) and library.change_refused is None


# -- above the table -----------------------------------------------------------------------------------------------
def library_bar(library: Library, translate: Translator) -> Markup:
    """Render the totals, the actions on all files, the running work, and the last result."""
    activity = activity_lines(library.activity, translate)
    return _html("library_bar", translate, _summary(library), _tools(library), activity)


def _summary(library: Library) -> list[Message | str]:
    """Return the parts of “12 files · 4.0 GB · 2 with problems · 1 more than once”; empty without files."""
    count = len(library.rows)
    if not count:
        return []
    parts: list[Message | str] = [
        msg("1 file", code="one-file") if count == 1 else msg("{count} files", code="files", count=count),
        megabytes(library.table.size),
    ]
    if library.table.with_problems:
        parts.append(msg("{count} with problems", code="with-problems", count=library.table.with_problems))
    if library.doubled:
        parts.append(msg("{count} more than once", code="more-than-once", count=library.doubled))
    return parts


def _tools(library: Library) -> list[Button]:
    tools = [
        Button(msg("Verify all"), actions.VerifyAll().as_dict(), "verify-all"),
        Button(msg("Find duplicates"), actions.FindDuplicates().as_dict(), "find-duplicates"),
        Button(msg("Refresh"), actions.RefreshFiles().as_dict(), "refresh-files"),
    ]
    return tools if library.check_refused is None else tools[-1:]


def trash(library: Library, translate: Translator) -> Markup:
    """Render the folded trash; empty for visitors who cannot change files."""
    if library.change_refused is not None:
        return Markup()
    size = megabytes(sum(size for _, size in library.removed))
    label = msg("Empty the trash · {size}", size=size)
    told = None if library.removed else msg("Nothing is in the trash.")
    if library.has_system_trash:
        told = msg("Deleted files go to the system's trash: restore them there.", code="system-trash")
        if library.removed:
            told = msg(
                "Deleted files go to the system's trash: restore them there. What is listed here is elsewhere.",
                code="system-trash-beside",
            )
    return _html(
        "trash",
        translate,
        told=told,
        removed=[_removed(gone, size, library) for gone, size in library.removed],
        empty=Button(label, actions.EmptyTrash(sure=False).as_dict(), "empty-trash"),
    )


def _removed(gone: Removed, size: int, library: Library) -> Mapping[str, object]:
    entry, name = gone.place.name if gone.place is not None else "", gone.file.name
    folder = str(gone.file.parent) if library.shows_paths else gone.file.parent.name
    return {
        "entry": entry,
        "name": name,
        "where": msg("from {folder}", folder=folder) if gone.is_noted else msg("its old folder is not known"),
        "size": megabytes(size),
        "when": moment(gone.removed_at),
        "restore": Button(msg("Restore"), actions.RestoreFile(entry, "").as_dict(), f"restore {entry}", name),
    }


_panel_html = partial(render, "file_panel.html")

METADATA_SHOWN = 12
"""The maximum of shown entries; some trainers write hundreds."""


def file_details(library: Library, translate: Translator) -> Markup:
    """Render the selected file; a hint if no file is selected."""
    row = library.selected
    if row is None:
        return _panel_html("nothing", translate)
    acts, more_acts = _acts(row, library)
    return _panel_html(
        "file_details",
        translate,
        row=row,
        about=about(row, library),
        problems=_problems(row),
        acts=acts,
        can_compare=can_compare(row),
        more_acts=more_acts,
        changes=_changes(row, library),
        shows_path=library.shows_paths,
        metadata=list(row.record.metadata.items())[:METADATA_SHOWN] if row.record is not None else [],
    )


# -- in three sentences --------------------------------------------------------------------------------------------
def about(row: LibraryRow, library: Library) -> list[Message]:
    """Return its kind, its fit, and the certainty of both."""
    if row.record is None or row.answer is None:
        return [msg("It has not been looked at yet; that is being done.", code="not-looked-at-yet")]
    return [_kind(row, row.record, row.answer), *_fit(row, row.record, row.answer, library), _sure(row)]


def _kind(row: LibraryRow, record: FileRecord, answer: Verdict) -> Message:
    family = record.family
    if row.entry is not None:
        if row.published:
            return msg("This is {vae}, byte for byte as it was published.", code="as-published", vae=row.entry.name)
        return msg(
            "This is {vae} in another file: the same weights, in other bytes.",
            code="published-weights",
            vae=row.entry.name,
        )
    if isinstance(answer, Refused) and answer.reason.code not in NETWORK_CODES:
        return msg("This is no VAE that the WebUI can load.", code="no-loadable-vae")
    if row.twins:
        return msg("This has the same weights as {file}.", code="same-weights-as", file=row.twins[0])
    if family.family is not None and record.is_family_own:
        return msg(
            "You said that this is a VAE for {family}.", code="family-set-by-you", family=family_label(family.family)
        )
    if family.family is not None and family.why == "yours by weights":
        return msg(
            "You said of a file with the same weights that it is a VAE for {family}.",
            family=family_label(family.family),
        )
    if family.family is not None and family.why == "yours by encoder":
        return msg(
            "This is probably a VAE for {family}: a guess, since you said so of a file with the same encoder.",
            family=family_label(family.family),
        )
    if family.family is not None and family.figure is not None:
        return msg(
            "This is probably a VAE for {family}: a guess from the latent test, which gave {figure} dB.",
            family=family_label(family.family),
            figure=f"{family.figure:.1f}",
        )
    if family.family is not None:
        return msg(
            "This is a VAE for {family} that the catalogue does not know.",
            code="unlisted-of-family",
            family=family_label(family.family),
        )
    if record.latent_channels is not None:
        return msg(
            "This is a VAE with {count} latent channels that the catalogue does not know.",
            code="unlisted-of-channels",
            count=record.latent_channels,
        )
    return msg("The catalogue does not know this file.", code="unlisted-file")


def _fit(row: LibraryRow, record: FileRecord, answer: Verdict, library: Library) -> list[Message]:
    """Return its fit with the checkpoint. The reason of a refusal has a line of its own."""
    ours = library.in_use.family
    if row.in_use and row.was_changed:
        return [
            msg(
                "It was in use before it was changed: its earlier weights are in the model. Use it again to load these."
            )
        ]
    if row.in_use:
        return [msg("It is in use: its weights are in the model.", code="weights-in-use")]
    if isinstance(answer, Refused):
        return []
    questions = [answer.reason.message] if isinstance(answer, AskFirst) else []
    if needs_conversion(answer) and row.converted is not None:
        return [msg("It was converted: use {file}.", code="use-converted", file=row.converted.name)]
    if needs_conversion(answer):
        converted = msg(
            "Converted, it can be used. That makes a second file beside it; this one stays as it is.",
            code="usable-if-converted",
        )
        return [*questions, converted]
    if questions:
        return questions
    if library.in_use.checkpoint is None:
        return [msg("No checkpoint is loaded, so whether it fits is not known yet.", code="fit-unknown")]
    if ours is None:
        return []
    if record.family.sure and record.family.family == ours:
        return [msg("It fits the loaded checkpoint.", code="fits")]
    if not isinstance(answer, Usable) or not answer.is_compared:
        return [
            msg(
                "Its shapes were not compared with the loaded checkpoint, so whether it fits is not known.",
                code="shapes-not-compared",
            )
        ]
    return [
        msg("Its shapes fit the loaded checkpoint; whether it was made for it, shapes cannot tell.", code="shapes-fit")
    ]


def _sure(row: LibraryRow) -> Message:
    if row.verification is not None and row.verification.is_right:
        return _verified(row.verification)
    if row.hash_state is HashState.PROVEN:
        return msg("Its SHA-256 is the published one.", code="sha256-published")
    if row.hash_state is HashState.HASHING:
        return msg("Its SHA-256 is being worked out.", code="sha256-being-worked-out")
    if row.sha256 is not None:
        return msg("Its SHA-256 is known; no VAE of the catalogue has it.", code="sha256-unlisted")
    return msg("Its SHA-256 is not known yet; Verify works it out.", code="sha256-not-known-yet")


def _verified(verification: Verification) -> Message:
    when = moment(verification.at)
    if verification.outcome is Outcome.UNVERIFIED and verification.was_other:
        return msg(
            "It was read on {date}: each number is finite. It was written to since the reading before, so its bytes "
            "were compared with nothing; the next Verify compares them with these.",
            code="read-after-change",
            date=when,
        )
    if verification.outcome is Outcome.UNVERIFIED:
        return msg(
            "It was read on {date}: each number is finite. There was no earlier reading to compare it with; the next "
            "Verify compares its bytes with these.",
            code="read-for-the-first-time",
            date=when,
        )
    if verification.entry is not None:
        return msg(
            "It was verified on {date}: its bytes are the published ones, and each number is finite.",
            code="verified-as-published",
            date=when,
        )
    return msg(
        "It was verified on {date}: its bytes are those of before, and each number is finite.",
        code="verified-as-before",
        date=when,
    )


def _problems(row: LibraryRow) -> list[Message]:
    obstacle = obstacle_of(row.answer) if row.answer is not None else None
    sentences = [row.answer.reason.message] if isinstance(row.answer, Refused) else []
    if obstacle is not None:
        sentences.append(obstacle.message)
    reason = row.verification.reason if row.verification is not None else None
    if reason is not None and reason not in sentences:
        sentences.append(reason)
    for path in row.name_clashes:
        sentences.append(
            msg(
                "{path} has the same name, and the WebUI lists only one of the two. Rename one.",
                code="same-name",
                path=path,
            )
        )
    return sentences


# -- what can be done ----------------------------------------------------------------------------------------------
def _acts(row: LibraryRow, library: Library) -> tuple[Sequence[Button], Sequence[Button]]:
    """Return the buttons before the comparison's button, and those after it."""

    def act(label: Message, action: actions.Action, *, primary: bool = False) -> Button:
        key = " ".join(["file", *map(str, action.as_dict().values())])
        return Button(label, action.as_dict(), key, row.name, primary)

    first, rest = [], []
    if may_use(row, library):
        first.append(act(msg("Use"), actions.UseFile(row.key), primary=True))
    if is_replaced(row):
        first += use_converted(row, library, f"file use {row.key}", primary=True)
    elif may_convert(row, library):
        if library.choose_refused is None:
            first.append(act(msg("Convert and use"), actions.ConvertFile(row.key, use=True), primary=True))
        first.append(act(msg("Convert"), actions.ConvertFile(row.key, use=False)))
    if library.check_refused is None:
        rest.append(act(msg("Verify"), actions.VerifyFile(row.key)))
    if row.verification is not None and may_be_kept(row.verification) and library.change_refused is None:
        rest.append(act(msg("Keep this version"), actions.KeepFile(row.key)))
    if _may_try(row, library):
        rest.append(act(msg("Test compatibility"), actions.TryFile(row.key)))
    for family in _families_to_say(row):
        text = msg("This is {family}", family=family_label(family))
        rest.append(act(text, actions.SetFamily(row.key, family)))
    if row.record is not None and row.record.is_family_own:
        rest.append(act(msg("Clear"), actions.SetFamily(row.key, "")))
    return first, rest


def _may_try(row: LibraryRow, library: Library) -> bool:
    """Return True if the latent test can determine the family, which is not certain."""
    record, ours = row.record, library.in_use.family
    if record is None or record.family.sure or ours not in LOOK_ALIKE or library.change_refused is not None:
        return False
    return record.latent_channels == 4 and can_use(row.answer)


def _families_to_say(row: LibraryRow) -> tuple[str, ...]:
    """Return the families that the user can set: for an unrecognised VAE of four channels.

    A family that was set at another file with these weights can be corrected here too.
    """
    record = row.record
    if record is None or record.latent_channels != 4 or record.is_family_shown:
        return ()
    return tuple(family for family in LOOK_ALIKE if not (record.is_family_own and record.family.family == family))


def _changes(row: LibraryRow, library: Library) -> Mapping[str, object]:
    """Return the possible changes of the file. With one folder only, it cannot be moved."""
    return {
        "refused": library.change_refused,
        "is_held": row.in_use or row.chosen,
        "folders": [(number, name) for number, name in _places(library) if library.folders[number] != row.path.parent],
        "delete": Button(msg("Delete"), actions.DeleteFile(row.key).as_dict(), f"delete {row.key}", row.name),
    }


def _places(library: Library) -> list[tuple[int, str]]:
    return [(number, str(one) if library.shows_paths else one.name) for number, one in enumerate(library.folders)]


# -- a file from elsewhere -----------------------------------------------------------------------------------------
def adopt_form(library: Library, translate: Translator) -> Markup:
    """Render the form that imports a local file into a VAE folder; empty if remote users could use it."""
    if library.adopt_refused is not None or not library.folders:
        return Markup()
    return _panel_html("adopt_form", translate, _example(library.folders[0]), _places(library))


def _example(folder: Path) -> str:
    return "C:\\Users\\me\\Downloads\\my.vae.pt" if "\\" in str(folder) else "/home/me/Downloads/my.vae.pt"
