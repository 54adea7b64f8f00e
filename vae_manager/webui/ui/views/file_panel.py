"""One file of the library: what it is, in three sentences; its details; what can be done with it."""

from __future__ import annotations

import json
import time
from html import escape
from pathlib import Path

from ....files import FileRecord
from ....library.verification import Outcome, Verification
from ....records.verdict import NETWORK_CODES, AskFirst, Refused, Usable, Verdict, obstacle_of
from ....sentences import Sentence, megabytes, say
from ...translation import Words, plain
from ..library_view_model import HashState, Library, LibraryRow
from ..vae_options import LOOK_ALIKE, can_use, family_label, needs_conversion
from .components import LOOK, button, copy_button, file_name, line, paragraph, preview
from .library_table import compare_button, is_replaced, may_convert, may_use, use, use_converted

METADATA_SHOWN = 12
"""Entries; some trainers write hundreds."""
TEXT_SHOWN = 400
"""Characters of one of them."""


def file_details(library: Library, words: Words) -> str:
    """The selected file; a hint where there is none."""
    row = library.selected
    if row is None:
        return paragraph(f'<span class="vm-hint">{escape(words(say("Choose a file to see what it is.")))}</span>')
    told = "".join(paragraph(escape(words(sentence))) for sentence in about(row, library))
    return (
        f"{preview(row.key, large=True) if row.has_preview else ''}"
        f'<h3 class="vm-title"><bdi>{file_name(row.name)}</bdi></h3>{told}{_problems(row, words)}'
        f'<div data-vae-anchor="file {row.key}">{_actions(row, library, words)}</div>{_details(row, library, words)}'
    )


# -- in three sentences --------------------------------------------------------------------------------------------
def about(row: LibraryRow, library: Library) -> list[Sentence]:
    """Return its kind, its fit, and how sure that is."""
    if row.record is None or row.answer is None:
        return [say("It has not been looked at yet; that is being done.")]
    return [_kind(row, row.record, row.answer), *_fit(row, row.record, row.answer, library), _sure(row)]


def _kind(row: LibraryRow, record: FileRecord, answer: Verdict) -> Sentence:
    family = record.family
    if row.entry is not None:
        if row.published:
            return say("This is {vae}, byte for byte as it was published.", vae=row.entry.name)
        return say("This is {vae} in another file: the same weights, in other bytes.", vae=row.entry.name)
    if isinstance(answer, Refused) and answer.reason.code not in NETWORK_CODES:
        return say("This is no VAE that the WebUI can load.")
    if row.twins:
        return say("This has the same weights as {file}.", file=plain(row.twins[0]))
    if family.family is not None and record.is_family_own:
        return say("You said that this is a VAE for {family}.", family=family_label(family.family))
    if family.family is not None and family.why == "yours by weights":
        return say(
            "You said of a file with the same weights that it is a VAE for {family}.",
            family=family_label(family.family),
        )
    if family.family is not None and family.why == "yours by encoder":
        return say(
            "This is probably a VAE for {family}: a guess, since you said so of a file with the same encoder.",
            family=family_label(family.family),
        )
    if family.family is not None and family.figure is not None:
        return say(
            "This is probably a VAE for {family}: a guess from the latent test, which gave {figure} dB.",
            family=family_label(family.family),
            figure=f"{family.figure:.1f}",
        )
    if family.family is not None:
        return say("This is a VAE for {family} that the catalogue does not know.", family=family_label(family.family))
    if record.latent_channels is not None:
        return say(
            "This is a VAE with {count} latent channels that the catalogue does not know.", count=record.latent_channels
        )
    return say("The catalogue does not know this file.")


