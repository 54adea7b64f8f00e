"""Text that means a source: what a person types or pastes, and what a catalogue and a journal hold.

Pages of a hub, of a mirror, of ModelScope and of Civitai become the file that they show. No server is asked, so a page
of a whole repository or model is an error that says what to copy instead.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, parse_qs, quote, unquote, urlsplit, urlunsplit

from ..errors import UsageError, WholeRepositoryError
from ..messages import Message, msg
from .entry import (
    VAE_SUFFIXES,
    CivitaiSource,
    HttpsSource,
    HubSource,
    LocalSource,
    Source,
    bucket_source,
    is_loopback,
    is_named_host,
    safe_file_name,
)
from .local_path import is_there, local_path
from .pasted_text import CIVITAI_HOSTS, HUB_HOSTS, MIRROR_HOSTS, MODELSCOPE_HOSTS, cleaned

__all__ = ["parse_source", "path_of_address", "typed_source"]

_REPO_PART: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,95}")
_REVISION: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/-]{0,199}")

_REF: Final = r"refs/(?:convert/\w+|pr/[0-9]+)|[^/]+"
"""A revision in an address; a request for changes has slashes in its name, encoded or not."""
_HUB_FILE: Final = re.compile(rf"/([^/]+/[^/]+)/(?:resolve|blob|raw|blame|commits|edit)/({_REF})/(.+)")
_HUB_REPOSITORY: Final = re.compile(
    rf"/([^/]+/[^/]+)(?:/(?:tree|blob|resolve)/({_REF})(?:/(.*))?|/files|/discussions(?:/.*)?|/commits?/.*)?/?"
)
_HUB_OTHER_FILE: Final = re.compile(r"/((?:datasets|spaces)/[^/]+/[^/]+)/blob/(.+)")
"""The page of a file in a repository that is no model's."""
_HUB_SECTIONS: Final = frozenset(
    (
        *("api", "blog", "chat", "collections", "datasets", "docs", "join", "learn", "login", "models", "new"),
        *("organizations", "papers", "pricing", "settings", "spaces", "tasks"),
    )
)
"""First parts of the paths of pages that are no repository of a model."""
_HF_URI: Final = re.compile(rf"hf://(?:models/)?([^/@]+/[^/@]+)(?:@({_REF}))?(?:/(.*))?", re.IGNORECASE)
_PART_OF_PAGE: Final = re.compile(r"(?:blob|raw|resolve|tree)/.+")
"""What follows a repository in the address of a page."""
_FILE_ADDRESS: Final = re.compile(r"file://(?:localhost)?/(.+)", re.IGNORECASE)
_MODELSCOPE_VIEW: Final = re.compile(r"/models/([^/]+/[^/]+)/file/view/([^/]+)/?")
"""The page of a file that a query field names."""
_MODELSCOPE_FILE: Final = re.compile(r"/models/([^/]+/[^/]+)/(?:file/view|resolve)/([^/]+)/(.+)")
_MODELSCOPE_API: Final = re.compile(r"/api/v1/models/([^/]+/[^/]+)/repo/?")
_MODELSCOPE_REPOSITORY: Final = re.compile(r"/models/([^/]+/[^/]+)(?:/.*)?")

_CIVITAI: Final = re.compile(r"([1-9][0-9]{0,14})(?:/(.+))?")
_CIVITAI_DOWNLOAD: Final = re.compile(
    r"(?:/[a-z]{2}(?:-[A-Za-z]+)?)?/(?:api/download/models|api/v1/model-versions|model-versions)/([1-9][0-9]{0,14})/?"
)
_CIVITAI_PAGE: Final = re.compile(r"(?:/[a-z]{2}(?:-[A-Za-z]+)?|/api/v1)?/models/[0-9]+(?:/.*)?")
_CODE_FILE: Final = re.compile(r"(/[^/]+/[^/]+)/blob/(.+)")
"""The page of a file at GitHub or Gitee, which give the file itself at `raw`."""
_AIR: Final = re.compile(r"(?:urn:)?air:[^:]*:[^:]*:(\w+):([^@:]+)(?:@([^.?:]+))?(?:[.?:].*)?", re.IGNORECASE)
"""AIR, Civitai's name of a resource: `urn:air:ECOSYSTEM:TYPE:SITE:MODEL@VERSION` (github.com/civitai/civitai, AIR)."""
_AIR_SHORT: Final = re.compile(r"[1-9][0-9]*@([1-9][0-9]{0,14})")
"""`MODEL@VERSION`, as Civitai's pages show it behind `civitai:`."""

