"""Imitates modules/api/api.py: generation, options, the lists of models. Errors are 500s that name the exception."""

from __future__ import annotations

import base64
import io
from contextlib import closing
from secrets import compare_digest
from typing import Any

import gradio as gr
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.encoders import jsonable_encoder
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBasic, HTTPBasicCredentials
from PIL import Image

from modules import (
    errors,
    images,
    infotext_utils,
    script_callbacks,
    scripts,
    sd_models,
    sd_vae,
    shared,
    shared_items,
    ui,
)
from modules.api import models
from modules.fifo_lock import FIFOLock
from modules.processing import (
    StableDiffusionProcessingImg2Img,
    StableDiffusionProcessingTxt2Img,
    process_images,
)
from modules.progress import add_task_to_queue, finish_task, start_task
from tests.host.script_runner import ScriptRunner

_NOT_FOR_PROCESSING = {
    "script_name",
    "script_args",
    "alwayson_scripts",
    "send_images",
    "save_images",
    "force_task_id",
    "init_images",
    "mask",
    "include_init_images",
    "infotext",
}


def encode_pil_to_base64(image: Image.Image) -> str:
    """PNG, with its infotext."""
    file = io.BytesIO()
    image.save(file, format="PNG", pnginfo=_texts(image))
    return base64.b64encode(file.getvalue()).decode()


def _texts(image: Image.Image) -> Any:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    for key, value in image.info.items():
        if isinstance(key, str) and isinstance(value, str):
            info.add_text(key, value)
    return info


def decode_base64_to_image(encoding: str) -> Image.Image:
    text = encoding.split(",", 1)[1] if encoding.startswith("data:image/") else encoding
    return Image.open(io.BytesIO(base64.b64decode(text)))


def api_middleware(app: FastAPI) -> None:
    """Whatever goes wrong in a route becomes JSON; an HTTPException keeps its status."""

    def answer(request: Request, error: Exception) -> JSONResponse:
        told = {"error": type(error).__name__, "detail": getattr(error, "detail", ""), "body": "", "errors": str(error)}
        if not isinstance(error, HTTPException):
            errors.report(f"API error: {request.method}: {request.url} {told}", exc_info=True)
        return JSONResponse(status_code=getattr(error, "status_code", 500), content=jsonable_encoder(told))

    @app.middleware("http")
    async def exception_handling(request: Request, call_next: Any) -> Any:
        try:
            return await call_next(request)
        except Exception as error:
            return answer(request, error)

    @app.exception_handler(Exception)
    async def fastapi_exception_handler(request: Request, error: Exception) -> JSONResponse:
        return answer(request, error)

    @app.exception_handler(HTTPException)
    async def http_exception_handler(request: Request, error: HTTPException) -> JSONResponse:
        return answer(request, error)


