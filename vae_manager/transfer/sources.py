"""Sources: the Hugging Face Hub, Civitai, buckets and plain URLs, each resolved to the current address of the bytes.

Signed addresses expire, so a source is resolved again before each attempt.

Buckets are opened by fsspec, with the schemes of `catalogue.entry.DRIVERS`. fsspec comes with huggingface_hub and is
imported at the first use; the driver of a storage is a package of its own that users of such a bucket install. The
driver authenticates with the credentials that it finds on this machine (environment variables, its configuration): they
appear in no address, message or journal. The drivers' own error texts are not repeated, since they contain whole
requests.

The Hub's addresses, token and endpoint come from huggingface_hub, in every version that a host has (0.16 and newer).
Only functions common to all of them are used, and `http_client` sends the requests: `get_hf_file_metadata` has changed
its arguments, its errors and the HTTP library below it. The import is slow, so it happens at the first use.

Civitai resolves a model version to a file, its SHA-256, and its signed address. The facts are from the site's own
source, github.com/civitai/civitai, and developer.civitai.com (site/reference/model-versions,
site/guide/authentication):

- GET /api/v1/model-versions/{id} returns `files`, each with `name`, `type` ("Model", "Pruned Model", "VAE", "Config",
  …), `hashes` ("SHA256" in capitals, and others), `primary` and `downloadUrl`; 404 if there is no such version. A VAE
  that belongs to a checkpoint is among the files of the checkpoint's version.
- `sizeKB` is in units of 1024 bytes and may be rounded, so the size is taken from the storage's answer instead.
- GET /api/download/models/{id} redirects to a signed address of the storage. A request that needs a login is redirected
  to /login of the same host, or gets 401; early access is refused with 403 or redirects to another page of the site.
- A key is sent as `Authorization: Bearer`. The alternative `?token=` would leave it in logs, and is never used.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

from ..catalogue.entry import (
    DRIVERS,
    SHA256,
    BucketSource,
    CivitaiSource,
    HttpsSource,
    HubSource,
    LocalSource,
    Source,
    bucket_source,
    name_at,
    safe_file_name,
)
from ..errors import NetworkError, NotFoundError, RefusedError, TransientNetworkError, UsageError, VaeManagerError
from ..files.state_file import list_of, parse_json
from ..messages import msg
from .http_client import (
    MAX_REDIRECTS,
    REDIRECTS,
    HttpClient,
    after_redirect,
    checked,
    host,
    origin,
    reader,
    shown,
    status_error,
    too_many_redirects,
)
from .request import Network, run_cancellable

if TYPE_CHECKING:
    from requests import Response

__all__ = ["ResolvedUrl", "SignedUrl", "open_bucket_range", "proposed_name", "resolve_source", "shown_source"]

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

TOKEN_HOME = ("https", "huggingface.co", 443)
"""The origin that a saved token belongs to."""

HOME: Final = "https://civitai.com"
KEY_PAGE: Final = "https://civitai.com/user/account"
MAX_JSON_BYTES: Final = 20_000_000
"""Bytes of an answer of the API; real ones have some ten thousand, most of them about pictures."""

MOVED = frozenset({301, 308})
"""Redirects of the whole hub (a mirror that redirects to the origin); the others lead to the bytes."""


@dataclass(frozen=True)
class ResolvedUrl:
    """The resolved address of a source's bytes."""

    source: Source
    address: str = field(repr=False)
    """May be signed: never shown or stored."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """For the origin of `address` alone."""
    size: int | None = None
    sha256: str | None = None
    """The hash that the hub itself publishes."""
    in_parts: bool = False
    """The hub announces ranges (Accept-Ranges), so no request has to test that."""
    expires: bool = False
    """The hub has signed the address: after a refusal there, the source is resolved again."""


def shown_source(source: Source) -> str:
    """Return the name of `source` for display."""
    return shown(source.url) if isinstance(source, HttpsSource) else str(source)


class SignedUrl:
    """The resolved address, renewed once for all connections when a signed address has expired."""

    def __init__(self, location: ResolvedUrl, again: Callable[[], ResolvedUrl]) -> None:
        self._location = location
        self._again = again
        self._lock = threading.Lock()

    @property
    def now(self) -> ResolvedUrl:
        """The address to try first; if it is refused as expired, `after` returns a newer one."""
        return self._location

    def after(self, refused: ResolvedUrl) -> ResolvedUrl:
        """Return an address that is newer than the `refused` one."""
        with self._lock:
            if self._location is refused:
                new = self._again()
                if (new.sha256, new.size) != (refused.sha256, refused.size):
                    raise TransientNetworkError(
                        msg("{source} has changed in between.", source=shown_source(new.source))
                    )
                self._location = new
            return self._location


def resolve_bucket(source: BucketSource) -> ResolvedUrl:
    """Return the bucket's size (bytes) for `source`; a bucket publishes no SHA-256.

    Raises `NotFoundError`, `RefusedError` (no permission), `NetworkError` (no driver, no size) and
    `TransientNetworkError`.
    """
    return ResolvedUrl(source, str(source), size=_bucket_size(_file_system(source), source))


def open_bucket_range(source: BucketSource, start: int, end: int | None) -> tuple[int, Iterator[bytes]]:
    """Return the size of the whole object and the bytes [start, end) of it, in order (None: up to its end).

    Each chunk is fetched on demand by a request of its own. The iterator raises the errors of `resolve_source`.
    """
    files = _file_system(source)
    size = _bucket_size(files, source)
    return size, _bucket_slices(files, source, start, size if end is None else min(end, size))


def _bucket_slices(files: Any, source: BucketSource, start: int, end: int) -> Iterator[bytes]:
    for first in range(start, end, SLICE):
        last = min(first + SLICE, end)
        # A request for just these bytes in every driver; a file object would read ahead, past the wanted end.
        data: bytes = _asked_bucket(
            source, functools.partial(files.cat_file, _bucket_key(source), start=first, end=last)
        )
        if len(data) != last - first:
            raise TransientNetworkError(msg("{source} broke off too early.", code="broke-off", source=source))
        yield data


def _bucket_size(files: Any, source: BucketSource) -> int:
    facts = _asked_bucket(source, lambda: files.info(_bucket_key(source)))
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
        raise NetworkError(
            msg(
                "To read {scheme}:// the package {package} is needed. Install it into the Python that runs this "
                "(pip install {package}), then try again.",
                scheme=source.scheme,
                package=DRIVERS[source.scheme] or "fsspec",
            )
        ) from None
    except Exception as error:  # noqa: BLE001 - a driver that signs in at once raises its own errors
        raise _bucket_error(error, source) from None


def _asked_bucket(source: BucketSource, ask: Callable[[], T]) -> T:
    try:
        return ask()
    except Exception as error:  # noqa: BLE001 - each driver has the errors of its own libraries
        raise _bucket_error(error, source) from None


def _bucket_error(error: Exception, source: BucketSource) -> VaeManagerError:
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


def _bucket_key(source: BucketSource) -> str:
    return f"{source.bucket}/{source.path}"


def hub_endpoint(chosen: str | None) -> str:
    """Return the hub's address: `chosen`, or huggingface_hub's own, which HF_ENDPOINT sets unless it is empty."""
    own = hub_constants().ENDPOINT.strip() or f"https://{TOKEN_HOME[1]}"
    try:
        return checked((chosen or own).rstrip("/"))
    except RefusedError:
        if chosen:
            raise
        raise UsageError(
            msg(
                "HF_ENDPOINT is “{value}”, which is not the https address of a hub. Correct it, or remove it.",
                code="bad-endpoint-variable",
                value=shown(own) if "//" in own else own,
            )
        ) from None


def hub_constants() -> Any:
    """Return the module of huggingface_hub with its settings.

    Raises UsageError if the package cannot be imported, as with a value of a variable that it does not understand.
    """
    try:
        from huggingface_hub import constants
    except Exception as error:
        wrong = [name for name in sorted(os.environ) if name.startswith(("HF_", "HUGGINGFACE_"))]
        raise UsageError(
            msg(
                "The package huggingface_hub cannot be loaded here ({error}). Check the variables of this machine that "
                "it reads ({variables}), or install it again.",
                code="hub-library-broken",
                error=f"{type(error).__name__}: {error}"[:200],
                variables=", ".join(wrong) or "HF_…",
            )
        ) from error
    return constants


def is_hub_offline() -> bool:
    """Return True if the user has set HF_HUB_OFFLINE."""
    return bool(hub_constants().HF_HUB_OFFLINE)


def check_online(source: HubSource) -> None:
    """Raise NetworkError if HF_HUB_OFFLINE forbids a request for `source`."""
    if is_hub_offline():
        raise NetworkError(
            msg("HF_HUB_OFFLINE is set, so the hub is not asked for {source}.", code="offline", source=source)
        )


def hub_address(source: HubSource, hub: str) -> str:
    """Return the address that `source` has at `hub`."""
    constants = hub_constants()
    from huggingface_hub import hf_hub_url

    try:
        # Without `endpoint=`: 0.16 has no such argument.
        url = hf_hub_url(source.repo, source.path, revision=source.revision)
    except ValueError:
        raise UsageError(
            msg("{repo} is not the name of a repository (owner/name).", code="bad-repository-name", repo=source.repo)
        ) from None
    return hub + url[len(constants.ENDPOINT) :]


def hub_authorization(hub: str, *, chosen: bool) -> dict[str, str]:
    """Return the Authorization header for `hub`: only if the token was saved for it, or the user has `chosen` so."""
    if origin(hub) != TOKEN_HOME and not chosen:
        return {}
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    value = build_hf_headers().get("authorization")
    return {"Authorization": value} if value else {}


def resolve_civitai(source: CivitaiSource, client: HttpClient) -> ResolvedUrl:
    """Find the signed address of the file that `source` means, and the SHA-256 that Civitai publishes for it.

    Raises `NotFoundError`, `RefusedError` (a key is needed or wrong), `UsageError` (the choice of file is ambiguous)
    and `NetworkError`.
    """
    file = _civitai_file(source, client)
    address = file.get("downloadUrl")
    if not isinstance(address, str):
        raise NotFoundError(msg("Civitai has no download for {source}.", source=source))
    hashes = file.get("hashes")
    digest = str(hashes.get("SHA256", "")).lower() if isinstance(hashes, dict) else ""
    return _civitai_storage(source, checked(address), client, digest if SHA256.fullmatch(digest) else None)


def civitai_file_name(source: CivitaiSource, client: HttpClient) -> str:
    """Return the file's name from the site. Raises as `resolve_source`, and RefusedError for an unusable name."""
    return safe_file_name(str(_civitai_file(source, client).get("name", "")))