_HOST: Final = re.compile(r"(?:[a-z0-9-]+\.)+[a-z]{2,24}", re.IGNORECASE)
"""A host, which no owner of a repository can be named like: those have no dots."""


def parse_source(
    text: str, *, http_hosts: Collection[str] | None = (), endpoint: str = "", expands_home: bool = True
) -> Source:
    """Return the source that a text means.

    Accepted are `hub:OWNER/REPO/PATH[@REV]`, `hf://OWNER/REPO[@REV]/PATH`, `civitai:VERSION[/FILE]`, an AIR of Civitai,
    an https address, an address of a bucket (`s3://BUCKET/PATH`, …), and the path of a local file.

    A page of a file becomes that file: on huggingface.co and hf.co the hub source, on a mirror and on ModelScope the
    address to download from, on Civitai the version, without other parts of the link (`type`, `format`, a `token`).
    Plain http is for this machine and the hosts `http_hosts` (with the port, unless it is 80); None: for all, where the
    request is checked anyway. Pages of the hub at `endpoint`, the address of the hub that is set, mean its files.
    Without `expands_home`, `~` in a path stays as it is. Raises `UsageError`, and `RefusedError` for an invalid file
    name.
    """
    text = cleaned(text)
    if "://" in text and (page := _endpoint_page(text, endpoint)) is not None:
        return page
    if not text or not text.isprintable():
        raise UsageError(
            msg(
                "A source is hub:OWNER/REPO/PATH, civitai:VERSION, an https address, the address of a bucket, or the "
                "path of a file.",
                code="bad-source",
            )
        )
    lower = text.lower()
    if lower.startswith("hub:"):
        return _hub_source(text[len("hub:") :].strip().lstrip("/"))
    if lower.startswith("hf://"):
        return _hf_uri(text)
    if lower.startswith("civitai:"):
        return _civitai_source(text[len("civitai:") :].strip())
    if lower.startswith(("urn:air:", "air:")):
        return _air(text)
    if "://" in text:  # "C:\\" is a Windows path
        return _parse_address(text, http_hosts) if lower.startswith(("https://", "http://")) else bucket_source(text)
    return LocalSource(local_path(text) if expands_home else Path(text))


def typed_source(
    text: str, *, remote_users: bool = False, http_hosts: Collection[str] = (), endpoint: str = ""
) -> Source:
    """Return the source that a person means: `OWNER/REPO/PATH` is a file of a hub, unless this machine has that file.

    `endpoint` is the address of the hub that is set, whose pages mean its files. For `remote_users`, neither files nor
    users of this machine are looked for, and a `file:` address is refused. Raises as `parse_source` does; a
    WholeRepositoryError is for the page of a repository whose files the hub can list.
    """
    bare = cleaned(text)
    if not remote_users and (file := path_of_address(bare)) is not None:
        return LocalSource(file)
    source = parse_source(text, http_hosts=http_hosts, endpoint=endpoint, expands_home=not remote_users)
    if isinstance(source, LocalSource) and (remote_users or not is_there(source.path)):
        return _endpoint_page(f"https://{bare}", endpoint) or _bare_source(bare) or source
    return source


def path_of_address(text: str) -> Path | None:
    """Return the path of a `file:` address of this machine; None for any other text."""
    match = _FILE_ADDRESS.fullmatch(text.strip())
    if match is None:
        return None
    path = unquote(match[1])
    return Path(path if re.match("[A-Za-z]:", path) else f"/{path}")


def _endpoint_page(text: str, endpoint: str) -> Source | None:
    """Return the file that a page of the hub at `endpoint` shows, by either scheme; None for another address.

    Raises WholeRepositoryError for the page of a repository.
    """
    try:
        page, hub = urlsplit(text), urlsplit(endpoint)
        is_same = bool(hub.hostname) and _place(page) == _place(hub)
    except ValueError:
        return None
    base = re.sub("/{2,}", "/", hub.path).rstrip("/")
    path = re.sub("/{2,}", "/", page.path)
    if not is_same or "@" in page.netloc or not path.startswith(f"{base}/"):
        return None
    path = path[len(base) :]
    if path.count("/") == 2 and path.lower().endswith(VAE_SUFFIXES):
        return None  # a host with other files than the hub's
    return _hub_page(page._replace(path=path), endpoint.rstrip("/"))


