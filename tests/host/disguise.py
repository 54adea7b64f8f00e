"""Makes this process look like the WebUI's, or that of a fork: working directory, sys.path, sys.argv."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.host.layers import WEBUI, put_over

ROOT = Path(__file__).resolve().parents[2]


def become_the_webui(flags: list[str], host: str = WEBUI.name) -> None:
    """Its folder is the working directory and first in sys.path; the repository's is not in sys.path any more.

    What is imported from `tests` later is still found, since the package itself is loaded. Another `host` of the
    family has a folder that goes before.
    """
    sys.argv = ["launch.py", *flags]
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    sys.path[:] = [str(WEBUI), *(entry for entry in sys.path if entry not in ("", str(ROOT)))]
    os.chdir(WEBUI)
    if host != WEBUI.name:
        put_over(host)
