"""Objects in buckets that fsspec opens, of the schemes of `catalogue.entry.DRIVERS`.

fsspec comes with huggingface_hub and is imported at the first use; the driver of a storage is a package of its own that
people install who have such a bucket. Who may read is settled between the driver and the storage, by what the driver
finds on this machine (environment variables, its configuration): nothing of that is in an address, a sentence or a
journal. The drivers' own texts are not repeated, since they hold whole requests.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from ...catalogue.entry import DRIVERS, BucketSource, bucket_source
from ...errors import NetworkError, NotFoundError, RefusedError, TransientNetworkError, VaeManagerError
from ...sentences import say
from .location import Location

T = TypeVar("T")

SLICE = 2_000_000
"""Bytes of one request, held in memory by each connection: few enough for many connections and to hear a stop soon."""
NOT_SIGNED_IN = frozenset(
    {
        "NoCredentialsError",  # botocore.exceptions, below s3fs: none were found
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
"""Classes of the drivers' own libraries, which need not be installed here; none of them is an OSError."""


def locate(source: BucketSource) -> Location:
    """Ask the bucket for the size (bytes) of `source`; a bucket publishes no SHA-256.

    Raises `NotFoundError`, `RefusedError` (no permission), `NetworkError` (no driver, no size) and
    `TransientNetworkError`.
    """
    return Location(source, str(source), size=_size(_file_system(source), source))


def open_at(source: BucketSource, start: int, end: int | None) -> tuple[int, Iterator[bytes]]:
    """Return the size of the whole object and the bytes [start, end) of it, in order (None: up to its end).

    The chunks come as they are asked for, each from a request of its own; what `locate` raises, they raise too.
    """
    files = _file_system(source)
    size = _size(files, source)
    return size, _slices(files, source, start, size if end is None else min(end, size))


def _slices(files: Any, source: BucketSource, start: int, end: int) -> Iterator[bytes]:
    for first in range(start, end, SLICE):
        last = min(first + SLICE, end)
        # A request for just these bytes in every driver; a file object would read ahead, past the end that is wanted.
        data: bytes = _asked(source, functools.partial(files.cat_file, _key(source), start=first, end=last))
        if len(data) != last - first:
            raise TransientNetworkError(say("{source} broke off too early.", source=source))
        yield data


def _size(files: Any, source: BucketSource) -> int:
    facts = _asked(source, lambda: files.info(_key(source)))
    size = facts.get("size")
    if facts.get("type") == "directory":
        raise _not_found(source)
    if not isinstance(size, int):
        raise NetworkError(say("{source} does not say how large it is.", source=source))
    return size


def _file_system(source: BucketSource) -> Any:
    bucket_source(str(source))  # again: a journal or a program need not have asked `parse_source`
    try:
        import fsspec

        # By its scheme, never by an address: fsspec would look into one for settings, keys and further addresses.
        return fsspec.filesystem(source.scheme)
    except ImportError:
        raise NetworkError(
            say(
                "To read {scheme}:// the package {package} is needed. Install it into the Python that runs this "
                "(pip install {package}), then try again.",
                scheme=source.scheme,
                package=DRIVERS[source.scheme] or "fsspec",
            )
        ) from None
    except Exception as error:  # noqa: BLE001 - a driver that signs in right away fails in its own way
        raise _bucket_error(error, source) from None


def _asked(source: BucketSource, ask: Callable[[], T]) -> T:
    try:
        return ask()
    except Exception as error:  # noqa: BLE001 - each driver has the errors of its own libraries
        raise _bucket_error(error, source) from None


def _bucket_error(error: Exception, source: BucketSource) -> VaeManagerError:
    """Say what a failure was: fsspec's contract is the built-in errors; the rest is known by class or taken to pass."""
    if isinstance(error, FileNotFoundError | IsADirectoryError | NotADirectoryError):
        return _not_found(source)
    names = {kind.__name__ for kind in type(error).__mro__}
    if isinstance(error, PermissionError) or names & NOT_SIGNED_IN:
        return RefusedError(
            say(
                "{source} may not be read with what this computer is signed in with. Set the storage's own "
                "environment variables or sign in with its tool, then try again.",
                source=source,
            )
        )
    if isinstance(error, ValueError | TypeError | NotImplementedError | AttributeError):
        return NetworkError(
            say(
                "The package {package} cannot open {scheme}:// as it is set up here. Its documentation says which "
                "environment variables or which configuration it wants.",
                package=DRIVERS[source.scheme] or "fsspec",
                scheme=source.scheme,
            )
        )
    return TransientNetworkError(
        say("The bucket {bucket} cannot be reached. Check the network.", bucket=f"{source.scheme}://{source.bucket}")
    )


def _not_found(source: BucketSource) -> NotFoundError:
    return NotFoundError(say("There is no file at {source}.", source=source))


def _key(source: BucketSource) -> str:
    return f"{source.bucket}/{source.path}"