def _place(parts: SplitResult) -> tuple[str | None, int | None]:
    """Return host and port of an address; no port if it is the usual one of http or https."""
    usual = {"http": 80, "https": 443}.get(parts.scheme.lower())
    return parts.hostname, None if parts.port == usual else parts.port


def _bare_source(text: str) -> Source | None:
    """Return the file of `OWNER/REPO/PATH`, or of `HOST/PATH`; None for another text.

    Raises WholeRepositoryError for `OWNER/REPO` alone.
    """
    owner, _, rest = text.partition("/")
    name, _, path = rest.partition("/")
    repository, at, revision = name.partition("@")
    if at and not path and _REPO_PART.fullmatch(owner) and _REPO_PART.fullmatch(repository):
        raise _whole_repository_error(f"{owner}/{repository}", revision=revision or None)
    if not (_REPO_PART.fullmatch(owner) and _REPO_PART.fullmatch(name)):
        return None
    if _HOST.fullmatch(owner):
        source = parse_source(f"https://{text}")
        return source if not isinstance(source, LocalSource) else None
    if _PART_OF_PAGE.fullmatch(path):
        return _hub_page(_split_url(f"https://{HUB_HOSTS[0]}/{text}"))
    if path:
        return _checked_hub_source(f"{owner}/{name}", path, None) if "\\" not in path else None
    if name.lower().endswith(VAE_SUFFIXES):
        return None
    raise _whole_repository_error(f"{owner}/{name}")


def _hf_uri(text: str) -> HubSource:
    match = _HF_URI.fullmatch(text)
    repo = match[1] if match is not None else ""
    if match is None or repo.split("/")[0].lower() in _HUB_SECTIONS:
        raise _no_hub_file_error(text[len("hf://") :])
    if not match[3]:
        raise _whole_repository_error(repo, revision=unquote(match[2]) if match[2] else None)
    return _checked_hub_source(repo, match[3], unquote(match[2]) if match[2] else None)


def _air(text: str) -> CivitaiSource:
    match = _AIR.fullmatch(text)
    if match is None or match[1].lower() not in ("civitai", "huggingface"):
        raise UsageError(
            msg(
                "“{text}” names no file that can be fetched. Copy the address of the file's page instead.",
                code="bad-air",
                text=text.partition("?")[0],  # the rest may be a secret
            )
        )
    if match[1].lower() == "huggingface":
        raise UsageError(_whole_repository(match[2]))
    if match[3] is None or not _CIVITAI.fullmatch(match[3]):
        raise _whole_model_error()
    return CivitaiSource(int(match[3]))


def _whole_repository_error(repo: str, folder: str = "", revision: str | None = None) -> WholeRepositoryError:
    """Return the error for the page of a hub's repository, or of a folder in it."""
    return WholeRepositoryError(_whole_repository(repo), repo, folder, None if revision == "main" else revision)


def _whole_repository(repo: str) -> Message:
    return msg(
        "{repo} is a whole repository. Open the page of the file that you want in it, and copy that address.",
        code="whole-repository",
        repo=repo,
    )


def _whole_model_error() -> UsageError:
    return UsageError(
        msg(
            "This is the address of a whole model. Choose the version on its page, then copy the address again: "
            "it ends with “?modelVersionId=…”.",
            code="whole-model",
        )
    )


def _shows_no_file(path: str) -> bool:
    """Return True for a hub's front page, an owner's page, and a section such as its documentation or a search."""
    parts = [part for part in path.split("/") if part]
    if len(parts) < 2:
        return True
    return parts[0].lower() in _HUB_SECTIONS - {"api"} and not {"resolve", "raw"} & set(parts)


def _no_file_page_error(host: str, path: str) -> UsageError:
    return UsageError(
        msg(
            "{address} shows no file. Open the page of the file that you want, and copy that address.",
            code="no-file-page",
            address=f"{host}{path}",
        )
    )