def _fit(row: LibraryRow, record: FileRecord, answer: Verdict, library: Library) -> list[Sentence]:
    """Return how it goes with the checkpoint. The reason of a refusal stands in a line of its own."""
    ours = library.in_use.family
    if row.in_use and row.was_changed:
        return [
            say(
                "It was in use before it was changed: its earlier weights are in the model. Use it again to load these."
            )
        ]
    if row.in_use:
        return [say("It is in use: its weights are in the model.")]
    if isinstance(answer, Refused):
        return []
    questions = [answer.reason.sentence] if isinstance(answer, AskFirst) else []
    if needs_conversion(answer) and row.converted is not None:
        return [say("It was converted: use {file}.", file=plain(row.converted.name))]
    if needs_conversion(answer):
        converted = say("Converted, it can be used. That makes a second file beside it; this one stays as it is.")
        return [*questions, converted]
    if questions:
        return questions
    if library.in_use.checkpoint is None:
        return [say("No checkpoint is loaded, so whether it fits is not known yet.")]
    if ours is None:
        return []
    if record.family.sure and record.family.family == ours:
        return [say("It fits the loaded checkpoint.")]
    if not isinstance(answer, Usable) or not answer.is_compared:
        return [say("Its shapes were not compared with the loaded checkpoint, so whether it fits is not known.")]
    return [say("Its shapes fit the loaded checkpoint; whether it was made for it, shapes cannot tell.")]


def _sure(row: LibraryRow) -> Sentence:
    if row.verification is not None and row.verification.is_right:
        return _verified(row.verification)
    if row.hash_state is HashState.PROVEN:
        return say("Its SHA-256 is the published one.")
    if row.hash_state is HashState.HASHING:
        return say("Its SHA-256 is being worked out.")
    if row.sha256 is not None:
        return say("Its SHA-256 is known; no VAE of the catalogue has it.")
    return say("Its SHA-256 is not known yet; Verify works it out.")


def _verified(verification: Verification) -> Sentence:
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(verification.at))
    if verification.outcome is Outcome.UNVERIFIED and verification.was_other:
        return say(
            "It was read on {date}: each number is finite. It was written to since the reading before, so its bytes "
            "were compared with nothing; the next Verify compares them with these.",
            date=when,
        )
    if verification.outcome is Outcome.UNVERIFIED:
        return say(
            "It was read on {date}: each number is finite. There was no earlier reading to compare it with; the next "
            "Verify compares its bytes with these.",
            date=when,
        )
    if verification.entry is not None:
        return say("It was verified on {date}: its bytes are the published ones, and each number is finite.", date=when)
    return say("It was verified on {date}: its bytes are those of before, and each number is finite.", date=when)


def _problems(row: LibraryRow, words: Words) -> str:
    obstacle = obstacle_of(row.answer) if row.answer is not None else None
    sentences = [row.answer.reason.sentence] if isinstance(row.answer, Refused) else []
    if obstacle is not None:
        sentences.append(obstacle.sentence)
    reason = row.verification.reason if row.verification is not None else None
    if reason is not None and reason not in sentences:
        sentences.append(reason)
    for path in row.namesakes:
        sentences.append(
            say("{path} has the same name, and the WebUI lists only one of the two. Rename one.", path=plain(path))
        )
    return "".join(line(LOOK, words(sentence), words) for sentence in sentences)


# -- what can be done ----------------------------------------------------------------------------------------------
def _actions(row: LibraryRow, library: Library, words: Words) -> str:
    made = []

    def add(text: Sentence, action: dict[str, object], *, primary: bool = False) -> None:
        label, name = words(text), plain(row.name)
        key = f"file {action['do']} {action.get('use')} {action.get('family')} {row.key}"
        made.append(button(label, action, key, primary=primary, named=f"{label} — {name}"))

    if may_use(row, library):
        add(say("Use"), use(row), primary=True)
    if is_replaced(row):
        made.append(use_converted(row, library, words, key=f"file use {row.key}", primary=True))
    elif may_convert(row, library):
        if library.choose_refused is None:
            add(say("Convert and use"), {"do": "convert-file", "file": row.key, "use": True}, primary=True)
        add(say("Convert"), {"do": "convert-file", "file": row.key, "use": False})
    made.append(compare_button(row, library, words, key=f"file compare {row.key}"))
    if library.check_refused is None:
        add(say("Verify"), {"do": "verify-file", "file": row.key})
    if _may_try(row, library):
        add(say("Test compatibility"), {"do": "try-file", "file": row.key})
    for family in _families_to_say(row):
        text = say("This is {family}", family=family_label(family))
        add(text, {"do": "set-family", "file": row.key, "family": family})
    if row.record is not None and row.record.is_family_own:
        add(say("Clear"), {"do": "set-family", "file": row.key, "family": ""})
    return f'<div class="vm-do vm-acts">{"".join(made)}</div>' + _changes(row, library, words)


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


