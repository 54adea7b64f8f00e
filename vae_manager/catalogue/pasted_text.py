"""The address in a pasted text, without what chats, forums, web pages and commands have around it.

An address that stands alone stays as it is, but for quotes and invisible characters: catalogues and histories write it
so. Only what is around another text's one address is taken away; of several addresses none is chosen.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Final
from urllib.parse import parse_qs, quote, unquote, urlsplit

from ..errors import UsageError
from ..messages import msg

__all__ = ["CIVITAI_HOSTS", "HUB_HOSTS", "MIRROR_HOSTS", "MODELSCOPE_HOSTS", "cleaned"]

HUB_HOSTS: Final = ("huggingface.co", "hf.co")
MIRROR_HOSTS: Final = ("hf-mirror.com",)
"""Hosts with the pages of the hub under their own name: a file there is fetched there."""
MODELSCOPE_HOSTS: Final = ("modelscope.cn", "modelscope.ai")
CIVITAI_HOSTS: Final = ("civitai.com", "civitai.red", "civitai.green")
"""One site under several names, with the same numbers."""
_KNOWN_HOSTS: Final = (*HUB_HOSTS, *MIRROR_HOSTS, *MODELSCOPE_HOSTS, *CIVITAI_HOSTS)

_UNSEEN: Final = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
"""Invisible characters: web pages put them into long words, and Windows before a copied path."""
_BLANKS: Final = re.compile("[\u00a0\u2000-\u200a\u202f\u3000]")
_PAIRS: Final = {"(": ")", "[": "]", "'": "'", '"': '"', "`": "`", "<": ">", "“": "”", "‘": "’", "«": "»", "「": "」"}
_ENTITIES: Final = {
    "&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&#39;": "'", "&#x27;": "'", "&#47;": "/", "&#x2f;": "/",
}  # fmt: skip
"""Only these, with their semicolon: `&copy=1` is a field of a query."""
_ENTITY: Final = re.compile("|".join(_ENTITIES), re.IGNORECASE)
_ESCAPED: Final = re.compile(r"\\([_*~().#&?=/+-])")
"""A character that Markdown or JSON escapes; no address has a backslash."""
_HTTP: Final = re.compile(r"https?:(?:\\?/){2}", re.IGNORECASE)
_EMBEDDED: Final = re.compile(r"https?://(?:\[[0-9a-f:.%]+\])?[^\s\"'<>`|\[\]{}“”‘’«»「」]+", re.IGNORECASE)
_AFTER_ADDRESS: Final = ".,;:!?)]}>'\"”’*~\\。，、；：！？）】》"
"""What follows an address in a text, and no address ends with."""
_SPLIT_BY_MARKS: Final = re.compile(r"(?<=[\w/])[,;|](?=https?://)", re.IGNORECASE)
_ENCODED_BLANKS: Final = re.compile(r"(?:%20|%09|%0a|%0d)+$", re.IGNORECASE)
_ANOTHER: Final = re.compile(r"\s\S{0,3}https?://", re.IGNORECASE)
_MISSPELT: Final = (
    (re.compile(r"view-source:", re.IGNORECASE), ""),
    (re.compile(r"(?:https?:/{1,2})+(?=https?://)", re.IGNORECASE), ""),
    (re.compile(r"(?!https?://)h(?:xx|tt)p(s?)(?:\[:\]|:)/{1,2}(?=[^/\s])", re.IGNORECASE), r"http\1://"),
    (re.compile(r"(?:ht|t)?tp(s)(?:://?|//)(?=[^/\s])", re.IGNORECASE), "https://"),
    (re.compile(r"https//(?=[^/\s])", re.IGNORECASE), "https://"),
    (re.compile(r"(https?)：/{1,2}(?=[^/\s])", re.IGNORECASE), r"\1://"),
    (re.compile(r"(?:ssh://)?git@(hf\.co|huggingface\.co)[:/]", re.IGNORECASE), r"https://\1/"),
)
_KNOWN_ADDRESS: Final = re.compile(
    rf"(?:https?:)?(?://)?(?:www\.)?(?:{'|'.join(map(re.escape, _KNOWN_HOSTS))})(?::443)?/", re.IGNORECASE
)
_FILE_END: Final = re.compile(r"\.(?:safetensors|sft|ckpt|pth?|bin|gguf)(?=[.,;:!?)\]]*\s)", re.IGNORECASE)
_TEXT_AFTER_FILE: Final = re.compile(
    r"(\.(?:safetensors|sft|ckpt|pth?|bin|gguf))[。，、；：！？）】》].*", re.IGNORECASE | re.DOTALL
)
"""A text in Chinese or Japanese goes on without a blank."""

_REPO: Final = re.compile(r"\w[\w.-]*/\w[\w.-]*")
_COMMAND: Final = re.compile(r"(?:huggingface-cli|hf)\s+download\s+([^|;&]*)")
_WORD: Final = re.compile(r"\"[^\"]*\"|'[^']*'|\S+")
_SWITCHES: Final = frozenset(("--dry-run", "--force-download", "--quiet", "--resume-download"))
"""Options of the command that take no value."""
_CALL: Final = re.compile(r"(hf_hub_download|hf_hub_url|snapshot_download|from_pretrained)\(([^)]*)")
_ARGUMENT: Final = re.compile(r"(?:(\w+)\s*=\s*)?[\"']([^\"']*)[\"']")
_LEADERS: Final = {
    "google.com/url": ("q", "url"), "l.facebook.com/l.php": ("u",), "youtube.com/redirect": ("q",),
    "out.reddit.com": ("url",), "steamcommunity.com/linkfilter": ("u", "url"), "vk.com/away.php": ("to",),
}  # fmt: skip
"""Pages of sites that lead to another address, and the query field that has it."""


def cleaned(text: str) -> str:
    """Return `text` without what copying and pasting has added.

    Raises UsageError if it has several addresses.
    """
    text = _bare(_BLANKS.sub(" ", _UNSEEN.sub("", text)).strip())
    text = _named_by_command(text) or text
    if _HTTP.search(text):
        text = _ENTITY.sub(lambda match: _ENTITIES[match[0].lower()], text)
        text = _bare(_ESCAPED.sub(r"\1", text))
    if re.match(r"https?%3a%2f%2f", text, re.IGNORECASE):
        text = unquote(text)
    for pattern, right in _MISSPELT:
        text = pattern.sub(right, text, count=1) if pattern.match(text) else text
    text = _ENCODED_BLANKS.sub("", _only_address(text)) if _HTTP.search(text) else text
    text = _TEXT_AFTER_FILE.sub(r"\1", text) if _HTTP.match(text) else text
    if _KNOWN_ADDRESS.match(text):
        text = "https://" + re.sub(r"^(?:https?:)?/{0,2}", "", text, flags=re.IGNORECASE)
        return re.sub(r"\s*[\r\n\t]+\s*", "", text).rstrip(_AFTER_ADDRESS)
    return _led_to(text)


def _bare(text: str) -> str:
    """Return `text` without quotes and brackets around all of it."""
    while len(text) > 1 and _PAIRS.get(text[0]) == text[-1]:
        is_link = text[0] == "<" and _HTTP.match(text, 1) is not None
        text = text[1:-1].strip()
        text = text.partition("|")[0] if is_link else text  # Slack's <ADDRESS|NAME>
    return text


def _only_address(text: str) -> str:
    """Return the one address in a text that has more than that; a text that is an address, or has none, as it is."""
    starts = [match.start() for match in re.finditer("https?://", text, re.IGNORECASE)]
    if not starts:
        return text
    are_several = _ANOTHER.search(text) or (_KNOWN_ADDRESS.match(text) and _SPLIT_BY_MARKS.search(text))
    if starts[0] == 0 and not are_several:
        return _first_of(text)
    found = [
        _TEXT_AFTER_FILE.sub(r"\1", match[0]).rstrip(_AFTER_ADDRESS)
        for match in _EMBEDDED.finditer(_SPLIT_BY_MARKS.sub(" ", text))
    ]
    return _same(dict.fromkeys(_without_marks(one) for one in found)) or text


def _first_of(text: str) -> str:
    """Return an address at the beginning of `text`, without the words after it; its path may have blanks."""
    blank = re.search(r"\s", text)
    if blank is None:
        return text
    if (end := _FILE_END.search(text)) is not None and "?" not in text[: end.end()]:
        return text[: end.end()]
    return text[: blank.start()].rstrip(_AFTER_ADDRESS) if "?" in text[: blank.start()] else text


def _without_marks(address: str) -> str:
    """Return an address without Markdown's underlines, which an address can contain."""
    return address.removesuffix("__")


