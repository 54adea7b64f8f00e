"""Imitates webui.py: builds the page, serves it, and builds it again for Reload UI; or only the API with --nowebui."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

import uvicorn
from fastapi import FastAPI
from modules import initialize, timer

startup_timer = timer.startup_timer

_HOST = "127.0.0.1"
"""Also under --listen: the stand-in never serves anybody else."""


def create_api(app: FastAPI) -> Any:
    from modules.api.api import Api
    from modules.call_queue import queue_lock

    return Api(app, queue_lock)


def api_only() -> None:
    initialize.initialize()
    serve_the_api()


def serve_the_api() -> None:
    from modules import script_callbacks
    from modules.shared_cmd_options import cmd_opts

    app = FastAPI()
    create_api(app)
    script_callbacks.before_ui_callback()
    script_callbacks.app_started_callback(None, app)
    server = uvicorn.Server(uvicorn.Config(app, host=_HOST, port=cmd_opts.port, log_level="warning"))
    # In a thread of its own, where it leaves the signals alone; gradio does likewise
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    _started(cmd_opts.port)
    thread.join()


def webui() -> None:
    initialize.initialize()
    serve_until_stopped()


def serve_until_stopped() -> None:
    from modules import script_callbacks, shared

    while True:
        _serve()
        while (command := shared.state.wait_for_server_command(timeout=5)) not in ("stop", "restart"):
            if command:
                print(f"Unknown server command: {command}")
        shared.demo.close()
        if command == "stop":
            print("Stopping server...")
            os._exit(0)
        print("Restarting UI...")
        time.sleep(0.5)
        startup_timer.reset()
        script_callbacks.app_reload_callback()
        script_callbacks.script_unloaded_callback()
        startup_timer.record("scripts unloaded callback")
        initialize.initialize_rest(reload_script_modules=True)


def _serve() -> None:
    """One life of the page: everything is attached to a new app."""
    from modules import extensions, progress, script_callbacks, shared, ui
    from modules.paths import script_path
    from modules.shared_cmd_options import cmd_opts

    script_callbacks.before_ui_callback()
    startup_timer.record("scripts before_ui_callback")
    shared.demo = ui.create_ui()
    startup_timer.record("create ui")
    if not cmd_opts.no_gradio_queue:
        shared.demo.queue(64)
    users = [tuple(one.strip().split(":", 1)) for one in (cmd_opts.gradio_auth or "").split(",") if one.strip()]
    app, _, _ = shared.demo.launch(
        server_name=_HOST,
        server_port=cmd_opts.port,
        auth=users or None,
        prevent_thread_lock=True,
        quiet=True,
        allowed_paths=[script_path, *cmd_opts.gradio_allowed_path, *extensions.extension_paths],
        app_kwargs={"docs_url": "/docs", "redoc_url": "/redoc"},
        root_path=f"/{cmd_opts.subpath}" if cmd_opts.subpath else "",
    )
    startup_timer.record("gradio launch")
    _replace_middleware(app)
    progress.setup_progress_api(app)
    ui.setup_ui_api(app)
    if cmd_opts.api:
        create_api(app)
    startup_timer.record("add APIs")
    with startup_timer.subcategory("app_started_callback"):
        script_callbacks.app_started_callback(shared.demo, app)
    _started(cmd_opts.port)


def _started(port: int) -> None:
    timer.startup_record = startup_timer.dump()
    print(f"Startup time: {startup_timer.summary()}.")
    print(f"Running on local URL: http://{_HOST}:{port}", flush=True)


def _replace_middleware(app: FastAPI) -> None:
    """Without gradio's CORS, which lets every web page post to the server; routes may be added after this."""
    from starlette.middleware.gzip import GZipMiddleware

    app.user_middleware = [known for known in app.user_middleware if known.cls.__name__ != "CORSMiddleware"]
    app.middleware_stack = None
    app.add_middleware(GZipMiddleware, minimum_size=1000)
    app.build_middleware_stack()
