"""Imitates modules/shared_state.py: what the running job is, and what was asked of it or of the server."""

from __future__ import annotations

import datetime
import threading
import time
from typing import Any

from modules import devices, errors, shared


class State:
    """One object for the process."""

    skipped = False
    interrupted = False
    stopping_generation = False
    job = ""
    job_no = 0
    job_count = 0
    job_timestamp = "0"
    processing_has_refined_job_count = False
    sampling_step = 0
    sampling_steps = 0
    current_latent: Any = None
    current_image: Any = None
    current_image_sampling_step = 0
    id_live_preview = 0
    textinfo: str | None = None
    time_start: float | None = None

    def __init__(self) -> None:
        self.server_start = time.time()
        self._server_command: str | None = None
        self._server_command_signal = threading.Event()

    @property
    def need_restart(self) -> bool:
        return self.server_command == "restart"

    @need_restart.setter
    def need_restart(self, value: bool) -> None:
        if value:
            self.server_command = "restart"

    @property
    def server_command(self) -> str | None:
        return self._server_command

    @server_command.setter
    def server_command(self, value: str | None) -> None:
        self._server_command = value
        self._server_command_signal.set()

    def wait_for_server_command(self, timeout: float | None = None) -> str | None:
        """The command once it is there, and forget it; None when the time is over."""
        if not self._server_command_signal.wait(timeout):
            return None
        self._server_command_signal.clear()
        command, self._server_command = self._server_command, None
        return command

    def request_restart(self) -> None:
        """Reload UI; the job that runs is interrupted."""
        self.interrupt()
        self.server_command = "restart"

    def skip(self) -> None:
        self.skipped = True

    def interrupt(self) -> None:
        self.interrupted = True

    def stop_generating(self) -> None:
        self.stopping_generation = True

    def set_current_image(self) -> None:
        """Makes a preview, if enough steps were made since the last; in the thread of whoever asks for progress.

        With "Full" that is the VAE of the model that is loaded now, beside the generation that is using it.
        """
        opts = shared.opts
        period = opts.show_progress_every_n_steps
        if not shared.parallel_processing_allowed or not opts.live_previews_enable or period == -1:
            return
        if self.sampling_step - self.current_image_sampling_step >= period:
            self.do_set_current_image()

    def do_set_current_image(self) -> None:
        """An error, as when the models are being changed, is recorded and makes no preview."""
        if self.current_latent is None:
            return
        import modules.sd_samplers

        try:
            if shared.opts.show_progress_grid:
                self.assign_current_image(modules.sd_samplers.samples_to_image_grid(self.current_latent))
            else:
                self.assign_current_image(modules.sd_samplers.sample_to_image(self.current_latent))
            self.current_image_sampling_step = self.sampling_step
        except Exception:
            errors.record_exception()

    def assign_current_image(self, image: Any) -> None:
        self.current_image = image
        self.id_live_preview += 1

    def nextjob(self) -> None:
        if shared.opts.live_previews_enable and shared.opts.show_progress_every_n_steps == -1:
            self.do_set_current_image()
        self.job_no += 1
        self.sampling_step = 0
        self.current_image_sampling_step = 0

    def dict(self) -> dict[str, Any]:
        names = (
            "skipped",
            "interrupted",
            "stopping_generation",
            "job",
            "job_count",
            "job_timestamp",
            "job_no",
            "sampling_step",
            "sampling_steps",
        )
        return {name: getattr(self, name) for name in names}

    def begin(self, job: str = "(unknown)") -> None:
        self.sampling_step = self.job_no = self.current_image_sampling_step = self.id_live_preview = 0
        self.time_start = time.time()
        self.job_count = -1
        self.job_timestamp = datetime.datetime.now().strftime("%Y%m%d%H%M%S")
        self.current_latent = self.current_image = self.textinfo = None
        self.skipped = self.interrupted = self.stopping_generation = False
        self.processing_has_refined_job_count = False
        self.job = job
        devices.torch_gc()

    def end(self) -> None:
        self.job = ""
        self.job_count = 0
        devices.torch_gc()
