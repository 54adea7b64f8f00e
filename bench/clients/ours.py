"""This project: one order, proven and published, as the command line and the page place it."""

from __future__ import annotations

import threading
from pathlib import Path

# Imported at the first use otherwise, as in the other clients before the measurement. A WebUI has them all.
import filelock  # noqa: F401
import requests  # noqa: F401
from huggingface_hub import hf_hub_download  # noqa: F401

from bench.clients.measured import FILE, REPO, job, measure
from vae_manager import __version__
from vae_manager.catalogue import HubSource
from vae_manager.transfer import DownloadRequest, Network, download_file

if __name__ == "__main__":
    asked = job()
    order = DownloadRequest((HubSource(REPO, FILE),), Path(asked.folder), FILE, asked.sha256, asked.size)
    network = Network(endpoint=asked.endpoint)
    measure(
        lambda: download_file(order, network=network, report=lambda _: None, stop=threading.Event()).path,
        f"vae-manager {__version__}",
    )