def _changes(row: LibraryRow, library: Library, words: Words) -> str:
    if library.change_refused is not None:
        return line(LOOK, words(library.change_refused), words)
    if row.in_use or row.chosen:
        hint = say("While it is chosen or in use it cannot be renamed, moved or deleted.")
        return f'<p class="vm-hint">{escape(words(hint))}</p>'
    delete = words(say("Delete"))
    gone = button(
        delete, {"do": "delete-file", "file": row.key}, f"delete {row.key}", named=f"{delete} — {plain(row.name)}"
    )
    return f'<div class="vm-changes">{_rename(row, words)}{_move(row, library, words)}{gone}</div>'


def _rename(row: LibraryRow, words: Words) -> str:
    label, done = escape(words(say("New name"))), escape(words(say("Rename")))
    action = escape(json.dumps({"do": "rename-file", "file": row.key}))
    return _folded(
        say("Rename …"),
        f'<form class="vm-form" data-vae-form="{action}"><label><span>{label}</span><input type="text" name="name" '
        f'required autocomplete="off" spellcheck="false" value="{escape(plain(row.path.name))}" '
        f'data-vae-key="name {row.key}"></label><button type="submit" class="vm-button" '
        f'data-vae-key="rename {row.key}">{done}</button></form>',
        f"renaming {row.key}",
        words,
    )


def _move(row: LibraryRow, library: Library, words: Words) -> str:
    """Nothing where there is one folder only."""
    places = [(number, place) for number, place in enumerate(library.folders) if place != row.path.parent]
    if not places:
        return ""
    label, done = escape(words(say("Folder"))), escape(words(say("Move")))
    action = escape(json.dumps({"do": "move-file", "file": row.key}))
    choices = "".join(
        f'<option value="{number}">{escape(plain(_place(place, library)))}</option>' for number, place in places
    )
    return _folded(
        say("Move …"),
        f'<form class="vm-form" data-vae-form="{action}"><label><span>{label}</span><select name="folder" '
        f'data-vae-key="folder {row.key}">{choices}</select></label><button type="submit" class="vm-button" '
        f'data-vae-key="move {row.key}">{done}</button></form>',
        f"moving {row.key}",
        words,
    )


def _place(folder: Path, library: Library) -> str:
    return str(folder) if library.shows_paths else folder.name


def _folded(text: Sentence, inner: str, key: str, words: Words) -> str:
    return (
        f'<details class="vm-fold" data-vae-key="{escape(key)}"><summary class="vm-button">{escape(words(text))}'
        f"</summary>{inner}</details>"
    )


# -- details -------------------------------------------------------------------------------------------------------
def _details(row: LibraryRow, library: Library, words: Words) -> str:
    facts: list[tuple[Sentence, str]] = [
        (say("Path"), plain(str(row.path)) if library.shows_paths else plain(row.name)),
        (say("Size"), f"{megabytes(row.size)} ({row.size:,} B)" if row.size >= 1000 else megabytes(row.size)),
    ]
    if row.record is not None:
        facts += _inside(row, row.record)
    listed = "".join(f"<dt>{escape(words(name))}</dt><dd>{escape(text)}</dd>" for name, text in facts)
    if row.sha256 is not None:
        copy = copy_button(row.sha256, plain(row.name), words, shown=row.sha256)
        listed += f"<dt>{escape(words(say('SHA-256')))}</dt><dd>{copy}</dd>"
    return f'<dl class="vm-facts-list">{listed}</dl>{_metadata(row, words)}'


