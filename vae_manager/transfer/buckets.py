"""Buckets: objects of a storage, opened by fsspec with the schemes of `catalogue.entry.DRIVERS`.

fsspec comes with huggingface_hub and is imported at the first use; the driver of a storage is a package of its own that
users of such a bucket install. The driver authenticates with the credentials that it finds on this machine (environment
variables, its configuration): they appear in no address, message or journal. The drivers' own error texts are not
repeated, since they contain whole requests.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from ..catalogue.entry import DRIVERS, BucketSource, bucket_source
from ..errors import NetworkError, NotFoundError, RefusedError, TransientNetworkError, UsageError, VaeManagerError
from ..messages import msg
from .resolved_url import ResolvedUrl

__all__ = ["open_bucket_range", "resolve_bucket"]

T = TypeVar("T")

SLICE = 2_000_000
"""Bytes of one request, held in memory by each connection: few, to allow many connections and a quick stop."""
NOT_SIGNED_IN = frozenset(
    {
        "NoCredentialsError",  # botocore.exceptions, below s3fs: no credentials were found
        "PartialCredentialsError",
        "CredentialRetrievalError",
        "TokenRetrievalError",
        "SSOTokenLoadError",
        "UnauthorizedSSOTokenError",
        "DefaultCredentialsError",  # google.auth.exceptions, below gcsfs
        "RefreshError",
        "ClientAuthenticationError",  # azure.core.exceptions, below adlfs
        "ConfigFileNotFound",  # oci.exceptions, below ocifs
    }
)
"""Classes of the drivers' own libraries, which need not be installed here; each is no subclass of OSError."""


def resolve_bucket(source: BucketSource) -> ResolvedUrl:
    """Return the bucket's size (bytes) for `source`; a bucket publishes no SHA-256.

    Raises `NotFoundError`, `RefusedError` (no permission), `NetworkError` (no size), `UsageError` (no
    driver) and `TransientNetworkError`.
    """
    return ResolvedUrl(source, str(source), size=_size(_file_system(source), source))


def open_bucket_range(source: BucketSource, start: int, end: int | None) -> tuple[int, Iterator[bytes]]:
    """Return the size of the whole object and the bytes [start, end) of it, in order (None: up to its end).

    Each chunk is fetched on demand by a request of its own. The iterator raises the errors of `resolve_source`.
    """
    files = _file_system(source)
    size = _size(files, source)
    return size, _slices(files, source, start, size if end is None else min(end, size))


def _slices(files: Any, source: BucketSource, start: int, end: int) -> Iterator[bytes]:
    for first in range(start, end, SLICE):
        last = min(first + SLICE, end)
        # A request for just these bytes in every driver; a file object would read ahead, past the wanted end.
        data: bytes = _asked(source, functools.partial(files.cat_file, _key(source), start=first, end=last))
        if len(data) != last - first:
            raise TransientNetworkError(msg("{source} broke off too early.", code="broke-off", source=source))
        yield data


def _size(files: Any, source: BucketSource) -> int:
    facts = _asked(source, lambda: files.info(_key(source)))
    size = facts.get("size")
    if facts.get("type") == "directory":
        raise _not_found(source)
    if not isinstance(size, int):
        raise NetworkError(msg("{source} does not say how large it is.", source=source))
    return size


def _file_system(source: BucketSource) -> Any:
    bucket_source(str(source))  # again: a journal or a caller may not have used `parse_source`
    try:
        import fsspec

        # By its scheme, never by an address: fsspec would take settings, keys and further addresses from it.
        return fsspec.filesystem(source.scheme)
    except ImportError:
        raise UsageError(
            msg(
                "To read {scheme}:// the package {package} is needed. Install it into the Python that runs this "
                "(pip install {package}), then try again.",
                code="driver-missing",
                scheme=source.scheme,
                package=DRIVERS[source.scheme] or "fsspec",
            )
        ) from None
    except Exception as error:  # noqa: BLE001 - a driver that signs in at once raises its own errors
        raise _error(error, source) from None


def _asked(source: BucketSource, ask: Callable[[], T]) -> T:
    try:
        return ask()
    except Exception as error:  # noqa: BLE001 - each driver has the errors of its own libraries
        raise _error(error, source) from None


def _error(error: Exception, source: BucketSource) -> VaeManagerError:
    """Return the error for a failure.

    fsspec's contract is the built-in errors. Others are identified by class, or count as transient.
    """
    if isinstance(error, FileNotFoundError | IsADirectoryError | NotADirectoryError):
        return _not_found(source)
    names = {kind.__name__ for kind in type(error).__mro__}
    if isinstance(error, PermissionError) or names & NOT_SIGNED_IN:
        return RefusedError(
            msg(
                "{source} may not be read with what this computer is signed in with. Set the storage's own "
                "environment variables or sign in with its tool, then try again.",
                source=source,
            )
        )
    if isinstance(error, ValueError | TypeError | NotImplementedError | AttributeError):
        return NetworkError(
            msg(
                "The package {package} cannot open {scheme}:// as it is set up here. Its documentation says which "
                "environment variables or which configuration it wants.",
                package=DRIVERS[source.scheme] or "fsspec",
                scheme=source.scheme,
            )
        )
    return TransientNetworkError(
        msg(
            "The bucket {bucket} cannot be reached. Check the network.",
            code="unreachable",
            bucket=f"{source.scheme}://{source.bucket}",
        )
    )


def _not_found(source: BucketSource) -> NotFoundError:
    return NotFoundError(msg("There is no file at {source}.", code="no-such-file", source=source))


def _key(source: BucketSource) -> str:
    return f"{source.bucket}/{source.path}"
