"""One file of the library: what it is, in three sentences; its details; what can be done with it."""

from __future__ import annotations

import json
import time
from html import escape
from pathlib import Path

from ....files import FileRecord
from ....library.verification import Outcome, Verification
from ....messages import Message, megabytes, msg
from ....records.verdict import NETWORK_CODES, AskFirst, Refused, Usable, Verdict, obstacle_of
from ...translation import Translator, plain
from ..library_view_model import HashState, Library, LibraryRow
from ..vae_options import LOOK_ALIKE, can_use, family_label, needs_conversion
from .components import WARNING, button, copy_button, file_name, line, paragraph, preview
from .library_table import compare_button, is_replaced, may_convert, may_use, use, use_converted

METADATA_SHOWN = 12
"""Entries; some trainers write hundreds."""
TEXT_SHOWN = 400
"""Characters of one of them."""


def file_details(library: Library, translate: Translator) -> str:
    """The selected file; a hint where there is none."""
    row = library.selected
    if row is None:
        return paragraph(f'<span class="vm-hint">{escape(translate(msg("Choose a file to see what it is.")))}</span>')
    told = "".join(paragraph(escape(translate(message))) for message in about(row, library))
    return (
        f"{preview(row.key, large=True) if row.has_preview else ''}"
        f'<h3 class="vm-title"><bdi>{file_name(row.name)}</bdi></h3>{told}{_problems(row, translate)}'
        f'<div data-vae-anchor="file {row.key}">{_actions(row, library, translate)}</div>'
        f"{_details(row, library, translate)}"
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
        return msg("This has the same weights as {file}.", file=plain(row.twins[0]))
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
        return [msg("It was converted: use {file}.", file=plain(row.converted.name))]
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
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(verification.at))
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


def _problems(row: LibraryRow, translate: Translator) -> str:
    obstacle = obstacle_of(row.answer) if row.answer is not None else None
    sentences = [row.answer.reason.message] if isinstance(row.answer, Refused) else []
    if obstacle is not None:
        sentences.append(obstacle.message)
    reason = row.verification.reason if row.verification is not None else None
    if reason is not None and reason not in sentences:
        sentences.append(reason)
    for path in row.name_clashes:
        sentences.append(
            msg("{path} has the same name, and the WebUI lists only one of the two. Rename one.", path=plain(path))
        )
    return "".join(line(WARNING, translate(message), translate) for message in sentences)


# -- what can be done ----------------------------------------------------------------------------------------------
def _actions(row: LibraryRow, library: Library, translate: Translator) -> str:
    made = []

    def add(text: Message, action: dict[str, object], *, primary: bool = False) -> None:
        label, name = translate(text), plain(row.name)
        key = f"file {action['do']} {action.get('use')} {action.get('family')} {row.key}"
        made.append(button(label, action, key, primary=primary, named=f"{label} — {name}"))

    if may_use(row, library):
        add(msg("Use"), use(row), primary=True)
    if is_replaced(row):
        made.append(use_converted(row, library, translate, key=f"file use {row.key}", primary=True))
    elif may_convert(row, library):
        if library.choose_refused is None:
            add(msg("Convert and use"), {"do": "convert-file", "file": row.key, "use": True}, primary=True)
        add(msg("Convert"), {"do": "convert-file", "file": row.key, "use": False})
    made.append(compare_button(row, library, translate, key=f"file compare {row.key}"))
    if library.check_refused is None:
        add(msg("Verify"), {"do": "verify-file", "file": row.key})
    if _may_try(row, library):
        add(msg("Test compatibility"), {"do": "try-file", "file": row.key})
    for family in _families_to_say(row):
        text = msg("This is {family}", family=family_label(family))
        add(text, {"do": "set-family", "file": row.key, "family": family})
    if row.record is not None and row.record.is_family_own:
        add(msg("Clear"), {"do": "set-family", "file": row.key, "family": ""})
    return f'<div class="vm-do vm-acts">{"".join(made)}</div>' + _changes(row, library, translate)


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


def _changes(row: LibraryRow, library: Library, translate: Translator) -> str:
    if library.change_refused is not None:
        return line(WARNING, translate(library.change_refused), translate)
    if row.in_use or row.chosen:
        hint = msg("While it is chosen or in use it cannot be renamed, moved or deleted.")
        return f'<p class="vm-hint">{escape(translate(hint))}</p>'
    delete = translate(msg("Delete"))
    gone = button(
        delete, {"do": "delete-file", "file": row.key}, f"delete {row.key}", named=f"{delete} — {plain(row.name)}"
    )
    return f'<div class="vm-changes">{_rename(row, translate)}{_move(row, library, translate)}{gone}</div>'


def _rename(row: LibraryRow, translate: Translator) -> str:
    label, done = escape(translate(msg("New name"))), escape(translate(msg("Rename")))
    action = escape(json.dumps({"do": "rename-file", "file": row.key}))
    return _folded(
        msg("Rename …"),
        f'<form class="vm-form" data-vae-form="{action}"><label><span>{label}</span><input type="text" name="name" '
        f'required autocomplete="off" spellcheck="false" value="{escape(plain(row.path.name))}" '
        f'data-vae-key="name {row.key}"></label><button type="submit" class="vm-button" '
        f'data-vae-key="rename {row.key}">{done}</button></form>',
        f"renaming {row.key}",
        translate,
    )