def _same(addresses: Collection[str]) -> str:
    """Return the one address; empty without any. Raises UsageError for several."""
    if len(addresses) > 1:
        raise UsageError(
            msg("The text has {count} addresses. Give one of them.", code="several-addresses", count=len(addresses))
        )
    return next(iter(addresses), "")


def _named_by_command(text: str) -> str | None:
    """Return the source that a command or a line of Python for huggingface_hub names; None for another text."""
    if (command := _COMMAND.search(text)) is not None:
        return _in_command(_WORD.findall(command[1]))
    call = _CALL.search(text)
    return _in_call(call[1], _ARGUMENT.findall(call[2])) if call is not None else None


def _in_command(words: Sequence[str]) -> str | None:
    """Return the source that the arguments of `hf download` name."""
    places: list[str] = []
    options: dict[str, str] = {}
    left = iter(word.strip("\"'") for word in words if word not in ("\\", "^", "`"))  # a line that continues
    for word in left:
        name, is_whole, value = word.partition("=")
        if not word.startswith("-"):
            places.append(word)
        elif name not in _SWITCHES:
            options[name] = value if is_whole else next(left, "")
    if options.get("--repo-type", "model") != "model" or not places:
        return None
    return _hub_text(places[0], places[1] if len(places) == 2 else "", "", options.get("--revision", ""))


