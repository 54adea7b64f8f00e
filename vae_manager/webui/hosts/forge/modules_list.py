"""List of modules on Forge (VAE and text encoders), and its names in infotext.

Forge loads the modules beside a checkpoint: VAEs and text encoders in one list, by their full paths. Like Forge
(backend/loader.py replace_state_dict), this module distinguishes them by their keys, and an unreadable file by its
folder.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from modules import sd_vae
from modules_forge import main_entry

from ....compare.pictures import with_modules
from ....errors import VaeManagerError
from ....files import FileRecord, Identity, identity_of, inspect
from ....files.layouts import canonical
from ....infotext import NamedVae
from ....messages import Message, msg
from ....records.verdict import FORGE, NEO, HostCapability, Refused, VaeSignature, obstacle_of, verdict
from ....service import Service
from ...pasted_pictures import paste
from ..common import options, patches
from ..host_values import Ignored
from . import detection
from .detection import GGUF, OPTION, is_gguf, is_text_encoder

if TYPE_CHECKING:
    from .adapter import Forge


VAES = ("ldm", "diffusers", "prefixed", "tiny", "wan", "video")
"""Layouts of VAEs, loadable or not."""


_EMBEDDINGS: Final = frozenset({"emb_params", "clip_l", "clip_g"})
"""All tensors of an embedding (modules/textual_inversion/textual_inversion.py create_embedding_from_data)."""

DECODED_BY = "vae_manager_decoded_by"
"""Attribute of a generation: path and short hash of the VAE that decoded its last batch."""
PASTED = "VAE/TE"
"""The field in which Forge collects the overrides (infotext_utils.py:459): base names, or stems of files that do not
exist."""
HASH = "VAE hash"


class Modules(NamedTuple):
    """The files of the list of modules, by kind."""

    vaes: tuple[str, ...]
    """If there are several, the last one is used."""
    others: tuple[str, ...]
    """Text encoders and unknown files: Forge gets those that `refusal` allows."""


def chosen(option: str = OPTION) -> list[str]:
    """Return the present value of an option with a list of modules, by default the list in force."""
    value = options.read(option, [])
    return [str(path) for path in value] if isinstance(value, list) else []


def sort_out(files: Iterable[str]) -> Modules:
    """Split paths into VAEs and others, each in their order. It reads the headers of files that are new or changed."""
    ordered = list(files)
    vaes = tuple(path for path in ordered if is_vae(path))
    return Modules(vaes, tuple(path for path in ordered if path not in vaes))


def with_vae(files: Sequence[str], vae: str | None) -> list[str]:
    """Return `files` with this VAE in place of those that are there, or without any."""
    modules = sort_out(files)
    return [*([vae] if vae is not None else []), *modules.others]


def found(name: str) -> str | None:
    """Return the file of this base name in Forge's list, new ones included."""
    path: str | None = main_entry.module_list.get(name)
    return path


def listed(named: str) -> str | None:
    """Return the file that a path or a base name means; None for one that is in no list of the WebUI.

    Neo's X/Y/Z lists VAEs beside checkpoints too, which are not in the list of modules.
    """
    name = Path(named).name
    path = found(name)
    if path is None and name in sd_vae.vae_dict:
        path = main_entry.module_list.setdefault(name, str(Path(sd_vae.vae_dict[name]).absolute()))
    return path if path is not None and is_same(named, path) else None


def is_same(named: str, path: str) -> bool:
    """Return True if the name or path `named` means the file at `path`."""
    return named == Path(named).name or Path(named).absolute() == Path(path).absolute()


class _ShownNames(dict[str, str]):
    """Neo's table of the names that its row shows, without a KeyError for a file that has gone."""

    def __missing__(self, name: str) -> str:
        return name


def keep_shown_names() -> None:
    """Let Neo find a name for each file: it looks up those of the preset at each load of a page, without a default.

    Versions up to 2.26 have no such table.
    """
    table = getattr(main_entry, "module_map", None)
    if isinstance(table, dict) and not isinstance(table, _ShownNames):
        main_entry.module_map = _ShownNames(table)


def show(name: str, below_folder: str) -> None:
    """Add a file to Neo's table of names, by its path below its folder."""
    table = getattr(main_entry, "module_map", None)
    if table is not None:
        table.setdefault(name, below_folder)


def shown(name: str) -> str:
    """Return the name under which the row shows a file."""
    table = getattr(main_entry, "module_map", None)
    if table is None or options.read("sd_modules_dropdown_use_short", False):
        return name
    return str(table.get(name, name))


def is_left_to_the_host(path: str, checkpoint: VaeSignature | None) -> bool:
    """Return True for a VAE of a kind that cannot be exchanged in a loaded model, but that the host can load.

    With a `checkpoint`, it also fits: Neo itself does not compare the two.
    """
    identity = identity_of(Path(path))
    if identity is None or _layout(identity) not in capability().own_layouts:
        return False
    return checkpoint is None or not isinstance(verdict(inspect(Path(path)), capability(), checkpoint), Refused)