def choose_file(source: CivitaiSource, files: list[dict[str, Any]]) -> dict[str, Any]:
    """Return one of the files of a version: the named one, else the only VAE, else the primary file."""
    if source.file is not None:
        named = [file for file in files if file.get("name") == source.file]
        if named:
            return named[0]
        raise NotFoundError(
            msg(
                "Version {version} at Civitai has no file {file}. It has: {names}.",
                code="no-such-file",
                version=source.version,
                file=source.file,
                names=_names(files),
            )
        )
    vaes = [file for file in files if file.get("type") == "VAE"]
    if len(vaes) == 1:
        return vaes[0]
    primary = [file for file in vaes or files if file.get("primary") is True]
    if len(primary) == 1:
        return primary[0]
    if not files:
        raise NotFoundError(msg("Version {version} at Civitai has no files.", code="no-files", version=source.version))
    raise UsageError(
        msg(
            "Version {version} at Civitai has several files: {names}. Name one of them: civitai:{version}/FILE.",
            code="several-files",
            version=source.version,
            names=_names(vaes or files),
        )
    )


def _civitai_file(source: CivitaiSource, client: HttpClient) -> dict[str, Any]:
    home = _civitai_home(client)
    address = f"{home}/api/v1/model-versions/{source.version}"
    response = client.follow(address, _civitai_authorization(address, client))
    try:
        status = response.status_code
        if status in (401, 403):
            raise _key_error(source, address, client)
        if status in (404, 410):
            raise NotFoundError(
                msg(
                    "{host} has no model version {version}.",
                    code="no-such-model-version",
                    host=host(address),
                    version=source.version,
                )
            )
        if status != 200:
            raise status_error(response, address)
        data = json_of(response, address)
    finally:
        response.close()
    try:
        files = list_of(parse_json(data)["files"])
    except (ValueError, LookupError, TypeError):
        raise senseless_answer(address) from None
    return choose_file(source, [file for file in files if isinstance(file, dict)])