class Api:
    """The routes below /sdapi/v1."""

    def __init__(self, app: FastAPI, queue_lock: FIFOLock) -> None:
        users = (shared.cmd_opts.api_auth or "").split(",")
        self.credentials = {name: password for name, _, password in (user.partition(":") for user in users) if name}
        self.app = app
        self.queue_lock = queue_lock
        api_middleware(app)
        for path, method, endpoint in self.routes():
            self.add_api_route(f"/sdapi/v1/{path}", endpoint, methods=[method])
        if shared.cmd_opts.api_server_stop:
            self.add_api_route("/sdapi/v1/server-restart", self.restart_webui, methods=["POST"])
            self.add_api_route("/sdapi/v1/server-stop", self.stop_webui, methods=["POST"])
        if not scripts.scripts_txt2img.scripts or not scripts.scripts_img2img.scripts:
            ui.create_ui()
        self.default_script_arg_txt2img = self.init_default_script_args(scripts.scripts_txt2img)
        self.default_script_arg_img2img = self.init_default_script_args(scripts.scripts_img2img)

    def routes(self) -> list[tuple[str, str, Any]]:
        """Path, method, endpoint."""
        return [
            ("txt2img", "POST", self.text2imgapi),
            ("img2img", "POST", self.img2imgapi),
            ("png-info", "POST", self.pnginfoapi),
            ("progress", "GET", self.progressapi),
            ("interrupt", "POST", self.interruptapi),
            ("options", "GET", self.get_config),
            ("options", "POST", self.set_config),
            ("cmd-flags", "GET", self.get_cmd_flags),
            ("sd-models", "GET", self.get_sd_models),
            ("sd-vae", "GET", self.get_sd_vaes),
            ("refresh-checkpoints", "POST", self.refresh_checkpoints),
            ("refresh-vae", "POST", self.refresh_vae),
            ("unload-checkpoint", "POST", self.unloadapi),
            ("reload-checkpoint", "POST", self.reloadapi),
            ("scripts", "GET", self.get_scripts_list),
            ("script-info", "GET", self.get_script_info),
        ]

    def add_api_route(self, path: str, endpoint: Any, **kwargs: Any) -> Any:
        guards = [Depends(self.auth)] if self.credentials else []
        return self.app.add_api_route(path, endpoint, dependencies=guards, **kwargs)

    def auth(self, credentials: HTTPBasicCredentials = Depends(HTTPBasic())) -> bool:  # noqa: B008
        expected = self.credentials.get(credentials.username)
        if expected is not None and compare_digest(credentials.password, expected):
            return True
        raise HTTPException(401, "Incorrect username or password", {"WWW-Authenticate": "Basic"})

    def init_default_script_args(self, script_runner: ScriptRunner) -> list[Any]:
        """Calls `ui` of every script twice more, outside of the page, as the WebUI does."""
        size = max([1, *(script.args_to or 1 for script in script_runner.scripts)])
        args: list[Any] = [0, *[None] * (size - 1)]
        with gr.Blocks():
            for script in script_runner.scripts:
                if script.ui(script.is_img2img):
                    values = [control.value for control in script.ui(script.is_img2img)]
                    args[script.args_from : script.args_to] = values
        return args

    def init_script_args(
        self, request: models.GenerationRequest, defaults: list[Any], runner: ScriptRunner
    ) -> list[Any]:
        """The defaults, and what the request says of the selected script and of always visible ones."""
        args = list(defaults)
        if request.script_name:
            script = self.get_script(request.script_name, runner.selectable_scripts)
            args[script.args_from : script.args_to] = request.script_args
            args[0] = runner.selectable_scripts.index(script) + 1
        for name, given in request.alwayson_scripts.items():
            script = self.get_script(name, runner.scripts)
            if not script.alwayson:
                raise HTTPException(422, "Cannot have a selectable script in the always on scripts params")
            for place, value in enumerate(given.get("args", [])[: script.args_to - script.args_from]):
                args[script.args_from + place] = value
        return args

    def get_script(self, name: str, known: list[Any]) -> Any:
        for script in known:
            if script.title().lower() == name.lower():
                return script
        raise HTTPException(422, f"Script '{name}' not found")

    def apply_infotext(self, request: models.GenerationRequest, tabname: str) -> None:
        """Fields and overrides of `infotext` that the request does not set itself; those of scripts are left out."""
        if not request.infotext:
            return
        params = infotext_utils.parse_generation_parameters(request.infotext)
        given = request.dict(exclude_unset=True)
        for paste in infotext_utils.paste_fields[tabname]["fields"]:
            known = request.__fields__.get(paste.api or "")
            value = paste.function(params) if paste.function else params.get(paste.label)
            if known is not None and paste.api not in given and value is not None and not isinstance(value, dict):
                setattr(request, paste.api, known.annotation(value))
        request.override_settings = request.override_settings or {}
        for _, setting, value in infotext_utils.get_override_settings(params):
            request.override_settings.setdefault(setting, value)

    def text2imgapi(self, txt2imgreq: models.Txt2ImgRequest) -> models.GenerationResponse:
        defaults, runner = self.default_script_arg_txt2img, scripts.scripts_txt2img
        folder = shared.opts.outdir_txt2img_samples
        return self._generate(StableDiffusionProcessingTxt2Img, txt2imgreq, runner, defaults, folder, {})

    def img2imgapi(self, img2imgreq: models.Img2ImgRequest) -> models.GenerationResponse:
        if img2imgreq.init_images is None:
            raise HTTPException(404, "Init image not found")
        start: dict[str, Any] = {"init_images": [decode_base64_to_image(one) for one in img2imgreq.init_images]}
        if img2imgreq.mask:
            start["mask"] = decode_base64_to_image(img2imgreq.mask)
        defaults, runner = self.default_script_arg_img2img, scripts.scripts_img2img
        folder = shared.opts.outdir_img2img_samples
        return self._generate(StableDiffusionProcessingImg2Img, img2imgreq, runner, defaults, folder, start)

    def _generate(
        self, kind: Any, request: Any, runner: Any, defaults: list[Any], folder: str, more: dict[str, Any]
    ) -> models.GenerationResponse:
        self.apply_infotext(request, "txt2img" if runner is scripts.scripts_txt2img else "img2img")
        args = self.init_script_args(request, defaults, runner)
        fields = {key: value for key, value in request.dict().items() if key not in _NOT_FOR_PROCESSING}
        fields["sampler_name"] = request.sampler_name or "Euler"
        task = request.force_task_id or "task(api)"
        add_task_to_queue(task)
        with self.queue_lock, closing(kind(sd_model=shared.sd_model, **fields, **more)) as p:
            p.is_api = True
            p.scripts = runner
            p.outpath_samples = folder
            p.do_not_save_samples = not request.save_images
            try:
                shared.state.begin(job=f"scripts_{'img2img' if more else 'txt2img'}")
                start_task(task)
                p.script_args = tuple(args)
                processed = (runner.run(p, *args) if request.script_name else None) or process_images(p)
                finish_task(task)
            finally:
                shared.state.end()
        pictures = [encode_pil_to_base64(image) for image in processed.images] if request.send_images else []
        return models.GenerationResponse(images=pictures, parameters=request.dict(), info=processed.js())

    def pnginfoapi(self, req: dict[str, Any]) -> dict[str, Any]:
        geninfo, items = images.read_info_from_image(decode_base64_to_image(req["image"].strip()))
        params = infotext_utils.parse_generation_parameters(geninfo or "")
        script_callbacks.infotext_pasted_callback(geninfo or "", params)
        return {"info": geninfo or "", "items": items, "parameters": params}

    def progressapi(self, skip_current_image: bool = False) -> dict[str, Any]:
        """Makes the preview first, if there is one to make, and then leaves it out if so asked, as the WebUI does."""
        state = shared.state
        if state.job_count == 0:
            return {"progress": 0.0, "eta_relative": 0.0, "state": state.dict(), "textinfo": state.textinfo}
        steps = state.sampling_step / state.sampling_steps if state.sampling_steps > 0 else 0.0
        done = min(1.0, (state.job_no + steps) / state.job_count) if state.job_count > 0 else 0.0
        state.set_current_image()
        shown = state.current_image if not skip_current_image else None
        picture = encode_pil_to_base64(shown) if shown else None
        told = {"progress": done, "eta_relative": 0.0, "state": state.dict(), "textinfo": state.textinfo}
        return {**told, "current_image": picture}

    def interruptapi(self) -> dict[str, Any]:
        shared.state.interrupt()
        return {}

    def unloadapi(self) -> dict[str, Any]:
        sd_models.unload_model_weights()
        return {}

    def reloadapi(self) -> dict[str, Any]:
        sd_models.send_model_to_device(shared.sd_model)
        return {}

    def get_config(self) -> dict[str, Any]:
        return dict(shared.opts.data)

    def set_config(self, req: dict[str, Any]) -> None:
        """Answers 200 and null also when an onchange failed: `opts.set` has swallowed it."""
        checkpoint = req.get("sd_model_checkpoint")
        if checkpoint is not None and checkpoint not in sd_models.checkpoint_aliases:
            raise RuntimeError(f"model {checkpoint!r} not found")
        for key, value in req.items():
            shared.opts.set(key, value, is_api=True)
        shared.opts.save(shared.config_filename)

    def get_cmd_flags(self) -> dict[str, Any]:
        return vars(shared.cmd_opts)

    def get_sd_models(self) -> list[dict[str, Any]]:
        return [
            {
                "title": info.title,
                "model_name": info.model_name,
                "hash": info.shorthash,
                "sha256": info.sha256,
                "filename": info.filename,
                "config": None,
            }
            for info in sd_models.checkpoints_list.values()
        ]

    def get_sd_vaes(self) -> list[dict[str, str]]:
        return [{"model_name": name, "filename": path} for name, path in sd_vae.vae_dict.items()]

    def refresh_checkpoints(self) -> None:
        with self.queue_lock:
            shared.refresh_checkpoints()

    def refresh_vae(self) -> None:
        with self.queue_lock:
            shared_items.refresh_vae_list()

    def get_scripts_list(self) -> dict[str, list[str]]:
        runners = {"txt2img": scripts.scripts_txt2img, "img2img": scripts.scripts_img2img}
        return {tab: [script.name for script in runner.scripts if script.name] for tab, runner in runners.items()}

    def get_script_info(self) -> list[models.ScriptInfo]:
        both = scripts.scripts_txt2img.scripts + scripts.scripts_img2img.scripts
        return [script.api_info for script in both if script.api_info is not None]

    def restart_webui(self) -> dict[str, Any]:
        """The WebUI ends its process here and leaves the start to its launcher; the stand-in reloads its page."""
        shared.state.request_restart()
        return {}

    def stop_webui(self) -> dict[str, Any]:
        shared.state.server_command = "stop"
        return {}