def _no_hub_file_error(text: str) -> UsageError:
    return UsageError(
        msg(
            "“hub:{text}” is not a file of a hub. Write hub:OWNER/REPO/PATH or hub:OWNER/REPO/PATH@REV.",
            code="bad-hub-source",
            text=text,
        )
    )


def _hub_source(text: str) -> HubSource:
    """Return the source of `OWNER/REPO/PATH[@REV]`, in whose path `%40` stands for `@` and `%25` for `%`."""
    location, at, revision = text.rpartition("@")  # without "@", all of it is in `revision`
    if not at:
        location, revision = text, ""
    owner, _, rest = location.partition("/")
    name, _, path = rest.partition("/")
    if at and not revision:
        raise _no_hub_file_error(text)
    if not path and _REPO_PART.fullmatch(owner) and _REPO_PART.fullmatch(name):
        raise _whole_repository_error(f"{owner}/{name}", revision=revision or None)
    path = path.replace("%40", "@").replace("%25", "%")
    return _checked_hub_source(f"{owner}/{name}", path, revision or None, text=text)


def _checked_hub_source(repo: str, path: str, revision: str | None, *, text: str | None = None) -> HubSource:
    """Return the source of the parts; `text` is what the error shows. Raises UsageError for an invalid part."""
    owner, _, name = repo.partition("/")
    well_formed = (
        _REPO_PART.fullmatch(owner)
        and _REPO_PART.fullmatch(name)
        and "\\" not in path
        and path.isprintable()
        and all(part.strip(". ") for part in path.split("/"))
        and (revision is None or (_REVISION.fullmatch(revision) and ".." not in revision))
    )
    if not well_formed:
        raise _no_hub_file_error(text or f"{repo}/{path}")
    return HubSource(repo, path, revision)


def _civitai_source(text: str) -> CivitaiSource:
    short = _AIR_SHORT.fullmatch(text)
    if short is not None:
        return CivitaiSource(int(short[1]))
    match = _CIVITAI.fullmatch(text)
    if match is None:
        raise UsageError(
            msg(
                "“civitai:{text}” is not a model version. Write civitai:VERSION or civitai:VERSION/FILE.",
                code="bad-civitai-source",
                text=text,
            )
        )
    version, file = match.groups()
    return CivitaiSource(int(version), None if file is None else safe_file_name(file))


def _civitai_page(parts: SplitResult) -> CivitaiSource | None:
    """Return the version that an address of Civitai means; None for other pages."""
    download = _CIVITAI_DOWNLOAD.fullmatch(parts.path)
    if download is not None:
        return CivitaiSource(int(download[1]))
    if not _CIVITAI_PAGE.fullmatch(parts.path):
        return None
    match = _CIVITAI.fullmatch(parse_qs(parts.query).get("modelVersionId", [""])[0])
    if match is None or match[2] is not None:
        raise _whole_model_error()
    return CivitaiSource(int(match[1]))


def _parse_address(text: str, http_hosts: Collection[str] | None) -> Source:
    parts = _split_url(text)
    scheme, host = parts.scheme.lower(), parts.hostname or ""
    if parts.username is not None or parts.password is not None:
        raise UsageError(
            msg(
                "An address must not carry a user name or password. Use the hub's token instead.",
                code="address-with-password",
            )
        )
    shown = text.partition("?")[0]
    if not _is_host(host):
        raise UsageError(msg("“{address}” is not an https address.", code="not-https", address=shown))
    is_http_allowed = http_hosts is None or is_loopback(host) or is_named_host(text, http_hosts)
    if scheme == "http" and not is_http_allowed:
        raise UsageError(
            msg(
                "{address} is plain http, which anybody on the way can change. Use its https address. If {host} is in "
                "your own network, allow plain http for it: in the settings, or with --http-host on the command line.",
                code="plain-http",
                address=shown,
                host=parts.netloc,
            )
        )
    page = _page(host.removeprefix("www."), parts)
    return page or HttpsSource(text)


def _is_host(host: str) -> bool:
    """Return False for a name that no host can have; an IPv6 address was checked before."""
    try:
        return bool(host) and (":" in host or not re.search(r"\s", host.encode("idna").decode()))
    except UnicodeError:  # an empty part, or one of more than 63 characters
        return False


