"""A client of the API for programs of a running WebUI (`/vae-manager/v1`, with `--api`).

    from vae_manager.client import WebUI

    webui = WebUI("http://127.0.0.1:7860", auth=("user", "password"))
    webui.wait(webui.get("ft-mse", use=True)["key"])
    print(webui.status()["vae"])
    print(webui.wait_for_job(webui.verify()["key"])["verified"])

Answers are dictionaries, whose keys `docs/reference/http-api.md` lists. A failure is the exception that the same
failure has here: its sentence and its code are those of the WebUI.
"""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, TypedDict
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from .errors import NetworkError, NotAdmittedError, NotFoundError, RefusedError, UsageError, VaeManagerError
from .messages import datum, msg

if TYPE_CHECKING:
    import requests

__all__ = [
    "CatalogueEntry",
    "Component",
    "Download",
    "Failure",
    "Job",
    "JobResult",
    "Needs",
    "Status",
    "Vae",
    "Verified",
    "WebUI",
]

PATH: Final = "/vae-manager/v1"
CONNECT_SECONDS: Final = 10.0
ANSWER_SECONDS: Final = 600.0
"""A choice waits for a picture that is being made, and a rescue decodes several times."""
ASKING_SECONDS: Final = 0.5
"""Between two looks at a download or a job."""
ENDED: Final = ("done", "failed", "stopped")
SIGN_IN: Final = "not-signed-in"


class Failure(TypedDict):
    """Why something failed."""

    error: str
    code: str


class Status(TypedDict):
    """The VAE in the model, and the reason for it."""

    checkpoint: str | None
    vae: str | None
    path: str | None
    sha256: str | None
    entry: str | None
    dtype: str | None
    verdict: str | None
    verification: str | None
    choice: str
    resolves_to: str | None
    rule: str
    is_in_use: bool
    refused: Failure | None
    is_generating: bool


class Vae(TypedDict):
    """One VAE file."""

    name: str
    path: str | None
    size: int
    container: str
    layout: str
    family: str | None
    latent_channels: int | None
    dtype: str | None
    sha256: str | None
    entry: str | None
    verdict: str
    is_loadable: bool
    is_convertible: bool
    reason: Failure | None
    verification: str | None
    verification_reason: Failure | None
    is_in_use: bool


class CatalogueEntry(TypedDict):
    """One published VAE."""

    id: str
    name: str
    family: str
    purpose: str
    file_name: str
    sha256: str
    size: int | None
    layout: str | None
    dtype: str | None
    licence: str | None
    is_offered: bool
    not_offered_because: str | None
    here: str | None


class Download(TypedDict):
    """A download."""

    key: str
    name: str
    file_name: str
    sha256: str | None
    state: str
    done: int
    total: int | None
    speed: float | None
    failure: Failure | None


class Component(TypedDict):
    """One part of a model."""

    role: str
    label: str
    state: str
    files: list[str]
    undecided: list[str]
    entries: list[str]


class Needs(TypedDict):
    """The components of a checkpoint."""

    checkpoint: str
    host: str
    engine: str
    families: list[str]
    variant: str | None
    dtype: str | None
    complete: bool
    is_checking: bool
    components: list[Component]


class Job(TypedDict):
    """A verification, a comparison or a ranking."""

    key: str
    kind: str
    name: str
    state: str
    done: int
    total: int | None
    failure: Failure | None


class Verified(TypedDict):
    """The verification of one file."""

    name: str
    path: str | None
    sha256: str | None
    entry: str | None
    outcome: str
    text: str
    reason: Failure | None


class JobResult(Job):
    """A job with its result."""

    verified: list[Verified] | None
    comparison: dict[str, Any] | None
    ranking: dict[str, Any] | None


