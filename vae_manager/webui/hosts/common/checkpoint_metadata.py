"""Metadata of the loaded checkpoint: its card, its family, and the dtype of its weights.

The card is the JSON file beside the checkpoint in which the WebUI keeps a person's metadata. Its key "vae" is the
"Preferred VAE" (ui_extra_networks_checkpoints_user_metadata.py:13). The WebUI and other extensions keep more there, so
only that key is changed, and an unreadable file is never replaced.
"""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

from ....catalogue.engines import families_of_class
from ....errors import DiskError, RefusedError
from ....files.headers import TORCH_DTYPE_NAMES
from ....files.state_file import DamagedError, bytes_of, replace_file
from ....messages import msg

KEY = "vae"

_writing = threading.Lock()


def card_of(checkpoint_file: str) -> str:
    """Return the path of the card, as extra_networks.get_user_metadata finds it (extra_networks.py:209)."""
    return os.path.splitext(checkpoint_file)[0] + ".json"  # noqa: PTH122  # the WebUI's own spelling of the path


def preference(checkpoint_file: str) -> str | None:
    """Return the "Preferred VAE"; None without a readable card or without a preference in it."""
    preferred = field(checkpoint_file, KEY)
    return str(preferred) if preferred is not None else None


def prefer(checkpoint_file: str, word: str | None) -> None:
    """Make `word` (the WebUI's; None removes it) the preference. As `put`."""
    put(checkpoint_file, KEY, word)


def field(checkpoint_file: str, key: str) -> Any:
    """Return the value of `key` in the card; None without a readable card or without the key."""
    try:
        return _read(Path(card_of(checkpoint_file))).get(key)
    except (OSError, ValueError, RecursionError):
        return None


def put(checkpoint_file: str, key: str, value: Any) -> None:
    """Set `key` of the card to `value` (None removes it) atomically: a reader gets the old card or the new one.

    Raises RefusedError for an invalid card, DiskError if it cannot be read or written: it stays unchanged.
    """
    path = Path(card_of(checkpoint_file))
    with _writing:
        try:
            card = _read(path)
        except (ValueError, RecursionError) as error:
            raise RefusedError(
                msg(
                    "{file}, the checkpoint's card, is damaged: {reason}. Nothing was changed. Mend the file or move "
                    "it away, and try again.",
                    code="card-damaged",
                    file=path.name,
                    reason=str(error)[:200],
                )
            ) from error
        except OSError as error:
            raise DiskError(
                msg("{path} cannot be read: {reason}.", code="unreadable", path=path, reason=error.strerror or error)
            ) from error
        if card.get(key) == value and (value is not None or key not in card):
            return
        changed = {**card, key: value} if value is not None else {one: card[one] for one in card if one != key}
        _write(path, changed)
    _tell_the_webui(checkpoint_file, changed)


def _read(path: Path) -> dict[str, Any]:
    """Return the card; an empty one if there is no file."""
    try:
        written, _ = bytes_of(path)
        if written is None:
            return {}
        card = json.loads(written.decode("utf-8"))  # as strictly as the WebUI itself
    except DamagedError as error:
        raise ValueError(str(error)) from error
    if not isinstance(card, dict):
        raise ValueError(f"{type(card).__name__} in place of an object")
    return card


def _write(path: Path, card: dict[str, Any]) -> None:
    try:
        replace_file(path, _as_the_webui_writes(card))
    except OSError as error:
        raise DiskError(
            msg("{path} cannot be written: {reason}", code="not-writable", path=path, reason=error.strerror or error)
        ) from error


def _as_the_webui_writes(card: dict[str, Any]) -> bytes:
    try:
        return json.dumps(card, indent=4, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # a lone surrogate, which JSON can hold and UTF-8 cannot
        return json.dumps(card, indent=4).encode()


def _tell_the_webui(checkpoint_file: str, card: dict[str, Any]) -> None:
    """Update the WebUI's cache of the card.

    Its card editor would otherwise write the old content back (ui_extra_networks_user_metadata.py:34).
    """
    from modules import ui_extra_networks  # not at the top: Reload UI makes it anew

    for page in ui_extra_networks.extra_pages:
        # The lister caches the content of each folder, from WebUI 1.7 on; it accepts single files from 1.10 on.
        tell = getattr(getattr(page, "lister", None), "update_file_entry", None)
        if tell is not None:
            tell(card_of(checkpoint_file))
        for item in list(getattr(page, "items", {}).values()):
            if item.get("filename") == checkpoint_file:
                item["user_metadata"] = dict(card)


def family(model: Any) -> str | None:
    """Return the checkpoint's latent space; None if it is unknown.

    Forge and Neo have a class for each engine, of which Mugen has the flag of SDXL and the latents of FLUX.2. The other
    WebUIs set flags (sd_models.py:380).
    """
    families = families_of_class(type(model).__name__)
    if families:
        return families[0] if len(families) == 1 else None
    if getattr(model, "is_sdxl", False):
        return "sdxl"
    if getattr(model, "is_sd3", False):
        return "sd3"
    if getattr(model, "is_sd1", False) or getattr(model, "is_sd2", False):
        return "sd1"
    return None


def dtype_name(dtype: Any) -> str:
    """Return the usual short name: `fp32`, `fp16`, …."""
    return TORCH_DTYPE_NAMES.get(str(dtype), str(dtype).removeprefix("torch."))
