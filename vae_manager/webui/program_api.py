"""The API for programs, below `/vae-manager/v1`, if the WebUI was started with --api.

    GET  status              the VAE in the model, and why
    GET  vaes                the VAE files that the WebUI lists, each with its verdict
    GET  catalogue           the published VAEs, and which of them can be downloaded here
    GET  downloads           the downloads of this process
    POST choose              choose a VAE; the answer comes once it is in the model
    POST get                 begin a download, of an entry of the catalogue or from an address
    POST downloads/cancel    cancel a download
    POST rescue, compare     decode one of the last pictures: see `webui.api`

The WebUI's page `/docs` has the models. The routes have the admission of the page: they refuse other web pages and
unknown names, and each action has the permissions of its sender. They require the sign-in of `--api-auth`, else that of
the page, and accept only JSON. A failure is a code and a sentence.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pydantic
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from ..catalogue import Entry
from ..choice import AUTOMATIC, BUILTIN, Choice
from ..errors import NetworkError, NotAdmittedError, NotFoundError, RefusedError, UsageError, VaeManagerError
from ..files.state_file import parse_json
from ..jobs import JobState
from ..library import scan
from ..messages import Message, msg
from ..records.verdict import VERDICT_NAMES, Verdict
from . import program_models as models
from .admission import OURS_ALONE, host_for, not_admitted
from .translation import translator_of, without_paths
from .ui import actions
from .ui.page_handlers import get, get_from, managed
from .ui.vae_options import CHOICE_KEY, choose, read_options

if TYPE_CHECKING:
    from fastapi import FastAPI

    from ..downloads import Download
    from ..service import Service
    from .hosts.host import Host

__all__ = ["PATH", "register_programs"]

PATH: Final = "/vae-manager/v1"
MAX_BODY_BYTES: Final = 100_000
"""More than the longest signed address."""
STATUSES: Final = {UsageError: 400, NotFoundError: 404, NetworkError: 502}
"""By the class of an error; any other is a refusal."""
REFUSED: Final = 409

Answer = Any
"""What JSON can hold."""


@dataclass(frozen=True)
class Route:
    """One route: its function gets the host as its sender sees it, the service and the body."""

    path: str
    summary: str
    answer: Any
    """Model of the answer."""
    work: Callable[[Host, Service, Any], Answer]
    body: type[models.Request] | None = None
    """Model of the body; None for a GET."""


def register_programs(
    app: FastAPI, host: Host, service: Callable[[], Service], sign_in: Callable[[HttpRequest], Response | None]
) -> None:
    """Add the routes to a WebUI's app. `sign_in` returns the refusal of a request without the wanted sign-in."""
    for route in ROUTES:
        _register(app, route, host, service, sign_in)


def _register(
    app: FastAPI,
    route: Route,
    host: Host,
    service: Callable[[], Service],
    sign_in: Callable[[HttpRequest], Response | None],
) -> None:
    async def endpoint(request: HttpRequest) -> Response:
        try:
            here = host_for(host, request)
        except NotAdmittedError as error:
            return not_admitted(error, translator_of(host))
        refusal = sign_in(request)
        if refusal is not None:
            return refusal
        body = await _body(request, route.body) if route.body is not None else None
        if isinstance(body, Response):
            return body
        return await run_in_threadpool(_answered, route, here, service(), body)

    endpoint.__annotations__ = {"request": HttpRequest, "return": Response}  # the framework reads them
    failure = {"model": models.Failure}
    shown: dict[str, Any] = {"response_model": route.answer, "summary": route.summary, "tags": ["VAE Manager"]}
    shown["responses"] = dict.fromkeys((400, 401, 403, 404, 409, 413, 415, 502), failure)
    if route.body is None:
        app.get(PATH + route.path, **shown)(endpoint)
        return
    content = {"application/json": {"schema": models.schema_of(route.body)}}
    app.post(PATH + route.path, openapi_extra={"requestBody": {"required": True, "content": content}}, **shown)(
        endpoint
    )


