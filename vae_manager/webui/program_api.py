"""The API for programs, below `/vae-manager/v1`, if the WebUI was started with --api.

    GET  status              the VAE in the model, and why
    GET  vaes                the VAE files that the WebUI lists, each with its verdict
    GET  catalogue           the published VAEs, and which of them can be downloaded here
    GET  needs               the components that the checkpoint needs, and which of them are here
    POST needs/get           begin the downloads of those that are missing
    POST choose              choose a VAE; the answer comes once it is in the model
    POST get                 begin a download, of an entry of the catalogue or from an address
    GET  downloads           the downloads of this process
    POST downloads/cancel    cancel a download
    POST verify              begin to verify a file, or all
    POST compare             begin a comparison
    POST best/pictures       send a picture for a ranking
    POST best                begin a ranking of VAEs
    GET  jobs, jobs/KEY      what has begun so, and one of them with its result
    POST jobs/cancel         stop one
    POST rescue              decode one of the last pictures again; the answer comes at the end

    POST /vae-manager/api/compare    a comparison; the answer comes at the end

The WebUI's page `/docs` has the models. The routes have the admission of the page: they refuse other web pages and
unknown names, and each action has the permissions of its sender. They require the sign-in of `--api-auth`, else that of
the page, and accept only JSON. A failure is a code and a sentence.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from secrets import compare_digest
from typing import TYPE_CHECKING, Any, Final

import pydantic
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from ..errors import IntegrityError, NetworkError, NotAdmittedError, NotFoundError, UsageError, VaeManagerError
from . import program_comparisons as comparisons
from . import program_files as files
from . import program_jobs as jobs
from . import program_models as models
from .admission import host_for, not_admitted
from .json_bodies import PICTURE_BYTES, answer, read_json, refuse
from .translation import english, translator_of
from .ui.gradio_compat import signed_in

if TYPE_CHECKING:
    from fastapi import FastAPI

    from ..service import Service
    from .hosts.host import Host

__all__ = ["PATH", "register_programs", "sign_in_of"]

PATH: Final = "/vae-manager/v1"
COMPARE_PATH: Final = "/vae-manager/api/compare"
TEXT_BYTES: Final = 100_000
"""Bytes of a body without a picture: more than the longest signed address."""
STATUSES: Final = {UsageError: 400, IntegrityError: 400, NotFoundError: 404, NetworkError: 502}
"""By the class of an error; any other is a refusal."""
REFUSED: Final = 409

SignIn = Callable[[HttpRequest], Response | None]
"""Returns the refusal of a request without the wanted sign-in."""


@dataclass(frozen=True)
class Route:
    """One route: its function gets the host as its sender sees it, the service, and the body or the key of its path."""

    path: str
    summary: str
    answer: Any
    """Model of the answer."""
    work: Callable[[Host, Service, Any], Any]
    body: type[models.Request] | None = None
    """Model of the body; None for a GET."""
    max_bytes: int = TEXT_BYTES
    """Of the body."""

    @property
    def statuses(self) -> Sequence[int]:
        """The statuses of its failures."""
        of_body = (413, 415) if self.body is not None else ()
        return (400, 401, 403, 404, 409, *of_body, 502)


def register_programs(app: FastAPI, host: Host, service: Callable[[], Service], users: Mapping[str, str]) -> None:
    """Add the routes to a WebUI's app. `users` are those of `sign_in_of`."""
    sign_in = sign_in_of(app, users)
    for route in ROUTES:
        _register(app, route, host, service, sign_in)


def _register(app: FastAPI, route: Route, host: Host, service: Callable[[], Service], sign_in: SignIn) -> None:
    async def endpoint(request: HttpRequest) -> Response:
        try:
            here = host_for(host, request)
        except NotAdmittedError as error:
            return not_admitted(error, translator_of(host))
        refusal = sign_in(request)
        if refusal is not None:
            return refusal
        asked = await _body(request, route) if route.body is not None else request.path_params.get(KEY)
        if isinstance(asked, Response):
            return asked
        return await run_in_threadpool(_answered, route, here, service(), asked)

    endpoint.__annotations__ = {"request": HttpRequest, "return": Response}  # the framework reads them
    shown: dict[str, Any] = {"response_model": route.answer, "summary": route.summary, "tags": ["VAE Manager"]}
    shown["responses"] = {status: {"model": models.Failure} for status in route.statuses}
    if route.body is not None:
        content = {"application/json": {"schema": models.schema_of(route.body)}}
        shown["openapi_extra"] = {"requestBody": {"required": True, "content": content}}
    elif f"{{{KEY}}}" in route.path:
        shown["openapi_extra"] = {
            "parameters": [{"name": KEY, "in": "path", "required": True, "schema": {"type": "string"}}]
        }
    method = app.get if route.body is None else app.post
    method(route.path if route.path.startswith("/vae-manager/") else f"{PATH}{route.path}", **shown)(endpoint)


