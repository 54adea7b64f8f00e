"""Imitates modules/extra_networks.py: a checkpoint's card is the JSON file beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from modules import errors


def get_user_metadata(filename: str | None, lister: Any = None) -> dict[str, Any]:
    """The card's fields; `vae` is the "Preferred VAE"."""
    if filename is None:
        return {}
    card = Path(filename).with_suffix(".json")
    metadata: dict[str, Any] = {}
    try:
        if lister.exists(str(card)) if lister else card.exists():
            metadata = json.loads(card.read_text(encoding="utf-8"))
    except Exception as error:
        errors.display(error, f"reading extra network user metadata from {card}")
    return metadata
