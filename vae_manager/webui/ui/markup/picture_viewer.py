"""The large picture and its tools: built once for each page, and filled by the browser."""

from __future__ import annotations

from html import escape

from ....sentences import Sentence, say
from ...translation import Words


def frame(words: Words) -> str:
    """The large picture and its tools, empty; the browser fills it. Built once for each page."""
    modes: list[tuple[str, Sentence]] = [
        ("wipe", say("Wipe")),
        ("grid", say("Side by side")),
        ("difference", say("Difference")),
    ]
    views = "".join(_tool("view", name, words(text)) for name, text in modes)
    zooms: list[tuple[str, str, Sentence]] = [
        ("out", "−", say("Zoom out")),
        ("in", "+", say("Zoom in")),
        ("fit", "", say("Whole picture")),
        ("one", "1:1", say("One pixel of the picture for one of the screen")),
    ]
    zoom = "".join(_tool("zoom", name, sign or words(text), words(text)) for name, sign, text in zooms)
    follow = _tool("next", "next", words(say("Next difference")))
    tools = escape(words(say("View")))
    texts = {
        "slider": say("Boundary between {left} and {right}", left="{left}", right="{right}"),
        "value": say("{percent} % {left}", percent="{percent}", left="{left}"),
        "place": say("Difference {number} of {count}", number="{number}", count="{count}"),
        "same": say("These two are the same picture, bit for bit."),
    }
    data = "".join(f' data-vae-{name}="{escape(words(text))}"' for name, text in texts.items())
    stage = escape(words(say("The pictures. Plus, minus and 0 zoom, arrows move, N goes to the next difference.")))
    help_text = escape(
        words(
            say(
                "Drag the line. The wheel, two fingers or + and − zoom, dragging and the arrow keys move, 0 shows all; "
                "N goes where the two differ most."
            )
        )
    )
    return (
        f'<div class="vm-viewer" data-vae-viewer hidden{data}>'
        f'<div class="vm-tools" role="toolbar" aria-label="{tools}">'
        f'<span class="vm-group">{views}</span><span class="vm-group">{zoom}</span>{follow}'
        f'<span class="vm-hint" role="status" data-vae-where></span></div>'
        f'<div class="vm-stage" data-vae-stage tabindex="0" role="group" aria-label="{stage}"></div>'
        f'<p class="vm-hint" data-vae-legend hidden></p><p class="vm-hint vm-help">{help_text}</p></div>'
    )


def _tool(kind: str, name: str, text: str, spoken: str = "") -> str:
    pressed = ' aria-pressed="false"' if kind == "view" else ""
    label = f' aria-label="{escape(spoken)}" title="{escape(spoken)}"' if spoken else ""
    return f'<button type="button" class="vm-button" data-vae-{kind}="{name}"{pressed}{label}>{escape(text)}</button>'


def legend(white: int, words: Words) -> str:
    """Below a difference map. `white`: levels of 255 that white stands for; 0: there is no difference."""
    if not white:
        return words(say("These two are the same picture, bit for bit."))
    return words(
        say("Black: the same. White: {levels} of 255 levels apart, in the colour where that is most.", levels=white)
    )


def under_result(tab: str, words: Words) -> str:
    """The button under a tab's result. It is made with the accordion, and the browser puts it in its place."""
    label = escape(words(say("Compare VAEs")))
    hint = escape(words(say("Decodes this picture by other VAEs, without making it again")))
    return (
        f'<div class="vae-manager vm-under" data-vae-under="{tab}"><button type="button" class="vm-button" '
        f'data-vae-compare="{tab}" title="{hint}">{label}</button></div>'
    )
