"""What urllib3 writes to its log, without the secrets in it.

At DEBUG it logs the target of each request, and so a signed address with all that opens it. Its logger belongs to the
whole process: only records that are made in this project's own threads are touched.
"""

from __future__ import annotations

import logging
import re

from ..background import NETWORK_THREAD

LOGGER = "urllib3.connectionpool"
QUERY = re.compile(r"\?[^\s\"'<>]*")


class WithoutQueries(logging.Filter):
    """Cuts what follows a question mark out of the texts of a record; lets every record pass."""

    def filter(self, record: logging.LogRecord) -> bool:
        if (record.threadName or "").startswith(NETWORK_THREAD):
            record.msg = QUERY.sub("?…", record.getMessage())
            record.args = ()
        return True


_FILTER = WithoutQueries()


def keep_queries_out_of_the_log() -> None:
    """Put the filter in place; once more changes nothing."""
    logging.getLogger(LOGGER).addFilter(_FILTER)