def _in_call(function: str, arguments: Sequence[tuple[str, str]]) -> str | None:
    """Return the source that a call with these keywords and texts names; an empty keyword is a place in the order."""
    places = [value for name, value in arguments if not name]
    named = {name: value for name, value in arguments if name}
    order = {"hf_hub_download": 2, "hf_hub_url": 2}.get(function, 1)
    names = ("pretrained_model_name_or_path" if function == "from_pretrained" else "repo_id", "filename")
    named = {**dict(zip(names[:order], places, strict=False)), **named}
    if named.get("repo_type", "model") != "model":
        return None
    file = named.get("filename", "") if order == 2 else ""
    return _hub_text(named.get(names[0], ""), file, named.get("subfolder", ""), named.get("revision", ""))


def _hub_text(repo: str, file: str, folder: str, revision: str) -> str | None:
    """Return the source of a file, or of a folder if `file` is empty, in the notation; None without a repository."""
    if not _REPO.fullmatch(repo):
        return None
    if file:
        path = (f"{folder}/{file}" if folder else file).replace("%", "%25").replace("@", "%40")
        return f"hub:{repo}/{path}" + (f"@{revision}" if revision else "")
    tree = f"/tree/{quote(revision or 'main', safe='')}" if revision or folder else ""
    return f"https://{HUB_HOSTS[0]}/{repo}{tree}" + (f"/{folder}" if folder else "")


def _led_to(text: str) -> str:
    """Return the address to which a page of a known site leads; another text as it is."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return text
    place = (parts.hostname or "").removeprefix("www.") + parts.path.rstrip("/")
    for page, fields in _LEADERS.items():
        if place == page or (place.startswith(f"{page}/") and "." in page.rpartition("/")[2]):
            query = parse_qs(parts.query)
            there = next((query[field][0] for field in fields if field in query), "")
            return cleaned(there) if _HTTP.match(there) else text
    return text
