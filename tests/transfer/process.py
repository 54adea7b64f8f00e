"""One delivery in a process of its own: `python -m tests.transfer.process ENDPOINT FOLDER SHA256 [LIMIT]`.

Prints what came of it as JSON. LIMIT is the largest file that the system lets this process write.
"""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path

from tests.transfer.ordering import NAME, PINNED, QUICK
from vae_manager.errors import VaeManagerError
from vae_manager.transfer import DownloadRequest, Network, download_file


def main(endpoint: str, folder: str, sha256: str, limit: str = "") -> None:
    if limit:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
    order = DownloadRequest((PINNED,), Path(folder), NAME, sha256)
    phases: list[str] = []
    try:
        delivery = download_file(
            order,
            network=Network(endpoint=endpoint, retry_policy=QUICK),
            report=lambda progress: phases.append(progress.phase),
            stop=threading.Event(),
        )
    except VaeManagerError as error:
        print(json.dumps({"error": type(error).__name__, "text": str(error)}))
    else:
        print(json.dumps({"fetched": delivery.fetched, "there": delivery.already_there, "phases": phases}))


if __name__ == "__main__":
    main(*sys.argv[1:])