def json_of(response: Response, address: str) -> bytes:
    """Return the body of an answer, bounded. Raises NetworkError for a longer one, and the errors of reading."""
    data, read = bytearray(), reader(response, address)
    while chunk := read(MAX_JSON_BYTES):
        data += chunk
        if len(data) > MAX_JSON_BYTES:
            raise senseless_answer(address)
    return bytes(data)


def _civitai_storage(source: CivitaiSource, address: str, client: HttpClient, sha256: str | None) -> ResolvedUrl:
    """Follow the download's address while it stays on the site; the resulting address is valid for a limited time."""
    for _ in range(MAX_REDIRECTS):
        headers = _civitai_authorization(address, client)
        response = client.ask("GET", address, headers)
        response.close()
        status, target = response.status_code, response.headers.get("Location")
        if status in REDIRECTS and target:
            there = after_redirect(address, target)
            if origin(there) != origin(address):
                return ResolvedUrl(source, there, {}, sha256=sha256, expires=True)
            if urlsplit(there).path.startswith("/login"):
                raise _key_error(source, address, client)
            address = there
        elif status == 200 and "html" not in response.headers.get("Content-Type", "").lower():
            return ResolvedUrl(source, address, headers, sha256=sha256)
        elif status == 401:
            raise _key_error(source, address, client)
        elif status in (200, 403):
            raise RefusedError(
                msg(
                    "{host} does not give {source} to everybody: it may be in early access. Open its page and see what "
                    "it asks for; an API key of an account that may download it is made at {link}.",
                    host=host(address),
                    source=source,
                    link=KEY_PAGE,
                )
            )
        elif status in (404, 410):
            raise NotFoundError(msg("There is no file at {source}.", code="no-such-file", source=source))
        else:
            raise status_error(response, address)
    raise too_many_redirects(address)


