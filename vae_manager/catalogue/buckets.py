"""Addresses of buckets: which are known, and which are refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ..errors import UsageError
from ..sentences import say
from .sources import BucketSource

__all__ = ["DRIVERS", "bucket_source"]

DRIVERS: Final[Mapping[str, str | None]] = {
    "s3": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "az": "adlfs",
    "abfs": "adlfs",
    "oss": "ossfs",
    "tos": "tosfs",
    "oci": "ocifs",
    "memory": None,
}
"""Schemes, and the package that opens each (the names of fsspec's registry); None: fsspec itself.

Only storages that are reached by TLS and that know who asks. Not among them, though fsspec opens them: what reads this
machine (`file`, `local`, `zip`, `git`), what checks neither encryption nor host (`http`, `ftp`, `sftp`, `smb`,
`webdav`, `hdfs`), and what wraps another address (`simplecache`, `reference`, `::`). `memory` lives in this process.
"""


def bucket_source(address: str) -> BucketSource:
    """Read `SCHEME://BUCKET/PATH`. Raises `UsageError`, which never repeats what could be a secret."""
    scheme, _, rest = address.partition("://")
    bucket, _, path = rest.partition("/")
    if scheme.lower() not in DRIVERS:
        raise UsageError(
            say(
                "“{scheme}://” is not an https address. Buckets begin with {known}.",
                scheme=scheme,
                known=", ".join(f"{name}://" for name, driver in DRIVERS.items() if driver is not None),
            )
        )
    if "@" in bucket or "?" in rest or "#" in rest:
        raise UsageError(
            say(
                "An address of a bucket is {scheme}://BUCKET/PATH and nothing more: no name or key before it, no query "
                "after it. Sign in with the storage's own tool or environment variables.",
                scheme=scheme.lower(),
            )
        )
    if "::" in rest or "\\" in rest or not bucket.strip(". ") or not all(part.strip(". ") for part in path.split("/")):
        raise UsageError(say("“{address}” is not a file of a bucket. Write SCHEME://BUCKET/PATH.", address=address))
    return BucketSource(scheme.lower(), bucket, path)