async def _body(request: HttpRequest, route: Route) -> models.Request | Response:
    """Read and check the body; return the refusal of a wrong one."""
    asked = await read_json(request, route.max_bytes)
    if isinstance(asked, Response):
        return asked
    if not isinstance(asked, dict):
        return refuse(400, "no-object", "The body is to be a JSON object.")
    assert route.body is not None
    try:
        return route.body(**asked)
    except pydantic.ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        return refuse(400, "wrong-field", wrong)


def _answered(route: Route, host: Host, service: Service, asked: Any) -> Response:
    try:
        return answer(route.work(host, service, asked))
    except VaeManagerError as error:
        status = next((status for kind, status in STATUSES.items() if isinstance(error, kind)), REFUSED)
        return refuse(status, error.code, english(error.message, host))


# -- the sign-in ---------------------------------------------------------------------------------------------------
def sign_in_of(app: FastAPI, users: Mapping[str, str]) -> SignIn:
    """Return a function that returns the refusal of a request without the wanted sign-in; None for a good one.

    It checks as the WebUI's own routes do (modules/api/api.py:279). Without `users` the sign-in of the page is wanted,
    if the WebUI has one.
    """

    def refusal(request: HttpRequest) -> Response | None:
        if not users:
            has_page = hasattr(app, "auth") or hasattr(app, "auth_dependency")
            is_good = not has_page or signed_in(app, request)
        else:
            name, password = _credentials(request)
            expected = users.get(name)
            is_good = expected is not None and compare_digest(password.encode(), expected.encode())
        if is_good:
            return None
        refused = refuse(401, "not-signed-in", "Sign in first, as for the WebUI's own API.")
        refused.headers["WWW-Authenticate"] = "Basic"
        return refused

    return refusal


def _credentials(request: HttpRequest) -> tuple[str, str]:
    """Return the name and the password of a request; empty without them."""
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        name, _, password = base64.b64decode(text, validate=True).decode().partition(":")
    except ValueError:
        return "", ""
    return name, password


# -- the routes ----------------------------------------------------------------------------------------------------
KEY: Final = "key"
"""Name of the part of a path that names a job."""
ROUTES: Final[Sequence[Route]] = (
    Route("/status", "The VAE in the model, and why", models.Status, files.status),
    Route("/vaes", "VAE files, with verdicts", list[models.Vae], files.vaes),
    Route("/catalogue", "Published VAEs", list[models.CatalogueEntry], files.catalogue),
    Route("/needs", "Components that the checkpoint needs", models.Needs, files.needs),
    Route("/needs/get", "Begin the downloads of those that are missing", list[models.Download], files.begin_needs,
          models.GetNeeds),
    Route("/choose", "Choose a VAE, and wait until it is in the model", models.Status, files.choose_vae, models.Choose),
    Route("/get", "Begin a download", models.Download, files.begin_download, models.Get),
    Route("/downloads", "Downloads of this process", list[models.Download], files.downloads),
    Route("/downloads/cancel", "Cancel a download", models.Download, files.cancel_download, models.JobRequest),
    Route("/verify", "Begin to verify a file, or all", models.JobResult, jobs.verify, models.Verify),
    Route("/compare", "Begin a comparison", models.JobResult, jobs.compare, models.Compare, PICTURE_BYTES),
    Route("/best/pictures", "Send a picture for a ranking", models.PictureCount, jobs.add_picture, models.SendPicture,
          PICTURE_BYTES),
    Route("/best", "Begin a ranking of VAEs", models.JobResult, jobs.best, models.Best),
    Route("/jobs", "Verifications, comparisons and rankings of this process", list[models.Job], jobs.jobs),
    Route("/jobs/cancel", "Stop a job", models.JobResult, jobs.cancel, models.JobRequest),
    Route(f"/jobs/{{{KEY}}}", "A job, with its result at the end", models.JobResult, jobs.job),
    Route("/rescue", "Decode one of the last pictures again, and wait for it", models.Comparison, comparisons.rescue,
          models.Rescue),
    Route(COMPARE_PATH, "Compare, and wait for it", models.Comparison, comparisons.compare, models.Compare,
          PICTURE_BYTES),
)  # fmt: skip