def _civitai_home(client: HttpClient) -> str:
    return checked((client.network.civitai or HOME).rstrip("/"))


def _civitai_authorization(address: str, client: HttpClient) -> dict[str, str]:
    """Return the Authorization header: at the site itself, and only with a key that was saved for this exact host."""
    key = client.network.keys.get(host(address))
    return {"Authorization": f"Bearer {key}"} if key and origin(address) == origin(_civitai_home(client)) else {}


def _key_error(source: CivitaiSource, address: str, client: HttpClient) -> VaeManagerError:
    if _civitai_authorization(address, client):
        return RefusedError(
            msg(
                "{host} does not accept the API key. Make a new one at {link} (“API Keys”) and put it in the old one's "
                "place.",
                code="api-key-refused",
                host=host(address),
                link=KEY_PAGE,
            )
        )
    return RefusedError(
        msg(
            "{host} gives {source} only to people who have signed in. Make an API key at {link} (“API Keys”) and save "
            "it; on the command line it is read from CIVITAI_API_KEY.",
            code="api-key-needed",
            host=host(address),
            source=source,
            link=KEY_PAGE,
        )
    )


def senseless_answer(address: str) -> NetworkError:
    """Return the error for an answer that is not what this server gives."""
    return NetworkError(
        msg("{host} answers with something that is no list of files.", code="no-file-list", host=host(address))
    )


def _names(files: list[dict[str, Any]]) -> str:
    """Return some names as one short printable line."""
    names = ", ".join(str(file.get("name", "?")) for file in files[:10])
    return "".join(character if character.isprintable() else "�" for character in names)[:500]


def proposed_name(source: Source, *, network: Network, stop: threading.Event) -> str:
    """Return the name under which `source` offers its file.

    Sends a request only if the source does not contain the name. Raises `RefusedError` for an unusable name, the errors
    of `resolve_source`, and `Cancelled` as soon as `stop` is set.
    """
    name = name_at(source)
    if name is None and isinstance(source, CivitaiSource):
        return run_cancellable(lambda: _asked(source, network), stop)
    return safe_file_name(name or "")


def _asked(source: CivitaiSource, network: Network) -> str:
    client = HttpClient(network)
    try:
        return civitai_file_name(source, client)
    finally:
        client.close()


