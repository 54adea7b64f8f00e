"""Names of VAE files: with a suffix that the WebUIs list, and the name of a download for which the person gives none.

Published names can be of no use here. Each VAE of diffusers is named `diffusion_pytorch_model.safetensors`; a name can
hold a character that Windows forbids, or be longer than a disk allows; `.sft` and `.bin` are listed by no WebUI.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from ..errors import UsageError
from ..messages import msg
from .entry import (
    MAX_NAME_BYTES,
    VAE_SUFFIXES,
    HttpsSource,
    HubSource,
    Source,
    is_vae_file_name,
    name_problem,
)

__all__ = [
    "in_container",
    "is_generic",
    "listed_name",
    "listed_suffix",
    "proposed_file_name",
    "suffix_here",
    "suits_container",
]

_SUFFIX_TWINS: Final = {".sft": ".safetensors", ".bin": ".pt", ".pth": ".pt"}
"""Suffixes that other programs give to files of the formats that the WebUIs list under these."""

_GENERIC: Final = re.compile(
    r"(?:diffusion_pytorch_model|pytorch_model|model|diffusion_flax_model|vae|autoencoder)"
    r"(?P<variant>\.[a-z0-9]+(?:-[a-z0-9]+)*)?",
    re.IGNORECASE,
)
"""Stems that say only that the file is a model; the variant is diffusers' own, as in `….fp16.safetensors`."""

_AT_HUB: Final = re.compile(r"/(?:api/)?(?:v1/)?(?:models/)?([^/]+/[^/]+)/(?:resolve|raw|blob|repo)(?:/[^/]+/(.+)|/?)")
"""The path of a file's address at a mirror of the hub or at ModelScope (which has the path in `FilePath`)."""


def proposed_file_name(source: Source, published: str) -> str:
    """Return a usable name for the file that `source` publishes under `published`.

    A name that only says "a model" is replaced by that of the repository and of the folder in it. Characters that a
    system forbids become `_`, a long name is cut, and the suffix becomes one that the WebUIs list; it is left as it is
    if none of them stands for its format.

    >>> proposed_file_name(HubSource("stabilityai/sd-vae-ft-mse", "x"), "diffusion_pytorch_model.safetensors")
    'sd-vae-ft-mse.safetensors'
    >>> proposed_file_name(HttpsSource("https://example.org/a"), "my:vae?.SFT")
    'my_vae_.safetensors'
    """
    suffix = suffix_here(published)
    stem = published[: -len(PurePosixPath(published).suffix)] if suffix else published
    generic = _GENERIC.fullmatch(stem)
    if generic is not None and (place := _place(source)) is not None:
        own = [] if "model" in stem.lower() or "vae" in "".join(place).lower() else ["vae"]
        stem = "-".join([*place, *own]) + (generic["variant"] or "").replace(".", "-")
    return _usable(stem, suffix)


def is_generic(name: str) -> bool:
    """Return whether a file's name says only that it is a model, so that files with other bytes have it too.

    >>> is_generic("diffusion_pytorch_model.fp16.safetensors"), is_generic("ae.safetensors")
    (True, False)
    """
    return _GENERIC.fullmatch(PurePosixPath(name).stem) is not None


def listed_name(name: str, file_name: str) -> str:
    """Return `name`, without outer spaces, with a suffix that the WebUIs list.

    That is its own one, in lower case, or what stands for it, else that of `file_name`. Raises UsageError without one.

    >>> listed_name("mine", "a.vae.pt"), listed_name(" ae.sft ", "a.pt")
    ('mine.vae.pt', 'ae.safetensors')
    """
    name = name.strip(" ")  # a line break or a tab is refused later, as in any name
    if suffix := suffix_here(name):
        whole = name[: -len(PurePosixPath(name).suffix)] + suffix
    else:
        whole = name + (listed_suffix(file_name).lower() or suffix_here(file_name))
    if not is_vae_file_name(whole):
        raise UsageError(
            msg(
                "{file} is no VAE file: the WebUI loads .safetensors, .ckpt and .pt files.",
                code="unlisted-extension",
                file=whole,
            )
        )
    return whole


def listed_suffix(name: str) -> str:
    """Return `.vae.pt` of `a.vae.pt`, `.pt` of `a.pt`; empty for the name of any other file."""
    for suffix in VAE_SUFFIXES:
        if name.lower().endswith(suffix):
            length = len(suffix) + (4 if name[: -len(suffix)].lower().endswith(".vae") else 0)
            return name[-length:]
    return ""


def suffix_here(name: str) -> str:
    """Return the suffix under which the WebUIs list a file published as `name`; empty for a file of another kind."""
    suffix = PurePosixPath(name).suffix.lower()
    known = _SUFFIX_TWINS.get(suffix, suffix)
    return known if known in VAE_SUFFIXES else ""


def suits_container(name: str, container: str) -> bool:
    """Return whether the WebUIs, which read by the suffix alone, read a file of this container under `name` rightly."""
    is_safetensors = name.lower().endswith(".safetensors")
    return container not in ("safetensors", "pickle") or is_safetensors == (container == "safetensors")


def in_container(name: str, container: str) -> str:
    """Return a proposed name with the suffix of the file's real container, if it has one of the other container."""
    if suits_container(name, container) or not suffix_here(name):
        return name
    return PurePosixPath(name).stem + (".safetensors" if container == "safetensors" else ".ckpt")


def _place(source: Source) -> tuple[str, ...] | None:
    """Return the name of the source's repository and those of the folders in it; None without a repository."""
    if isinstance(source, HubSource):
        repo, path = source.repo, source.path
    elif isinstance(source, HttpsSource):
        parts = urlsplit(source.url)
        match = _AT_HUB.fullmatch(parts.path)
        if match is None:
            return None
        repo = unquote(match[1])
        path = unquote(match[2] or "") or parse_qs(parts.query).get("FilePath", [""])[0]
    else:
        return None
    return (repo.rpartition("/")[2], *PurePosixPath(path).parts[:-1])


def _usable(stem: str, suffix: str) -> str:
    """Return the nearest name that a file can have on each system."""
    readable = (character if character.isprintable() else "" for character in stem)
    stem = re.sub(r'[<>:"/\\|?*]', "_", "".join(readable)).strip(" .").lstrip("-")
    stem = _cut(stem or "vae", MAX_NAME_BYTES - len(suffix)).rstrip(" .")
    name = stem + suffix
    if name_problem(name) is None:
        return name
    return f"_{_cut(stem, MAX_NAME_BYTES - len(suffix) - 1).rstrip(' .')}{suffix}"  # a device of Windows, such as `nul`


def _cut(text: str, count: int) -> str:
    """Return the beginning of `text` that has at most `count` bytes in UTF-8."""
    return text.encode(errors="ignore")[:count].decode(errors="ignore")