class WebUI:
    """A running WebUI.

    Each method raises a VaeManagerError: NetworkError without an answer, NotAdmittedError without the sign-in or for
    another reason of admission, UsageError, NotFoundError or RefusedError as the WebUI answers.
    """

    def __init__(self, url: str, auth: tuple[str, str] | None = None) -> None:
        """Ask nothing yet.

        Args:
            url: The WebUI's address, which may hold a name and a password: `http://name:password@host:7860`.
            auth: A name and a password of `--api-auth`, else of `--gradio-auth`.

        Raises:
            UsageError: `url` is no address of a WebUI.
        """
        import requests

        self._url, self._auth = _parsed(url)
        self._auth = auth or self._auth
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy, or a password of .netrc, is for the internet
        self._session.auth = self._auth

    @property
    def url(self) -> str:
        """The WebUI's address, without a name and a password."""
        return self._url

    def __enter__(self) -> WebUI:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def status(self) -> Status:
        """Return the VAE in the model, and why it is that one."""
        return self._ask("status")  # type: ignore[no-any-return]

    def vaes(self) -> Sequence[Vae]:
        """Return the VAE files that the WebUI lists, with their verdicts."""
        return self._ask("vaes")  # type: ignore[no-any-return]

    def catalogue(self) -> Sequence[CatalogueEntry]:
        """Return the published VAEs."""
        return self._ask("catalogue")  # type: ignore[no-any-return]

    def needs(self) -> Needs:
        """Return the components that the checkpoint needs, and which of them are here."""
        return self._ask("needs")  # type: ignore[no-any-return]

    def get_needs(self, *, accept: bool = False) -> Sequence[Download]:
        """Begin the downloads of the components that are missing; `accept` accepts their licences."""
        return self._ask("needs/get", {"accept": accept})  # type: ignore[no-any-return]

    def downloads(self) -> Sequence[Download]:
        """Return the downloads of the WebUI's process."""
        return self._ask("downloads")  # type: ignore[no-any-return]

    def choose(self, vae: str, *, sure: bool = False) -> Status:
        """Choose a VAE by its file's name, `None` or `Automatic`; return once it is in the model."""
        return self._ask("choose", {"vae": vae, "sure": sure})  # type: ignore[no-any-return]

    def get(self, entry: str, *, use: bool = False, accept: bool = False) -> Download:
        """Begin the download of an entry of the catalogue; `accept` accepts its licence, `use` chooses it."""
        return self._ask("get", {"entry": entry, "use": use, "accept": accept})  # type: ignore[no-any-return]

    def get_from(self, address: str, *, name: str = "", anyway: bool = False) -> Download:
        """Begin a download from an address, as a person would paste it; `anyway` for a file that is no VAE."""
        asked = {"address": address, "name": name, "anyway": anyway}
        return self._ask("get", asked)  # type: ignore[no-any-return]

    def cancel(self, key: str) -> Download:
        """Cancel a download."""
        return self._ask("downloads/cancel", {"key": key})  # type: ignore[no-any-return]

    def wait(self, key: str, report: Callable[[Download], None] = lambda _: None) -> Download:
        """Wait for the end of a download; `report` receives each state that is seen.

        Raises RefusedError with the download's own failure, or if it was stopped; NotFoundError for an unknown key.
        """
        while True:
            found = next((one for one in self.downloads() if one["key"] == key), None)
            if found is None:
                raise NotFoundError(msg("There is no such download.", code="no-such-download"))
            report(found)
            if found["state"] == "done":
                return found
            if found["state"] in ENDED:
                raise _failed(found["failure"], "The download was stopped.", "download-stopped")
            time.sleep(ASKING_SECONDS)

    def verify(self, vae: str | None = None, *, keep: bool = False) -> JobResult:
        """Begin to verify a file, or all; `keep` accepts one that has changed."""
        return self._ask("verify", {"vae": vae, "keep": keep})  # type: ignore[no-any-return]

    def compare(
        self, vaes: Sequence[str], *, infotext: str | None = None, picture: bytes | None = None, encode: str = "current"
    ) -> JobResult:
        """Begin a comparison of one of the last pictures, the newest without an infotext, or of `picture`, a file.

        `encode` says by which VAE `picture` is encoded: `current`, the one in use, or `each`.
        """
        asked = {"vaes": list(vaes), "infotext": infotext, "encode": encode}
        if picture is not None:
            asked["picture"] = base64.b64encode(picture).decode()
        return self._ask("compare", asked)  # type: ignore[no-any-return]

    def best(self, vaes: Sequence[str], pictures: Iterable[tuple[str, bytes]] | None = None) -> JobResult:
        """Begin a ranking of `vaes` by pictures, each with its name; None: by the last generated ones."""
        batch = None
        if pictures is not None:
            batch = secrets.token_hex(8)
            for name, content in pictures:
                self.send_picture(batch, name, content)
        return self._ask("best", {"vaes": list(vaes), "batch": batch})  # type: ignore[no-any-return]

    def send_picture(self, batch: str, name: str, content: bytes) -> int:
        """Send a picture for a ranking; return how many the batch has. Another batch begins anew."""
        asked = {"batch": batch, "name": name, "picture": base64.b64encode(content).decode()}
        return self._ask("best/pictures", asked)["count"]  # type: ignore[no-any-return]

    def jobs(self) -> Sequence[Job]:
        """Return the verifications, comparisons and rankings of the WebUI's process."""
        return self._ask("jobs")  # type: ignore[no-any-return]

    def job(self, key: str) -> JobResult:
        """Return one of them, with its result once it has ended."""
        return self._ask(f"jobs/{quote(key, safe='')}")  # type: ignore[no-any-return]

    def cancel_job(self, key: str) -> JobResult:
        """Stop one of them."""
        return self._ask("jobs/cancel", {"key": key})  # type: ignore[no-any-return]

    def wait_for_job(self, key: str, report: Callable[[JobResult], None] = lambda _: None) -> JobResult:
        """Wait for the end of one of them; `report` receives each state that is seen. Raises as `wait`."""
        while True:
            found = self.job(key)
            report(found)
            if found["state"] == "done":
                return found
            if found["state"] in ENDED:
                raise _failed(found["failure"], "The work was stopped.", "job-stopped")
            time.sleep(ASKING_SECONDS)

    def rescue(self, infotext: str | None = None) -> dict[str, Any]:
        """Decode one of the last pictures again, the newest without an infotext; return the answer of a comparison."""
        return self._ask("rescue", {"infotext": infotext})  # type: ignore[no-any-return]

    def _ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        answer = self._send("GET" if body is None else "POST", f"{PATH}/{path}", json=body)
        content = _content(answer)
        if answer.status_code == 401 and self._auth is not None and _code(content) == SIGN_IN and self._sign_in():
            answer = self._send("GET" if body is None else "POST", f"{PATH}/{path}", json=body)
            content = _content(answer)
        if answer.ok and content is not None:
            return content
        raise self._error(answer.status_code, content)

    def _sign_in(self) -> bool:
        """Sign in to the page, whose sign-in counts without `--api-auth`; return True if it has changed anything."""
        assert self._auth is not None
        had = dict(self._session.cookies)
        self._send("POST", "/login", data={"username": self._auth[0], "password": self._auth[1]})
        return dict(self._session.cookies) != had

    def _send(self, method: str, path: str, **content: Any) -> requests.Response:
        """Send one request. It follows no redirection, which could lead to another server."""
        import requests

        try:
            return self._session.request(
                method, self._url + path, timeout=(CONNECT_SECONDS, ANSWER_SECONDS), allow_redirects=False, **content
            )
        except requests.RequestException as error:
            raise NetworkError(
                msg(
                    "The WebUI at {url} does not answer ({error}). Start it with --api, and check its address.",
                    code="no-webui",
                    url=self._url,
                    error=type(error).__name__,
                )
            ) from error

    def _error(self, status: int, content: Any) -> VaeManagerError:
        sentence, code = (content.get("error"), content.get("code")) if isinstance(content, dict) else (None, None)
        if not isinstance(sentence, str) or not isinstance(code, str):
            return NotFoundError(
                msg(
                    "{url} has no VAE Manager that answers programs (status {status}). Start the WebUI with --api and "
                    "with this extension.",
                    code="no-api",
                    url=self._url,
                    status=status,
                )
            )
        message = datum(sentence).with_code(code)
        if status in (401, 403):
            return NotAdmittedError(message, code)
        kinds: dict[int, type[VaeManagerError]] = {400: UsageError, 404: NotFoundError, 502: NetworkError}
        return kinds.get(status, RefusedError)(message)


def _content(answer: requests.Response) -> Any:
    """Return the JSON of an answer; None if it is none."""
    try:
        return answer.json()
    except ValueError:
        return None


def _code(content: Any) -> str | None:
    return content.get("code") if isinstance(content, dict) else None


def _failed(failure: Failure | None, sentence: str, code: str) -> RefusedError:
    """Return the failure of a download or a job; without one, it was stopped."""
    failure = failure or {"error": sentence, "code": code}
    return RefusedError(datum(failure["error"]).with_code(failure["code"]))


def _parsed(url: str) -> tuple[str, tuple[str, str] | None]:
    """Return the address without a name and a password, and these. Raises UsageError, which shows neither."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if parts.scheme not in ("http", "https") or not host:
        raise UsageError(
            msg("This is no address of a WebUI. It looks like http://127.0.0.1:7860.", code="no-webui-address")
        )
    auth = (unquote(parts.username or ""), unquote(parts.password or "")) if "@" in parts.netloc else None
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, place, parts.path.rstrip("/"), "", "")), auth