def refusal(path: Path, checkpoint: VaeSignature | None = None) -> Message | None:
    """Return why Forge's loader does not get a file of the list; it gets text encoders, and VAEs that can be read.

    The loader recognises a file by single tensors in it, and leaves out or mixes in unknown ones. With a `checkpoint`,
    the reason for a file with parts of a VAE is that of its row in the library.
    """
    if is_gguf(path):
        return None
    record = inspect(path)
    if record.problems:
        return record.problem
    if is_text_encoder(record.tensors) or has_vae(record):
        return None
    if record.facts.has_decoder or record.facts.has_encoder:
        answer = verdict(record, capability(), checkpoint)
        obstacle = obstacle_of(answer)
        if isinstance(answer, Refused):
            return answer.reason.message
        if obstacle is not None:
            return obstacle.message
    return _kind(record)


def _kind(record: FileRecord) -> Message:
    """Return the kind of a file that is neither a VAE nor a text encoder, and its place if that is known."""
    name = record.path.name
    if record.layout == "lora":
        return msg(
            "{file} is a LoRA. It is not used here: a LoRA is named in the prompt.", code="lora-ignored", file=name
        )
    if record.tensors and _EMBEDDINGS.issuperset(record.tensors):
        return msg(
            "{file} is an embedding. It is not used here: an embedding is named in the prompt.",
            code="embedding-ignored",
            file=name,
        )
    return msg(
        "{file} is neither a VAE nor a text encoder that is known. It is not used.", code="unknown-ignored", file=name
    )


def ignored(files: Iterable[str]) -> tuple[Ignored, ...]:
    """Return those of a list that Forge's loader does not get, each with the reason.

    A VAE is not among them: its state is reported elsewhere.
    """
    found = ((Path(path), identity_of(Path(path))) for path in sort_out(files).others)
    reasons = ((path, _refusal(identity)) for path, identity in found if identity is not None)
    return tuple(Ignored(path.name, reason) for path, reason in reasons if reason is not None)


@functools.lru_cache(maxsize=4096)
def _refusal(identity: Identity) -> Message | None:
    """Return the cached `refusal`, which reads the file; the page calls this often."""
    try:
        return refusal(Path(identity.path))
    except VaeManagerError as error:
        return error.message


def has_vae(record: FileRecord) -> bool:
    """Return True for a VAE of which every tensor is known, or of a kind that the host reads itself."""
    found = canonical(record.tensors)
    return record.layout in capability().own_layouts or (found is not None and found.layout != "checkpoint")


def capability() -> HostCapability:
    """Return the layouts and containers of VAE files that this WebUI can load."""
    return NEO if detection.loads_video_vaes() else FORGE


def is_encoder(path: str) -> bool:
    """Return True for a text encoder, by its tensors; by its folder if it cannot be read."""
    try:
        tensors = inspect(Path(path)).tensors
    except VaeManagerError:
        return not is_vae(path)
    return is_text_encoder(tensors) if tensors else not is_vae(path)


def is_vae(path: str) -> bool:
    """Return True for a VAE by its tensors; an unreadable or missing file is one outside the text encoders' folders."""
    identity = identity_of(Path(path))
    by_content = _by_content(identity) if identity is not None else None
    return by_content if by_content is not None else not _in_folder_of_encoders(path)


def _by_content(identity: Identity) -> bool | None:
    """Return True for a VAE by its content; None if the file cannot be read."""
    if Path(identity.path).suffix.lower() == GGUF:
        return False
    layout = _layout(identity)
    return layout in VAES if layout is not None else None


@functools.lru_cache(maxsize=4096)
def _layout(identity: Identity) -> str | None:
    try:
        inspection = inspect(Path(identity.path))
    except VaeManagerError:
        return None
    return inspection.layout if inspection.tensors else None


def _in_folder_of_encoders(path: str) -> bool:
    return any(Path(path).absolute().is_relative_to(folder) for folder in detection.encoder_folders())


def decoder(host: Forge) -> tuple[str | None, str | None]:
    """Return path and short hash of the VAE file that decodes now; None for Built-in and for TAESD."""
    name, short_hash = patches.decoder(host)
    return (host.vae.path(host.model()) if name is not None else None), short_hash


def with_decoder(text: str, files: Sequence[str] | None, path: str | None, short_hash: str | None) -> str:
    """Return `text` with the VAE at `path` in the place of the VAEs in it.

    `files` are the modules that it names; None to find them by their stems.
    """
    named = files if files is not None else list(main_entry.module_list.values())
    vaes = [Path(file).stem for file in sort_out(named).vaes]
    return with_modules(text, vaes, Path(path).stem if path is not None else None, short_hash)


def into_fields(host: Forge, service: Service, fields: dict[str, Any]) -> None:
    """Let a pasted picture name the file that has its VAE's bytes, under its name on this machine."""
    asked = fields.get(PASTED)
    passes = patches.into_pass_fields(host, service, fields)
    service.picture = None
    if passes.base is not None:
        # Forge leaves its field out if the modules that decoded are those of now.
        names = asked if isinstance(asked, list) else [Path(path).name for path in chosen()]
        word = paste(host, service, NamedVae.read(passes.base, None))
        fields[PASTED] = [*([word] if word is not None else []), *(name for name in names if _is_other(name))]
    elif isinstance(asked, list):
        kept = []
        for name in asked:
            word = name if _is_other(name) else paste(host, service, NamedVae.read(name, fields.get(HASH)))
            kept += [word] if word is not None else []
        fields[PASTED] = kept
    passes.notice_missing(host, service)


def _is_other(name: str) -> bool:
    """Return True for a listed file that is no VAE."""
    path = found(name)
    return path is not None and not is_vae(path)
