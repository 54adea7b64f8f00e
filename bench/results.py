"""Where results go, and what they say about the machine."""

from __future__ import annotations

import json
import os
import platform
import time
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("results")


def write(name: str, figures: dict[str, Any]) -> Path:
    """Write `figures` to bench/results/NAME.json, with date, Python and processors; gives the path."""
    machine = {"python": platform.python_version(), "system": platform.system(), "processors": os.cpu_count()}
    path = FOLDER / f"{name}.json"
    content = {"date": time.strftime("%Y-%m-%d"), "machine": machine, **figures}
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return path
