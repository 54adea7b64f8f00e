"""Imitates modules/progress.py: which task waits, runs or is done, and its picture until now."""

from __future__ import annotations

import base64
import io
import time
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from modules import shared

current_task: str | None = None
pending_tasks: dict[str, float] = {}
finished_tasks: list[str | None] = []
recorded_results: list[tuple[str | None, Any]] = []
recorded_results_limit = 2


def start_task(id_task: str | None) -> None:
    global current_task  # as in the WebUI

    current_task = id_task
    pending_tasks.pop(id_task or "", None)


def finish_task(id_task: str | None) -> None:
    global current_task  # as in the WebUI

    if current_task == id_task:
        current_task = None
    finished_tasks.append(id_task)
    del finished_tasks[:-16]


def record_results(id_task: str | None, res: Any) -> None:
    recorded_results.append((id_task, res))
    del recorded_results[:-recorded_results_limit]


def add_task_to_queue(id_job: str) -> None:
    pending_tasks[id_job] = time.time()


class ProgressRequest(BaseModel):
    id_task: str | None = None
    id_live_preview: int = -1
    live_preview: bool = True


class ProgressResponse(BaseModel):
    active: bool
    queued: bool
    completed: bool
    progress: float | None = None
    eta: float | None = None
    live_preview: str | None = None
    id_live_preview: int | None = None
    textinfo: str | None = None


def setup_progress_api(app: FastAPI) -> None:
    app.add_api_route("/internal/progress", progressapi, methods=["POST"], response_model=ProgressResponse)


def progressapi(req: ProgressRequest) -> ProgressResponse:
    """How far the task is, or its place in the queue."""
    answer = ProgressResponse(
        active=req.id_task == current_task,
        queued=req.id_task in pending_tasks,
        completed=req.id_task in finished_tasks,
        id_live_preview=-1,
    )
    if not answer.active:
        waiting = sorted(pending_tasks, key=lambda task: pending_tasks[task])
        place = f"{waiting.index(req.id_task) + 1}/{len(waiting)}" if req.id_task in waiting else ""
        answer.textinfo = f"In queue: {place}" if place else "Waiting..."
        return answer
    state = shared.state
    done = 0.0
    if state.job_count > 0:
        step = state.sampling_step / state.sampling_steps if state.sampling_steps > 0 else 0.0
        done = min(1.0, (state.job_no + step) / state.job_count)
    spent = time.time() - state.time_start
    answer.progress = done
    answer.eta = spent / done - spent if done > 0 else None
    answer.textinfo = state.textinfo
    answer.id_live_preview = req.id_live_preview
    if shared.opts.live_previews_enable and req.live_preview:
        state.set_current_image()
        if state.id_live_preview != req.id_live_preview and state.current_image is not None:
            kind = shared.opts.live_previews_image_format
            file = io.BytesIO()
            state.current_image.save(file, format=kind)
            answer.live_preview = f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
            answer.id_live_preview = state.id_live_preview
    return answer
