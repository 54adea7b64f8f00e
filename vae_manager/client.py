"""A client of the API for programs of a running WebUI (`/vae-manager/v1`, with `--api`).

    from vae_manager.client import WebUI

    webui = WebUI("http://127.0.0.1:7860", auth=("user", "password"))
    webui.wait(webui.get("ft-mse", use=True)["key"])
    print(webui.status()["vae"])

Answers are dictionaries, whose keys `docs/reference/http-api.md` lists. A failure is the exception that the same
failure has here: its sentence and its code are those of the WebUI.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Final, TypedDict

from .errors import NetworkError, NotAdmittedError, NotFoundError, RefusedError, UsageError, VaeManagerError
from .messages import datum, msg

__all__ = ["Download", "Failure", "Status", "Vae", "WebUI"]

PATH: Final = "/vae-manager/v1"
CONNECT_SECONDS: Final = 10.0
ANSWER_SECONDS: Final = 600.0
"""A choice waits for a picture that is being made, and a rescue decodes several times."""
ASKING_SECONDS: Final = 0.5
"""Between two looks at a download."""
ENDED: Final = ("done", "failed", "stopped")


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
    layout: str
    family: str | None
    dtype: str | None
    sha256: str | None
    entry: str | None
    verdict: str
    reason: Failure | None
    is_in_use: bool


class Download(TypedDict):
    """A download."""

    key: str
    name: str
    state: str
    done: int
    total: int | None
    speed: float | None
    failure: Failure | None


class WebUI:
    """A running WebUI.

    Each method raises a VaeManagerError: NetworkError without an answer, NotAdmittedError without the sign-in or for
    another reason of admission, UsageError, NotFoundError or RefusedError as the WebUI answers.
    """

    def __init__(self, url: str, auth: tuple[str, str] | None = None) -> None:
        """Ask nothing yet. `auth` is a name and a password of `--api-auth`."""
        import requests

        self._url = url.rstrip("/")
        self._session = requests.Session()
        self._session.auth = auth

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

    def catalogue(self) -> Sequence[dict[str, Any]]:
        """Return the published VAEs."""
        return self._ask("catalogue")  # type: ignore[no-any-return]

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
                failure = found["failure"] or {"error": "The download was stopped.", "code": "download-stopped"}
                raise RefusedError(datum(failure["error"]).with_code(failure["code"]))
            time.sleep(ASKING_SECONDS)

    def rescue(self, infotext: str | None = None) -> dict[str, Any]:
        """Decode one of the last pictures again, the newest without an infotext; return the answer of a comparison."""
        return self._ask("rescue", {"infotext": infotext})  # type: ignore[no-any-return]

    def _ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        import requests

        url, timeout = f"{self._url}{PATH}/{path}", (CONNECT_SECONDS, ANSWER_SECONDS)
        try:
            if body is None:
                answer = self._session.get(url, timeout=timeout)
            else:
                answer = self._session.post(url, json=body, timeout=timeout)
        except requests.RequestException as error:
            raise NetworkError(
                msg(
                    "The WebUI at {url} does not answer ({error}). Start it with --api, and check its address.",
                    code="no-webui",
                    url=self._url,
                    error=type(error).__name__,
                )
            ) from error
        try:
            content = answer.json()
        except ValueError:
            content = None
        if answer.ok and content is not None:
            return content
        raise self._error(answer.status_code, content)

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