def _inside(row: LibraryRow, record: FileRecord) -> list[tuple[Sentence, str]]:
    facts: list[tuple[Sentence, str]] = [(say("Kind of file"), record.container)]
    if record.layout != "unknown":
        facts.append((say("Layout"), record.layout))
    if record.latent_channels is not None:
        facts.append((say("Latent channels"), str(record.latent_channels)))
    if record.dtype is not None:
        facts.append((say("Precision"), record.dtype))
    if record.parameters is not None:
        facts.append((say("Parameters"), f"{record.parameters:,}"))
    if record.weights is not None:
        facts.append((say("Fingerprint of the weights"), record.weights))
    if row.entry is not None and row.entry.licence is not None:
        facts.append((say("Licence"), row.entry.licence.name))
    if row.twins:
        facts.append((say("Same weights as"), ", ".join(plain(name) for name in row.twins)))
    return facts


def _metadata(row: LibraryRow, words: Words) -> str:
    pairs = list(row.record.metadata.items())[:METADATA_SHOWN] if row.record is not None else []
    if not pairs:
        return ""
    listed = "".join(
        f"<dt>{escape(plain(name[:TEXT_SHOWN]))}</dt><dd>{escape(plain(text[:TEXT_SHOWN]))}</dd>"
        for name, text in pairs
    )
    summary = escape(words(say("Metadata inside the file")))
    return (
        f'<details class="vm-more" data-vae-key="metadata"><summary>{summary}</summary>'
        f'<dl class="vm-facts-list">{listed}</dl></details>'
    )


# -- a file from elsewhere -----------------------------------------------------------------------------------------
def adopt_form(library: Library, words: Words) -> str:
    """Takes a file of this machine into a VAE folder; nothing where strangers could ask for it."""
    if library.adopt_refused is not None or not library.folders:
        return ""
    action = escape(json.dumps({"do": "adopt-file"}))
    ways = {"copy": say("copy it"), "move": say("move it"), "link": say("link it, on one disk")}
    choices = "".join(f'<option value="{way}">{escape(words(text))}</option>' for way, text in ways.items())
    places = "".join(
        f'<option value="{number}">{escape(plain(_place(place, library)))}</option>'
        for number, place in enumerate(library.folders)
    )
    path, how, where = (escape(words(text)) for text in (say("Path of the file"), say("How"), say("Folder")))
    done = escape(words(say("Import")))
    hint = escape(words(say("The file is looked at first; what is no VAE stays where it is.")))
    return _folded_form(
        f'<form class="vm-form" data-vae-form="{action}"><label><span>{path}</span><input type="text" name="path" '
        f'required autocomplete="off" spellcheck="false" placeholder="{escape(_example(library.folders[0]))}" '
        f'data-vae-key="adopt path"></label><label><span>{how}</span><select name="how" data-vae-key="adopt how">'
        f'{choices}</select></label><label><span>{where}</span><select name="folder" data-vae-key="adopt folder">'
        f'{places}</select></label><button type="submit" class="vm-button" data-vae-key="adopt">{done}</button></form>'
        f'<p class="vm-hint">{hint}</p>',
        words,
    )


def _example(folder: Path) -> str:
    return "C:\\Users\\me\\Downloads\\my.vae.pt" if "\\" in str(folder) else "/home/me/Downloads/my.vae.pt"


def _folded_form(inner: str, words: Words) -> str:
    summary = escape(words(say("Import a local file")))
    return f'<details class="vm-more" data-vae-key="adopt"><summary>{summary}</summary>{inner}</details>'
