"""VAEs that the owner has declared in a file (`--vae-manager-sync FILE`): what is missing is downloaded at the start.

The files are hashed in the background, and each missing one joins the queue of downloads, where the page shows it. A
failure is a warning on the console and a notice on the page; it keeps nothing else from coming.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..catalogue import not_offered
from ..downloads import DownloadItem
from ..errors import RefusedError, VaeManagerError
from ..jobs import JobContext
from ..maintenance import Notice
from ..messages import Message, msg
from ..service import Service
from .ui.page_handlers import has_come, owners_network

if TYPE_CHECKING:
    from ..sync import Step
    from .hosts.host import Host

__all__ = ["KEY", "begin_sync"]

KEY: Final = "declared set"
"""Key of the job in `service.declared`."""

logger = logging.getLogger(__name__)


def begin_sync(host: Host, service: Service, file: Path) -> None:
    """Begin to bring the download folder to the set that `file` declares; return at once."""

    def work(context: JobContext) -> None:
        from ..sync import inspect_folder, read_declared

        try:
            # A plain http address that is not allowed costs its own file: a request to it is refused.
            endpoint = owners_network(host, service).named_endpoint
            items = read_declared(file, service.catalogue, http_hosts=None, endpoint=endpoint)
            folder = host.download_folder()
            steps = inspect_folder(items, folder, context.stop).steps
        except VaeManagerError as error:
            _tell(service, error.message)
            return
        for step in steps:
            if step.state == "same":
                continue
            try:
                _get(host, service, step, folder)
            except VaeManagerError as error:
                _tell(service, error.message)

    service.declared.start(KEY, file.name, work)


def _get(host: Host, service: Service, step: Step, folder: Path) -> None:
    from ..sync import name_taken, request_of

    entry = step.item.entry
    if step.state == "other":
        raise name_taken(step, folder)
    if entry is not None and not entry.offered:
        raise RefusedError(not_offered(entry))
    if entry is not None and service.terms_are_open(entry):
        raise RefusedError(
            msg(
                "{vae} is declared by --vae-manager-sync and not downloaded: read its terms and accept them on the "
                "page first.",
                code="terms-not-accepted",
                vae=entry.name,
            )
        )
    name = entry.name if entry is not None else step.item.file_name
    service.downloads.get(
        DownloadItem(request_of(step, folder), name),
        lambda: owners_network(host, service),
        lambda delivery: has_come(host, service, delivery),
    )


def _tell(service: Service, message: Message) -> None:
    logger.warning("%s", message)
    service.maintenance.notice = Notice(message)