def _page(host: str, parts: SplitResult) -> Source | None:
    """Return the file that a page of a known site shows; None for other pages. Raises UsageError for a whole model."""
    if host in HUB_HOSTS:
        found = _hub_page(parts)
        if found is None and _shows_no_file(parts.path):
            raise _no_file_page_error(host, parts.path)
        return found
    if host in MIRROR_HOSTS:
        return _mirror_page(host, parts)
    if host in MODELSCOPE_HOSTS:
        return _modelscope_page(host, parts)
    if host in CIVITAI_HOSTS:
        return _civitai_page(parts)
    if host in ("github.com", "gitee.com") and (file := _CODE_FILE.fullmatch(parts.path)) is not None:
        return HttpsSource(f"https://{host}{file[1]}/raw/{file[2]}")
    if host == "dropbox.com" and parse_qs(parts.query).get("dl") == ["0"]:
        return HttpsSource(urlunsplit(parts._replace(query=parts.query.replace("dl=0", "dl=1"))))
    return None


def _hub_page(parts: SplitResult, hub: str = f"https://{HUB_HOSTS[0]}") -> HubSource | HttpsSource | None:
    other = _HUB_OTHER_FILE.fullmatch(parts.path)
    if other is not None:
        return HttpsSource(f"{hub}/{other[1]}/resolve/{other[2]}")
    file = _hub_file(parts)
    if file is None:
        return None
    repo, revision, path = file
    return _checked_hub_source(repo, path, None if revision == "main" else revision)


def _mirror_page(host: str, parts: SplitResult) -> HttpsSource | None:
    """Return the file's address at the mirror, which is not the endpoint whose listing can be asked for."""
    try:
        file = _hub_file(parts)
    except WholeRepositoryError as whole:
        raise UsageError(whole.message) from None
    if file is None:
        return None
    repo, revision, path = file
    source = _checked_hub_source(repo, path, revision)
    return HttpsSource(f"https://{host}/{repo}/resolve/{quote(revision, safe='')}/{quote(source.path)}")


def _hub_file(parts: SplitResult) -> tuple[str, str, str] | None:
    """Return repository, revision and path of a file's page; None for other pages, UsageError for a repository's."""
    parts = parts._replace(path=re.sub("/{2,}", "/", parts.path))
    file = _HUB_FILE.fullmatch(parts.path)
    if file is not None and parts.path.split("/")[1].lower() not in _HUB_SECTIONS:
        repo, revision, path = (unquote(group) for group in file.groups())
        return repo, revision, path.rstrip("/")
    repository = _HUB_REPOSITORY.fullmatch(parts.path)
    if repository is not None and parts.path.split("/")[1].lower() not in _HUB_SECTIONS:
        repo, revision, folder = (unquote(group or "") for group in repository.groups())
        repo = repo.removesuffix(".git")  # what `git clone` takes
        _checked_hub_source(repo, folder.rstrip("/") or "x", revision or None)
        shown = parse_qs(parts.query).get("show_file_info", [""])[0]  # the page with a file's header beside the list
        if shown:
            return repo, revision or "main", shown
        raise _whole_repository_error(repo, folder.rstrip("/"), revision or None)
    return None


def _modelscope_page(host: str, parts: SplitResult) -> HttpsSource | None:
    file = _MODELSCOPE_FILE.fullmatch(parts.path)
    query = parse_qs(parts.query)
    view = _MODELSCOPE_VIEW.fullmatch(parts.path)
    api = _MODELSCOPE_API.fullmatch(parts.path)
    if file is not None:
        repo, revision, path = (unquote(group) for group in file.groups())
    elif api is not None and "FilePath" in query:
        repo, revision, path = unquote(api[1]), query.get("Revision", ["master"])[0], query["FilePath"][0]
    elif view is not None and "fileName" in query:
        repo, revision, path = unquote(view[1]), unquote(view[2]), query["fileName"][0]
    elif (repository := _MODELSCOPE_REPOSITORY.fullmatch(parts.path)) is not None:
        raise UsageError(_whole_repository(unquote(repository[1])))
    else:
        return None
    _checked_hub_source(repo, path, revision)
    return HttpsSource(f"https://{host}/models/{repo}/resolve/{quote(revision, safe='')}/{quote(path)}")


def _split_url(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises for a port that is not a number
    except ValueError:
        raise UsageError(
            msg("“{address}” is not an https address.", code="not-https", address=text.partition("?")[0])
        ) from None
    return parts