def _move(row: LibraryRow, library: Library, translate: Translator) -> str:
    """Nothing where there is one folder only."""
    places = [(number, place) for number, place in enumerate(library.folders) if place != row.path.parent]
    if not places:
        return ""
    label, done = escape(translate(msg("Folder"))), escape(translate(msg("Move")))
    action = escape(json.dumps({"do": "move-file", "file": row.key}))
    choices = "".join(
        f'<option value="{number}">{escape(plain(_place(place, library)))}</option>' for number, place in places
    )
    return _folded(
        msg("Move …"),
        f'<form class="vm-form" data-vae-form="{action}"><label><span>{label}</span><select name="folder" '
        f'data-vae-key="folder {row.key}">{choices}</select></label><button type="submit" class="vm-button" '
        f'data-vae-key="move {row.key}">{done}</button></form>',
        f"moving {row.key}",
        translate,
    )


def _place(folder: Path, library: Library) -> str:
    return str(folder) if library.shows_paths else folder.name


def _folded(text: Message, inner: str, key: str, translate: Translator) -> str:
    return (
        f'<details class="vm-fold" data-vae-key="{escape(key)}"><summary class="vm-button">{escape(translate(text))}'
        f"</summary>{inner}</details>"
    )


# -- details -------------------------------------------------------------------------------------------------------
def _details(row: LibraryRow, library: Library, translate: Translator) -> str:
    facts: list[tuple[Message, str]] = [
        (msg("Path"), plain(str(row.path)) if library.shows_paths else plain(row.name)),
        (msg("Size"), f"{megabytes(row.size)} ({row.size:,} B)" if row.size >= 1000 else megabytes(row.size)),
    ]
    if row.record is not None:
        facts += _inside(row, row.record)
    listed = "".join(f"<dt>{escape(translate(name))}</dt><dd>{escape(text)}</dd>" for name, text in facts)
    if row.sha256 is not None:
        copy = copy_button(row.sha256, plain(row.name), translate, shown=row.sha256)
        listed += f"<dt>{escape(translate(msg('SHA-256')))}</dt><dd>{copy}</dd>"
    return f'<dl class="vm-facts-list">{listed}</dl>{_metadata(row, translate)}'


def _inside(row: LibraryRow, record: FileRecord) -> list[tuple[Message, str]]:
    facts: list[tuple[Message, str]] = [(msg("Kind of file"), record.container)]
    if record.layout != "unknown":
        facts.append((msg("Layout"), record.layout))
    if record.latent_channels is not None:
        facts.append((msg("Latent channels"), str(record.latent_channels)))
    if record.dtype is not None:
        facts.append((msg("Precision"), record.dtype))
    if record.parameters is not None:
        facts.append((msg("Parameters"), f"{record.parameters:,}"))
    if record.weights is not None:
        facts.append((msg("Fingerprint of the weights"), record.weights))
    if row.entry is not None and row.entry.licence is not None:
        facts.append((msg("Licence"), row.entry.licence.name))
    if row.twins:
        facts.append((msg("Same weights as"), ", ".join(plain(name) for name in row.twins)))
    return facts


def _metadata(row: LibraryRow, translate: Translator) -> str:
    pairs = list(row.record.metadata.items())[:METADATA_SHOWN] if row.record is not None else []
    if not pairs:
        return ""
    listed = "".join(
        f"<dt>{escape(plain(name[:TEXT_SHOWN]))}</dt><dd>{escape(plain(text[:TEXT_SHOWN]))}</dd>"
        for name, text in pairs
    )
    summary = escape(translate(msg("Metadata inside the file")))
    return (
        f'<details class="vm-more" data-vae-key="metadata"><summary>{summary}</summary>'
        f'<dl class="vm-facts-list">{listed}</dl></details>'
    )


# -- a file from elsewhere -----------------------------------------------------------------------------------------
def adopt_form(library: Library, translate: Translator) -> str:
    """Takes a file of this machine into a VAE folder; nothing where strangers could ask for it."""
    if library.adopt_refused is not None or not library.folders:
        return ""
    action = escape(json.dumps({"do": "adopt-file"}))
    ways = {"copy": msg("copy it"), "move": msg("move it"), "link": msg("link it, on one disk")}
    choices = "".join(f'<option value="{way}">{escape(translate(text))}</option>' for way, text in ways.items())
    places = "".join(
        f'<option value="{number}">{escape(plain(_place(place, library)))}</option>'
        for number, place in enumerate(library.folders)
    )
    path, how, where = (escape(translate(text)) for text in (msg("Path of the file"), msg("How"), msg("Folder")))
    done = escape(translate(msg("Import")))
    hint = escape(translate(msg("The file is looked at first; what is no VAE stays where it is.")))
    return _folded_form(
        f'<form class="vm-form" data-vae-form="{action}"><label><span>{path}</span><input type="text" name="path" '
        f'required autocomplete="off" spellcheck="false" placeholder="{escape(_example(library.folders[0]))}" '
        f'data-vae-key="adopt path"></label><label><span>{how}</span><select name="how" data-vae-key="adopt how">'
        f'{choices}</select></label><label><span>{where}</span><select name="folder" data-vae-key="adopt folder">'
        f'{places}</select></label><button type="submit" class="vm-button" data-vae-key="adopt">{done}</button></form>'
        f'<p class="vm-hint">{hint}</p>',
        translate,
    )


def _example(folder: Path) -> str:
    return "C:\\Users\\me\\Downloads\\my.vae.pt" if "\\" in str(folder) else "/home/me/Downloads/my.vae.pt"


def _folded_form(inner: str, translate: Translator) -> str:
    summary = escape(translate(msg("Import a local file")))
    return f'<details class="vm-more" data-vae-key="adopt"><summary>{summary}</summary>{inner}</details>'
