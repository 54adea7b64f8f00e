"""What a click in the section "Comparison" does. A comparison is a job: nothing here waits for it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ...compare import Comparison, Encoder, Kept
from ...errors import NotFoundError, RefusedError, UsageError
from ...files.json_text import parse_json
from ...library import scan
from ...sentences import Sentence, say
from ...service import Service
from ..comparison_job import begin
from ..hosts.comparison_protocol import MOST_PIXELS, Wanted
from ..translation import words_for
from .comparison_facts import Offers, proposed, start_saving

if TYPE_CHECKING:
    from ..hosts.host import Host
    from .actions import Do

Action = dict[str, Any]

PROMPT_SHOWN: Final = 60
"""Characters of a prompt that tell a picture from the others."""


def title_of(kept: Kept) -> str:
    """When it was made, and how its prompt begins."""
    prompt = kept.infotext.partition("\n")[0].strip()
    shown = prompt if len(prompt) <= PROMPT_SHOWN else prompt[:PROMPT_SHOWN].rstrip() + "…"
    when = time.strftime("%H:%M:%S", time.localtime(kept.when))
    return f"{when} · {kept.size[0]} × {kept.size[1]}" + (f" · {shown}" if shown else "")


def _compare(host: Host, service: Service, action: Action) -> None:
    """A kept picture, with the VAEs that were chosen."""
    kept = host.comparing.kept.get(action["kept"])
    if kept is None:
        raise NotFoundError(say("This picture is no longer kept. Take one of those that are listed."))
    begin(host.comparing, service, Wanted(kept, _chosen(action)), title_of(kept))


def _compare_shown(host: Host, service: Service, action: Action) -> None:
    """The picture that a person looks at in a tab, known by its infotext; else the last one of the tab, or of all.

    `vaes` are those that the person has ticked; empty if the page's proposal stands.
    """
    shown = _squeezed(action["infotext"])
    every = host.comparing.kept.all()
    if shown:
        kept = next((one for one in every if _squeezed(one.infotext) == shown), None)
    else:
        kept = next((one for one in every if one.tab == action["tab"]), next(iter(every), None))
    if kept is None and not host.comparing.kept.wanted:
        raise RefusedError(
            say(
                "The settings say that no picture is kept, so there is nothing to decode anew. “Your own image” "
                "can be compared all the same."
            )
        )
    if kept is None and shown and every:
        raise RefusedError(
            say(
                "The picture that is shown is no longer kept as it was before its VAE decoded it. Take one of the "
                "list, or encode it as your own image."
            )
        )
    if kept is None:
        raise RefusedError(say("No picture has been made yet. Make one, or take your own image."))
    vaes = _words_of(action) or proposed(host, service, scan(host.folders()), Offers())
    noted = replace(kept, note=_looks_otherwise(kept, action["size"]) or kept.note)
    begin(host.comparing, service, Wanted(noted, vaes), title_of(kept))


def _looks_otherwise(kept: Kept, size: Sequence[Any]) -> Sentence | None:
    """What to say where the picture of that infotext has another size than the shown one of `size`."""
    if len(size) != 2 or not all(isinstance(side, int) and side > 0 for side in size) or tuple(size) == kept.size:
        return None
    return say(
        "What you saw is {width} × {height}: several pictures put together, or one that was enlarged after the decode. "
        "This is the decoded picture that its infotext belongs to.",
        width=size[0],
        height=size[1],
    )


def _squeezed(text: str) -> str:
    """Without white space: the page has changed that."""
    return "".join(text.split())


def compare_picture(host: Host, service: Service, message: str, picture: Path | bytes | None) -> None:
    """Compare the person's own picture; `message` lists the VAEs, and holds the flag for encoding it with each one."""
    from ...compare.pictures import read_picture

    if picture is None:
        raise UsageError(say("Put a picture in first: drop it on the field, or click there."))
    try:
        action = parse_json(message.encode("utf-8", "surrogatepass"))
        chosen, each = _chosen(action), action["each"]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UsageError(say("The page is out of date. Reload it.")) from None
    try:
        pixels = read_picture(picture, max_pixels=MOST_PIXELS)
    except OSError as error:
        raise NotFoundError(say("This picture is not there.")) from error
    height, width = pixels.shape[:2]
    title: Sentence = say("Your own image, {width} × {height}", width=width, height=height)
    begin(host.comparing, service, Wanted(Encoder(pixels, each is True), chosen), title)


def _chosen(action: Action) -> Sequence[str]:
    vaes = _words_of(action)
    if not vaes:
        raise UsageError(say("Choose at least one VAE."))
    return vaes


def _words_of(action: Action) -> list[str]:
    vaes = action["vaes"]
    if not all(isinstance(vae, str) for vae in vaes):
        raise UsageError(say("The page is out of date. Reload it."))
    return list(vaes)


def _save(host: Host, service: Service, action: Action) -> None:
    words = words_for(host.language(), host.translations())
    start_saving(host, service, comparison_of(service, action["id"]), words)


def comparison_of(service: Service, id: str) -> Comparison:
    found = service.comparisons.get(id)
    if found is None:
        raise NotFoundError(say("This comparison is no longer kept."))
    return found


COMPARISON_ACTIONS: Final[dict[str, tuple[Do, dict[str, type]]]] = {
    "compare": (_compare, {"kept": str, "vaes": list}),
    "compare-shown": (_compare_shown, {"tab": str, "infotext": str, "size": list, "vaes": list}),
    "stop-comparison": (lambda host, service, action: service.comparing.stop(action["id"]), {"id": str}),
    "save-comparison": (_save, {"id": str}),
}
"""What a message may ask for, and the fields that it must bring."""
