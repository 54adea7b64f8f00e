"""One file of the library: what it is, in three sentences; its details; what can be done with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from markupsafe import Markup

from ....files import FileRecord
from ....library.verification import Outcome, Verification
from ....messages import Message, msg
from ....records.verdict import NETWORK_CODES, AskFirst, Refused, Usable, Verdict, obstacle_of
from ...translation import Translator
from .. import actions
from ..library_view_model import HashState, Library, LibraryRow
from ..rendering import moment, render
from ..vae_options import LOOK_ALIKE, can_use, family_label, needs_conversion
from .components import Button
from .library_table import can_compare, is_replaced, may_convert, may_use, use_converted

_html = partial(render, "file_panel.html")

METADATA_SHOWN = 12
"""Entries; some trainers write hundreds."""


def file_details(library: Library, translate: Translator) -> Markup:
    """The selected file; a hint where there is none."""
    row = library.selected
    if row is None:
        return _html("nothing", translate)
    acts, more_acts = _acts(row, library)
    return _html(
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
    """Return its kind, its fit, and how sure that is."""
    if row.record is None or row.answer is None:
        return [msg("It has not been looked at yet; that is being done.")]
    return [_kind(row, row.record, row.answer), *_fit(row, row.record, row.answer, library), _sure(row)]


def _kind(row: LibraryRow, record: FileRecord, answer: Verdict) -> Message:
    family = record.family
    if row.entry is not None:
        if row.published:
            return msg("This is {vae}, byte for byte as it was published.", vae=row.entry.name)
        return msg("This is {vae} in another file: the same weights, in other bytes.", vae=row.entry.name)
    if isinstance(answer, Refused) and answer.reason.code not in NETWORK_CODES:
        return msg("This is no VAE that the WebUI can load.")
    if row.twins:
        return msg("This has the same weights as {file}.", file=row.twins[0])
    if family.family is not None and record.is_family_own:
        return msg("You said that this is a VAE for {family}.", family=family_label(family.family))
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
        return msg("This is a VAE for {family} that the catalogue does not know.", family=family_label(family.family))
    if record.latent_channels is not None:
        return msg(
            "This is a VAE with {count} latent channels that the catalogue does not know.", count=record.latent_channels
        )
    return msg("The catalogue does not know this file.")


def _fit(row: LibraryRow, record: FileRecord, answer: Verdict, library: Library) -> list[Message]:
    """Return how it goes with the checkpoint. The reason of a refusal stands in a line of its own."""
    ours = library.in_use.family
    if row.in_use and row.was_changed:
        return [
            msg(
                "It was in use before it was changed: its earlier weights are in the model. Use it again to load these."
            )
        ]
    if row.in_use:
        return [msg("It is in use: its weights are in the model.")]
    if isinstance(answer, Refused):
        return []
    questions = [answer.reason.message] if isinstance(answer, AskFirst) else []
    if needs_conversion(answer) and row.converted is not None:
        return [msg("It was converted: use {file}.", file=row.converted.name)]
    if needs_conversion(answer):
        converted = msg("Converted, it can be used. That makes a second file beside it; this one stays as it is.")
        return [*questions, converted]
    if questions:
        return questions
    if library.in_use.checkpoint is None:
        return [msg("No checkpoint is loaded, so whether it fits is not known yet.")]
    if ours is None:
        return []
    if record.family.sure and record.family.family == ours:
        return [msg("It fits the loaded checkpoint.")]
    if not isinstance(answer, Usable) or not answer.is_compared:
        return [msg("Its shapes were not compared with the loaded checkpoint, so whether it fits is not known.")]
    return [msg("Its shapes fit the loaded checkpoint; whether it was made for it, shapes cannot tell.")]


def _sure(row: LibraryRow) -> Message:
    if row.verification is not None and row.verification.is_right:
        return _verified(row.verification)
    if row.hash_state is HashState.PROVEN:
        return msg("Its SHA-256 is the published one.")
    if row.hash_state is HashState.HASHING:
        return msg("Its SHA-256 is being worked out.")
    if row.sha256 is not None:
        return msg("Its SHA-256 is known; no VAE of the catalogue has it.")
    return msg("Its SHA-256 is not known yet; Verify works it out.")


def _verified(verification: Verification) -> Message:
    when = moment(verification.at)
    if verification.outcome is Outcome.UNVERIFIED and verification.was_other:
        return msg(
            "It was read on {date}: each number is finite. It was written to since the reading before, so its bytes "
            "were compared with nothing; the next Verify compares them with these.",
            date=when,
        )
    if verification.outcome is Outcome.UNVERIFIED:
        return msg(
            "It was read on {date}: each number is finite. There was no earlier reading to compare it with; the next "
            "Verify compares its bytes with these.",
            date=when,
        )
    if verification.entry is not None:
        return msg("It was verified on {date}: its bytes are the published ones, and each number is finite.", date=when)
    return msg("It was verified on {date}: its bytes are those of before, and each number is finite.", date=when)


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
            msg("{path} has the same name, and the WebUI lists only one of the two. Rename one.", path=path)
        )
    return sentences


# -- what can be done ----------------------------------------------------------------------------------------------
def _acts(row: LibraryRow, library: Library) -> tuple[Sequence[Button], Sequence[Button]]:
    """Those before the comparison's button, and those behind it."""

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
    if _may_try(row, library):
        rest.append(act(msg("Test compatibility"), actions.TryFile(row.key)))
    for family in _families_to_say(row):
        text = msg("This is {family}", family=family_label(family))
        rest.append(act(text, actions.SetFamily(row.key, family)))
    if row.record is not None and row.record.is_family_own:
        rest.append(act(msg("Clear"), actions.SetFamily(row.key, "")))
    return first, rest


def _may_try(row: LibraryRow, library: Library) -> bool:
    """The latent test can tell a family that is not known for sure."""
    record, ours = row.record, library.in_use.family
    if record is None or record.family.sure or ours not in LOOK_ALIKE or library.change_refused is not None:
        return False
    return record.latent_channels == 4 and can_use(row.answer)


def _families_to_say(row: LibraryRow) -> tuple[str, ...]:
    """What nobody but the person knows: a VAE of four channels that is not recognised. A word on another file with
    these weights can be put right here too."""
    record = row.record
    if record is None or record.latent_channels != 4 or record.is_family_shown:
        return ()
    return tuple(family for family in LOOK_ALIKE if not (record.is_family_own and record.family.family == family))


def _changes(row: LibraryRow, library: Library) -> Mapping[str, object]:
    """What can be changed of the file itself. It cannot be moved where there is one folder only."""
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
    """Takes a file of this machine into a VAE folder; nothing where strangers could ask for it."""
    if library.adopt_refused is not None or not library.folders:
        return Markup()
    return _html("adopt_form", translate, _example(library.folders[0]), _places(library))


def _example(folder: Path) -> str:
    return "C:\\Users\\me\\Downloads\\my.vae.pt" if "\\" in str(folder) else "/home/me/Downloads/my.vae.pt"