async def _body(request: HttpRequest, model: type[models.Request]) -> models.Request | Response:
    """Read and check the body; return the refusal of a wrong one."""
    from .api import read_body, sends_json

    if not sends_json(request):
        return refuse(415, "not-json", "Only JSON is taken.")
    content = await read_body(request, MAX_BODY_BYTES)
    if content is None:
        return refuse(413, "too-long", f"A body has at most {MAX_BODY_BYTES} bytes.")
    try:
        asked = parse_json(content, max_bytes=MAX_BODY_BYTES)
        if not isinstance(asked, dict):
            raise ValueError("The body is to be an object.")
        return model(**{str(key): value for key, value in asked.items()})
    except pydantic.ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        return refuse(400, "wrong-field", wrong)
    except ValueError as error:
        return refuse(400, "bad-json", str(error) or "This is no JSON, or its parts lie too deep in each other.")


def _answered(route: Route, host: Host, service: Service, body: models.Request | None) -> Response:
    try:
        return answer(route.work(host, service, body))
    except VaeManagerError as error:
        status = next((status for kind, status in STATUSES.items() if isinstance(error, kind)), REFUSED)
        return refuse(status, error.code, _text(error.message, host))


def answer(content: Answer, status: int = 200) -> Response:
    """Answer in ASCII: the name of a file can hold lone surrogates, which UTF-8 cannot encode."""
    headers = {"Cache-Control": "no-store", **OURS_ALONE}
    return Response(json.dumps(content), status, headers, "application/json")


def refuse(status: int, code: str, sentence: str) -> Response:
    """Return the answer to a request that failed."""
    return answer({"error": sentence, "code": code}, status)


def _text(message: Message, host: Host) -> str:
    return str(message if host.shows_paths else without_paths(message))


def _failure(message: Message | None, host: Host) -> Answer:
    return {"error": _text(message, host), "code": message.code} if message is not None else None


# -- reading -------------------------------------------------------------------------------------------------------
def _status(host: Host, service: Service, _: Any) -> Answer:
    in_use, choice, resolution = host.in_use(), host.choice(), host.resolution()
    sha256 = service.stores.hashes.known(Path(in_use.path)) if in_use.path is not None else None
    entry = service.catalogue.recognise(sha256) if sha256 is not None else None
    return {
        "checkpoint": in_use.checkpoint,
        "vae": _name(in_use.path),
        "path": in_use.path if host.shows_paths else None,
        "sha256": sha256,
        "entry": entry.id if entry is not None else None,
        "dtype": in_use.dtype,
        "choice": choice.word,
        "resolves_to": _name(resolution.path),
        "rule": resolution.rule.value,
        "is_in_use": in_use.checkpoint is not None and in_use.path == resolution.path,
        "refused": _failure(in_use.refusal.message if in_use.refusal is not None else None, host),
        "is_generating": host.generating(),
    }


def _name(path: str | None) -> str | None:
    return Path(path).name if path is not None else None


def _vaes(host: Host, service: Service, _: Any) -> Answer:
    files = scan(host.folders())
    service.maintenance.inspect(files)
    in_use, listed = host.in_use().path, host.files()
    found = []
    for option in read_options(host, service, files, host.choice()):
        if option.file is None:
            continue
        record, path = option.record, str(option.file.path)
        entry = record.entry if record is not None else option.entry
        found.append(
            {
                "name": option.word,
                "path": path if host.shows_paths else None,
                "size": option.file.size,
                "layout": record.layout if record is not None else "unknown",
                "family": record.family.family if record is not None else None,
                "dtype": record.dtype if record is not None else None,
                "sha256": service.stores.hashes.known(option.file.path),
                "entry": entry.id if entry is not None else None,
                "verdict": VERDICT_NAMES[type(option.answer)] if option.answer is not None else "unknown",
                "reason": _failure(_reason(option.answer), host),
                "is_in_use": listed.get(option.word) == in_use and in_use is not None,
            }
        )
    return found