def resolve_source(source: Source, client: HttpClient, *, hash_decides: bool) -> ResolvedUrl:
    """Return the resolved address of `source`.

    With `hash_decides`, a pinned revision that has vanished falls back to the main branch: the hash would refuse other
    bytes anyway.
    """
    if isinstance(source, LocalSource):
        return _local(source)
    if isinstance(source, HttpsSource):
        return ResolvedUrl(source, checked(source.url))
    if isinstance(source, BucketSource):
        return _in_bucket(source, client)
    if isinstance(source, CivitaiSource):
        return resolve_civitai(source, client)
    try:
        return _at_hub(source, client)
    except NotFoundError:
        if source.revision is None or not hash_decides:
            raise
        return _at_hub(replace(source, revision=None), client)


def _local(source: LocalSource) -> ResolvedUrl:
    try:
        size = source.path.stat().st_size
    except OSError:
        raise NotFoundError(msg("There is no file {path}.", code="no-such-file", path=source.path)) from None
    return ResolvedUrl(source, str(source.path), size=size)


def _in_bucket(source: BucketSource, client: HttpClient) -> ResolvedUrl:
    if client.network.public_only:
        raise RefusedError(
            msg(
                "{source} is a bucket, which this computer reads with its own keys. Here only public https addresses "
                "are fetched.",
                code="bucket-not-public",
                source=source,
            )
        )
    return resolve_bucket(source)


def _at_hub(source: HubSource, client: HttpClient) -> ResolvedUrl:
    check_online(source)
    endpoint = hub_endpoint(client.network.endpoint)
    address = hub_address(source, endpoint)
    headers = hub_authorization(endpoint, chosen=client.network.token_for_endpoint)
    home = origin(address)
    for _ in range(MAX_REDIRECTS):
        response = client.ask("HEAD", address, headers)
        response.close()
        target = response.headers.get("Location")
        if response.status_code == 401 and headers and not response.headers.get("X-Error-Code"):
            # the saved token is no longer valid, and most repositories are public
            headers = {}
            continue
        if response.status_code not in REDIRECTS or not target:
            if response.status_code != 200:
                raise hub_error(source, response, address)
            return ResolvedUrl(source, address, headers, *_published(response), _accepts_ranges(response))
        there = after_redirect(address, target)
        if origin(there) != origin(address):
            headers = {}
            if response.status_code not in MOVED:
                return ResolvedUrl(source, there, {}, *_published(response), _accepts_ranges(response), expires=True)
        elif _published(response) != (None, None):
            known = (*_published(response), _accepts_ranges(response))
            return ResolvedUrl(source, there, headers, *known, expires=origin(there) != home)
        address = there
    raise too_many_redirects(address)


def _published(response: Response) -> tuple[int | None, str | None]:
    """Return size and SHA-256 from the hub's headers; an ETag is no hash."""
    size = response.headers.get("X-Linked-Size", "").strip()
    digest = response.headers.get("X-Linked-Etag", "").strip().strip('"').lower()
    return (int(size) if size.isdecimal() else None), (digest if SHA256.fullmatch(digest) else None)


def _accepts_ranges(response: Response) -> bool:
    return response.headers.get("Accept-Ranges", "").strip().lower() == "bytes"


def hub_error(source: HubSource, response: Response, address: str) -> VaeManagerError:
    """Return the error for a hub's refusal, by its code and status."""
    status, code = response.status_code, response.headers.get("X-Error-Code", "")
    if code == "GatedRepo":
        return RefusedError(
            msg(
                "{repo} wants its licence to be accepted first: open {link}, accept it there, then sign in on this "
                "computer with `huggingface-cli login` and try again.",
                code="licence-at-hub",
                repo=source.repo,
                link=f"https://huggingface.co/{source.repo}",
            )
        )
    if code == "RevisionNotFound":
        return NotFoundError(
            msg(
                "{repo} has no revision {revision}.",
                code="no-such-revision",
                repo=source.repo,
                revision=source.revision or "main",
            )
        )
    if code == "EntryNotFound" or (status in (404, 410) and code != "RepoNotFound"):
        return NotFoundError(
            msg(
                "{host} has no file {path} in {repo} at revision {revision}.",
                code="no-such-file",
                host=host(address),
                path=source.path,
                repo=source.repo,
                revision=source.revision or "main",
            )
        )
    if code == "RepoNotFound" or status == 401:
        return NotFoundError(
            msg(
                "{host} has no repository {repo}, or it is private: sign in with `huggingface-cli login` if it is "
                "yours.",
                code="no-such-repository",
                host=host(address),
                repo=source.repo,
            )
        )
    return status_error(response, address)
