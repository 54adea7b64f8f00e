"""Imitates modules/localization.py: several files of one language are merged in the order in which they are listed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from modules import errors, scripts

localizations: dict[str, list[str]] = {}
"""Language, which is the file's stem -> paths."""


def list_localizations(dirname: str) -> None:
    """The WebUI's own, then those of the extensions."""
    localizations.clear()
    own = [path for path in sorted(Path(dirname).glob("*")) if path.suffix.lower() == ".json"]
    theirs = [Path(script.path) for script in scripts.list_scripts("localizations", ".json")]
    for path in own + theirs:
        localizations.setdefault(path.stem, []).append(str(path))


def localization_js(current_localization_name: str) -> str:
    """The script that gives the page its `window.localization`."""
    texts: dict[str, Any] = {}
    for path in localizations.get(current_localization_name, []):
        try:
            texts.update(json.loads(Path(path).read_text(encoding="utf-8")))
        except Exception:
            errors.report(f"Error loading localization from {path}", exc_info=True)
    return f"window.localization = {json.dumps(texts)}"