def _reason(verdict: Verdict | None) -> Message | None:
    return verdict.reason.message if verdict is not None and verdict.reason is not None else None


def _catalogue(host: Host, service: Service, _: Any) -> Answer:
    here = {
        sha256: file.path.name for file in scan(host.folders()) if (sha256 := service.stores.hashes.known(file.path))
    }
    return [_entry(entry, host, here) for entry in service.catalogue.entries]


def _entry(entry: Entry, host: Host, here: Mapping[str, str]) -> Answer:
    return {
        "id": entry.id,
        "name": entry.name,
        "family": entry.family,
        "file_name": entry.file_name,
        "sha256": entry.sha256,
        "size": entry.size,
        "licence": entry.licence.name if entry.licence is not None else None,
        "is_offered": entry.offered and host.capability.can_use(entry),
        "here": here.get(entry.sha256),
    }


def _downloads(host: Host, service: Service, _: Any) -> Answer:
    return [_download(one, host) for one in service.downloads.views()]


def _download(one: Download, host: Host) -> Answer:
    job = one.job
    return {
        "key": job.key,
        "name": job.title,
        "state": job.state.value,
        "done": job.done,
        "total": job.total,
        "speed": job.speed,
        "failure": _failure(job.error, host),
    }


def _view(service: Service, key: str) -> Download:
    for one in service.downloads.views():
        if one.job.key == key:
            return one
    raise NotFoundError(msg("There is no such download.", code="no-such-download"))


# -- acting --------------------------------------------------------------------------------------------------------
def _choose(host: Host, service: Service, asked: models.Choose) -> Answer:
    """Wait for the end of the choice, as a program does that makes a picture next."""
    if asked.vae not in (AUTOMATIC.word, BUILTIN.word, *host.files()):
        raise NotFoundError(msg("The WebUI lists no VAE file {file}.", code="no-such-vae", file=asked.vae))
    choose(host, service, Choice(asked.vae), sure=asked.sure)
    ended = service.choices.wait(CHOICE_KEY + asked.vae)
    if ended is None or ended.state is JobState.STOPPED:
        raise RefusedError(msg("Another VAE was chosen meanwhile.", code="choice-superseded"))
    if ended.error is not None:
        raise RefusedError(ended.error)
    return _status(host, service, None)


def _get(host: Host, service: Service, asked: models.Get) -> Answer:
    if (asked.entry is None) is (asked.address is None):
        raise UsageError(msg("Give “entry” or “address”, one of the two.", code="entry-or-address"))
    if asked.entry is not None:
        entry = service.catalogue.entry(asked.entry)
        key = get(host, service, entry, use=asked.use, accept=asked.accept)
    else:
        key = get_from(host, service, actions.GetFrom(asked.address or "", asked.name, asked.anyway))
    return _download(_view(service, key), host)


def _cancel(host: Host, service: Service, asked: models.JobRequest) -> Answer:
    downloads = managed(host, service)
    _view(service, asked.key)
    downloads.cancel(asked.key)
    return _download(_view(service, asked.key), host)


ROUTES: Final[Sequence[Route]] = (
    Route("/status", "The VAE in the model, and why", models.Status, _status),
    Route("/vaes", "VAE files, with verdicts", list[models.Vae], _vaes),
    Route("/catalogue", "Published VAEs", list[models.CatalogueEntry], _catalogue),
    Route("/downloads", "Downloads of this process", list[models.Download], _downloads),
    Route("/choose", "Choose a VAE, and wait until it is in the model", models.Status, _choose, models.Choose),
    Route("/get", "Begin a download", models.Download, _get, models.Get),
    Route("/downloads/cancel", "Cancel a download", models.Download, _cancel, models.JobRequest),
)
