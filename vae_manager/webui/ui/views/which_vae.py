"""Views of which VAE is in use, and of the VAE that a pasted picture names."""

from __future__ import annotations

from functools import partial

from markupsafe import Markup

from ....catalogue import not_offered
from ....infotext import Finding
from ....messages import Message, msg
from ...pasted_pictures import Pasted
from ...translation import Translator
from ..rendering import INFO, WARNING, Button, render, use_here
from ..vae_options import family_label
from ..view_model import Builtin, Facts
from .download_list import SHOWN_AT_ONCE, offer
from .status import not_loaded

_html = partial(render, "which_vae.html")


def pasted(facts: Facts, translate: Translator) -> Markup:
    """Render the line of the last pasted picture, until its dismissal."""
    told = facts.picture
    if told is None:
        return Markup()
    text = _picture(told)
    for message in (*_findings(told), *_family(told, facts), *_outcome(told)):
        text = msg("{first} {rest}", first=text, rest=message)
    kind = INFO if told.match.finding is Finding.UNDECIDED else WARNING
    return _html("pasted", translate, kind, text, _use(told, facts))


def pasted_title(facts: Facts, translate: Translator) -> str:
    """Return the part of a closed accordion's title about the pasted picture."""
    told = facts.picture
    if told is None or told.match.finding is Finding.UNDECIDED:
        return ""
    return " · " + translate(msg("! the pasted picture's VAE", code="pasted-picture"))


def _picture(told: Pasted) -> Message:
    named = told.picture.named
    if named.hash is None:
        return msg("The picture names {file}, without a hash.", code="picture-names", file=named.name)
    return msg(
        "The picture names {file} with the hash {hash}.", code="picture-names-hash", file=named.name, hash=named.hash
    )


def _findings(told: Pasted) -> list[Message]:
    """Return the match of its VAE in the library."""
    found = told.match
    if found.finding is Finding.EXACT:
        return [msg("It is here now.", code="here-now")]
    if found.finding is Finding.BY_NAME and found.same_name is not None:
        return [msg("By its name it is {file} here.", code="here-by-name", file=found.same_name.name)]
    if found.finding is Finding.OTHER_NAME and found.same_hash is not None:
        if found.same_name is None:
            return [msg("A file with this hash is here as {other}.", code="here-by-hash", other=found.same_hash.name)]
        here = found.same_name.name
        return [
            msg(
                "The {file} here is another file; {other} has this hash.",
                code="other-file-here",
                file=here,
                other=found.same_hash.name,
            )
        ]
    if found.finding is Finding.OTHER_BYTES:
        return _other_bytes(told)
    if found.finding is Finding.UNDECIDED:
        return [
            msg(
                "Whether a file here has this hash is not known yet; it is being worked out.", code="hash-not-known-yet"
            )
        ]
    if found.finding is Finding.OFFERED and found.entry is not None:
        return [
            msg(
                "It is not here. {vae} has this hash and can be fetched.",
                code="not-here-but-offered",
                vae=found.entry.name,
            )
        ]
    if found.finding is Finding.RECOGNISED and found.entry is not None:
        return [msg("It is not here.", code="not-here"), not_offered(found.entry)]
    if found.finding is Finding.MISSING:
        return [msg("It is not here.", code="not-here")]
    if found.has_unhashable:
        return [msg("It is unknown here, as far as the hashes of the files here are known.", code="unknown-so-far")]
    return [msg("It is unknown: no file here has this hash, and no VAE of the catalogue.", code="unknown-hash")]


def _other_bytes(told: Pasted) -> list[Message]:
    found = told.match
    file = found.same_name.name if found.same_name is not None else told.picture.named.name
    if found.same_hash is not None and found.entry is not None:
        return [
            msg(
                "The {file} here is {vae} as published, and {other} has this hash: the hash in the picture is probably "
                "wrong.",
                file=file,
                vae=found.entry.name,
                other=found.same_hash.name,
            )
        ]
    differs = msg(
        "The {file} here has another hash: it is another file, or the hash in the picture is wrong.",
        code="other-hash-here",
        file=file,
    )
    if found.entry is None:
        return [differs]
    if not found.entry.offered:
        return [differs, not_offered(found.entry)]
    return [differs, msg("{vae} has this hash and can be fetched.", code="offered-by-hash", vae=found.entry.name)]


def _family(told: Pasted, facts: Facts) -> list[Message]:
    """Return a warning for a VAE of another family, which would turn the loaded checkpoint's pictures into noise."""
    offer, ours = told.match.offer, facts.in_use.family
    if offer is None or ours in (None, offer.family):
        return []
    theirs = family_label(offer.family)
    return [
        msg(
            "It is made for {theirs}, the loaded checkpoint is {ours}.",
            code="made-for-other-family",
            theirs=theirs,
            ours=family_label(ours),
        )
    ]


def _outcome(told: Pasted) -> list[Message]:
    """Return the VAE of the next pictures."""
    taken, use = told.picture.override, told.match.use
    if taken is None:
        return (
            []
            if told.choosable is not None
            else [msg("The next pictures keep your own choice.", code="next-keep-choice")]
        )
    if use is not None and taken != use:
        return [msg("Paste the picture again to take {file}.", code="paste-again", file=use)]
    return [msg("The next pictures take {file}.", code="next-take", file=taken)]


def _use(told: Pasted, facts: Facts) -> Button | None:
    file = told.choosable
    if file is None or facts.choose_refused is not None:
        return None
    return Button(msg("Use"), use_here(file), "use picture", file, primary=True)


def definition(translate: Translator) -> Markup:
    """Return the sentences that say what a VAE is."""
    return render("labels.html", "definition", translate)


def which_vae(facts: Facts, translate: Translator) -> Markup:
    """Render the checkpoint's own VAE, known facts of other VAEs, and the suggested action."""
    return _html(
        "which_vae",
        translate,
        loaded=_checkpoint(facts, facts.builtin) if facts.in_use.checkpoint is not None else None,
        not_loaded=not_loaded(facts),
        family=facts.family,
        offered=[offer(row, facts, translate) for row in facts.rows[:SHOWN_AT_ONCE]],
        measured=facts.measured,
    )


def _checkpoint(facts: Facts, builtin: Builtin) -> Message:
    checkpoint = facts.in_use.checkpoint
    family: Message | str = (
        family_label(facts.in_use.family) if facts.in_use.family is not None else msg("of an unknown family")
    )
    if builtin.name is not None:
        return msg(
            "{checkpoint} is {family}. The VAE that it carries has the same weights as {vae}.",
            code="carries-same-weights",
            checkpoint=checkpoint,
            family=family,
            vae=builtin.name,
        )
    if builtin.is_known:
        return msg(
            "{checkpoint} is {family}. The VAE that it carries is none of those that are here, so what it is cannot be "
            "told.",
            code="carries-other-weights",
            checkpoint=checkpoint,
            family=family,
        )
    return msg(
        "{checkpoint} is {family}. It is not known which VAE it carries.",
        code="carries-unknown-weights",
        checkpoint=checkpoint,
        family=family,
    )
