"""Inside a WebUI: its own swap of VAEs and this project's, in turn, timed.

`bench.swap` puts this file into a running WebUI as the script of an extension. It reads the order beside it, works
under the WebUI's queue lock, a pair at a time, and leaves the seconds beside itself. It ends when its folder has gone.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import mmap
import os
import random
import threading
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import psutil
import safetensors.torch
import torch
from modules import call_queue, devices, script_callbacks, sd_vae, shared
from modules import patches as webui_patches

from vae_manager.service import Service, the_service
from vae_manager.swap import named_tensors, swapper, weight_reader, weights
from vae_manager.webui.hosts.common import adapter, options, patches, vae_state
from vae_manager.webui.hosts.host_values import host_here

HOST = importlib.import_module(f"vae_manager.webui.hosts.{host_here()}.adapter").the_host()

FOLDER = Path(__file__).parent
ORDER, PROGRESS, RESULT = (FOLDER / name for name in ("order.json", "progress.txt", "result.json"))
SEED = 20261123
PAGE = mmap.PAGESIZE
OWN = "load_vae", "load_vae_dict", "reload_vae_weights"
"""The WebUI's ways, as far as they are guarded."""
LEAST = 100_000_000
"""Bytes of a file that is worth timing."""

CALM, WARNING = 0.2, 0.2
"""Processors that may be busy with something else when a round begins, and the seconds over which that is looked at."""

OURS, OURS_DEVICE = "ours", "ours, on the GPU"
HOSTS, HOSTS_CACHED = "host", "host, its RAM cache"
PLAIN, PLAIN_FRESH = "plain read", "plain read, fresh buffer"
Sample = dict[str, float]
"""Seconds, by what was done."""
Function = Callable[..., Any]


class Unusable(Exception):
    """What was timed did not do what it had to, or cannot be timed here."""


# -- the model and the ways to bring a file into it ------------------------------------------------------------------
class Bench:
    def __init__(self, names: Sequence[str]) -> None:
        self.model = shared.sd_model
        self.module = HOST.vae._module(self.model)
        self.on_gpu = devices.device.type == "cuda"
        self.swapper = HOST.vae._swapper
        self.names = list(names) or self._fitting()[:3]
        if len(self.names) < 2:
            raise Unusable("At least two VAE files that fit the loaded checkpoint are needed.")
        self.files = {name: sd_vae.vae_dict[name] for name in self.names}
        self.right = {name: _sums(_from_file(path, self.module)) for name, path in self.files.items()}
        self.guarded = {name: getattr(sd_vae, name) for name in OWN}
        found = {name: webui_patches.original(patches.KEY, sd_vae, name) for name in OWN}
        self.original = {name: function for name, function in found.items() if function is not None}
        if "load_vae" not in self.original:
            raise Unusable("The guards are off (see the settings): there is nothing to compare.")
        self.buffer = bytearray(max(map(_size, self.files.values())))
        """What the plain read fills; read to once, so that the system has given it its pages."""
        for path in self.files.values():
            read_plainly(path, self.buffer)
            the_service(HOST.data_folder).stores.hashes.compute(Path(path))  # as after the first swap of a file

    def _fitting(self) -> list[str]:
        names = []
        for name, path in sd_vae.vae_dict.items():
            if path.endswith(".safetensors") and _size(path) > LEAST:
                HOST.vae.check(self.model, path)
                names.append(name)
        return names

    # Before the clock runs
    def start_from(self, start: str, target: str, *, kept: bool) -> None:
        """Let `start` be in the model, and `target` among the system's pages, and `kept` by this project."""
        self.swapper.on_device.clear()
        for name in [target, start] if kept else [start]:
            HOST.vae.put(self.model, self.files[name], anew=True)
            self.settle()
        _write("sd_vae", start)
        read_plainly(self.files[target], self.buffer)

    def drop(self, target: str) -> None:
        """Let nothing of `target` be in memory: neither in a cache, nor among the system's pages."""
        self.settle()
        self.swapper.in_ram.clear()
        self.swapper.on_device.clear()
        sd_vae.checkpoints_loaded.clear()
        gc.collect()
        drop_pages(self.files[target])

    def settle(self) -> None:
        self.swapper.in_ram.wait()
        self.swapper.on_device.wait()

    # The ways: each gives the function that follows the setting
    @contextmanager
    def ours(self, from_memory: bool) -> Iterator[Function]:
        yield self.guarded["reload_vae_weights"]
        if HOST.vae.last is None or HOST.vae.last.from_memory is not from_memory:
            raise Unusable("This project's swap did not read from where it should.")

    @contextmanager
    def hosts(self, cached: bool) -> Iterator[Function]:
        """The WebUI's own functions, with its own books."""
        self.swapper.forget(self.module)
        with option("sd_vae_checkpoint_cache", len(self.files) if cached else 0):
            self._set(self.original)
            try:
                if cached:
                    self._fill_hosts_cache()
                yield self.original["reload_vae_weights"]
            finally:
                self._set(self.guarded)

    @staticmethod
    def _set(functions: Mapping[str, Function]) -> None:
        for name, function in functions.items():
            setattr(sd_vae, name, function)

    def _fill_hosts_cache(self) -> None:
        """As it fills it itself (sd_vae.py:212)."""
        for path in self.files.values():
            if path not in sd_vae.checkpoints_loaded:
                tensors = sd_vae.load_vae_dict(path, map_location=shared.weight_load_location)
                _sums(tensors)  # so that the pages that safetensors has mapped are there
                sd_vae.checkpoints_loaded[path] = tensors

    # The clock
    def timed(self, target: str, way: AbstractContextManager[Function], then: Callable[[], None]) -> Sample:
        """From the choice until the swap is done, and what comes `then`."""
        with way as follow_setting:
            _write("sd_vae", target)
            synchronize()
            started = time.perf_counter()
            follow_setting()
            synchronize()
            done = time.perf_counter()
            then()
            synchronize()
            ended = time.perf_counter()
        self.settle()
        if sd_vae.loaded_vae_file != self.files[target]:
            raise Unusable(f"The books name {sd_vae.loaded_vae_file}, not {target}.")
        if _sums(named_tensors(self.module)) != self.right[target]:
            raise Unusable(f"What is in the model is not {target}.")
        return {"swap": done - started, "then": ended - done}

    def read_all(self) -> None:
        """Read each byte of the weights once."""
        with torch.no_grad():
            float(
                torch.stack([tensor.sum(dtype=torch.float32) for tensor in named_tensors(self.module).values()]).sum()
            )

    def decode(self) -> None:
        latent = torch.zeros((1, 4, 8, 8), device=devices.device, dtype=next(self.module.parameters()).dtype)
        with torch.no_grad(), devices.without_autocast():
            self.model.decode_first_stage(latent)


# -- pairs -----------------------------------------------------------------------------------------------------------
Pair = dict[str, Any]
"""What one round gave: a sample for each way."""


def warm(bench: Bench, start: str, target: str, chance: random.Random, then: Callable[[], None]) -> Pair:
    """Everything that can be in memory is."""
    ways = [OURS, HOSTS, HOSTS_CACHED, *([OURS_DEVICE] if bench.on_gpu else [])]
    pair: Pair = {}
    for way in chance.sample(ways, len(ways)):
        with option(options.ON_DEVICE, way == OURS_DEVICE):
            bench.start_from(start, target, kept=way in (OURS, OURS_DEVICE))
            context = bench.ours(True) if way in (OURS, OURS_DEVICE) else bench.hosts(way == HOSTS_CACHED)
            pair[way] = bench.timed(target, context, then)
    return pair


def cold(bench: Bench, start: str, target: str, chance: random.Random) -> Pair:
    """Nothing is in memory, and the plain reads of the same bytes stand beside."""
    ways = [OURS, HOSTS, PLAIN, PLAIN_FRESH]
    pair: Pair = {}
    for way in chance.sample(ways, len(ways)):
        path = bench.files[target]
        if way in (OURS, HOSTS):
            HOST.vae.put(bench.model, bench.files[start], anew=True)
            _write("sd_vae", start)
        bench.drop(target)
        pair["resident"] = max(pair.get("resident", 0.0), resident(path))
        if way in (OURS, HOSTS):
            context = bench.ours(False) if way == OURS else bench.hosts(False)
            pair[way] = bench.timed(target, context, bench.read_all)
            continue
        started = time.perf_counter()
        buffer = bench.buffer if way == PLAIN else bytearray(_size(path))
        read_plainly(path, buffer)
        pair[way] = {"swap": time.perf_counter() - started, "then": 0.0}
    return pair


def taken_apart(bench: Bench, start: str, target: str, parts: Parts, *, from_memory: bool) -> Sample:
    """What the time of this project's swap is made of."""
    bench.start_from(start, target, kept=from_memory)
    if not from_memory:
        bench.drop(target)
    with parts.watched():
        whole = bench.timed(target, bench.ours(from_memory), lambda: None)["swap"]
    return {**parts.seconds, "the rest": whole - sum(parts.seconds.values()), "in all": whole}


class Parts:
    """Seconds by part of the swap; what a part calls that is a part itself counts there alone."""

    FUNCTIONS: tuple[tuple[Any, str, str], ...] = (
        (adapter.FamilyWebUI, "resolution_of", "which file is meant"),
        (swapper, "identity_of", "stat"),
        (vae_state, "identity_of", "stat"),
        (swapper, "identity_of", "stat"),
        (swapper, "inspect", "header looked at"),
        (swapper, "fit", "check"),
        (swapper, "_would_fit", "check"),
        (weights.Weights, "like", "fitted to the model (a GPU: copied)"),
        (weight_reader, "read_header", "header looked at"),
        (weight_reader, "_read", "bytes read, looked at and summed"),
        (swapper, "places", "the module's tensors listed"),
        (swapper, "exchanged", "exchange"),
        (type(HOST.vae._books), "kept", "books"),
        (type(HOST.vae._books), "write", "books"),
        (swapper.WeightCache, "get", "cache"),
        (swapper.WeightCache, "take", "cache"),
        (swapper.WeightCache, "put", "cache"),
        (swapper.WeightCache, "put_back", "cache"),
        (threading.Thread, "start", "threads started"),
        (ThreadPoolExecutor, "submit", "threads started"),
        (Service, "hash_in_background", "hash known?"),
        (script_callbacks, "model_loaded_callback", "callbacks of the WebUI (Lora)"),
        (adapter.FamilyWebUI, "in_use", "callback, ours"),
        (adapter.FamilyWebUI, "resolution", "callback, ours"),
        (vae_state.logger, "info", "log"),
    )

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._running: list[str] = []
        self._since = 0.0
        self._thread = 0

    @contextmanager
    def watched(self) -> Iterator[None]:
        self.seconds, self._running, self._thread = defaultdict(float), [], threading.get_ident()
        before = [(place, name, place.__dict__.get(name)) for place, name, _ in self.FUNCTIONS]
        for place, name, part in self.FUNCTIONS:
            setattr(place, name, self._watch(getattr(place, name), part))
        try:
            yield
        finally:
            for place, name, function in before:
                if function is not None:
                    setattr(place, name, function)
                else:
                    delattr(place, name)

    def _watch(self, function: Function, part: str) -> Function:
        def watched(*arguments: Any, **named: Any) -> Any:
            if threading.get_ident() != self._thread:
                return function(*arguments, **named)
            with self._inside(part):
                given = function(*arguments, **named)
            return self._watch_context(given, part) if hasattr(given, "__enter__") else given

        return watched

    @contextmanager
    def _watch_context(self, context: Any, part: str) -> Iterator[Any]:
        """Going in and coming out count, not what is done inside."""
        with self._inside(part):
            given = context.__enter__()
        yield given
        with self._inside(part):
            context.__exit__(None, None, None)

    @contextmanager
    def _inside(self, part: str) -> Iterator[None]:
        self._stop()
        self._running.append(part)
        try:
            yield
        finally:
            self._stop()
            self._running.pop()

    def _stop(self) -> None:
        now = time.perf_counter()
        if self._running:
            self.seconds[self._running[-1]] += now - self._since
        self._since = now


# -- files and pages -------------------------------------------------------------------------------------------------
def read_plainly(path: str, buffer: bytearray) -> None:
    """The file's bytes into `buffer`, and nothing else."""
    with open(path, "rb", buffering=0) as file, memoryview(buffer) as whole:  # noqa: PTH123
        at = 0
        while count := file.readinto(whole[at:]):
            at += count


def drop_pages(path: str) -> None:
    """Let the system forget the file's pages, and the C library its free memory."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fdatasync(file)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(file)
    getattr(ctypes.CDLL(None), "malloc_trim", lambda _: 0)(0)


def resident(path: str) -> float:
    """Which part of the file is among the system's pages."""
    size = _size(path)
    with open(path, "rb") as file, mmap.mmap(file.fileno(), size, access=mmap.ACCESS_COPY) as mapped:  # noqa: PTH123
        there = (ctypes.c_ubyte * -(-size // PAGE))()
        start = (ctypes.c_char * size).from_buffer(mapped)
        failed = ctypes.CDLL(None).mincore(ctypes.c_void_p(ctypes.addressof(start)), ctypes.c_size_t(size), there)
        del start
    if failed:
        raise Unusable("This system does not tell which pages are in memory (mincore).")
    return sum(page & 1 for page in bytes(there)) / len(there)


def _size(path: str) -> int:
    return Path(path).stat().st_size


# -- weights ---------------------------------------------------------------------------------------------------------
def _from_file(path: str, module: Any) -> Mapping[str, torch.Tensor]:
    """By safetensors' own reader, as the model wants them."""
    tensors = safetensors.torch.load_file(path)
    return {name: tensors[name].to(place.dtype) for name, place in named_tensors(module).items()}


def _sums(tensors: Mapping[str, torch.Tensor]) -> list[int]:
    """One number a tensor, of its numbers' bits, in whatever order they lie."""
    translate = {2: torch.int16, 4: torch.int32, 8: torch.int64}
    flat = [tensors[name].detach().reshape(-1) for name in sorted(tensors)]
    given: list[int] = torch.stack([one.view(translate[one.element_size()]).sum() for one in flat]).tolist()
    return given


def synchronize() -> None:
    if devices.device.type == "cuda":
        torch.cuda.synchronize()


# -- options ---------------------------------------------------------------------------------------------------------
@contextmanager
def option(name: str, value: Any) -> Iterator[None]:
    """For a while, without saving and without what hangs on a change."""
    there, before = name in shared.opts.data, shared.opts.data.get(name)
    _write(name, value)
    try:
        yield
    finally:
        if there:
            _write(name, before)
        else:
            del shared.opts.data[name]


def _write(name: str, value: Any) -> None:
    shared.opts.data[name] = value


# -- the run ---------------------------------------------------------------------------------------------------------
def measure(order: Mapping[str, Any]) -> dict[str, Any]:
    chance = random.Random(SEED)
    with call_queue.queue_lock:
        bench = Bench(order["names"])
    parts = Parts()
    works: dict[str, Callable[[str, str], Pair]] = {
        "warm": lambda start, target: warm(bench, start, target, chance, bench.read_all),
        "cold": lambda start, target: cold(bench, start, target, chance),
        "first decode": lambda start, target: warm(bench, start, target, chance, bench.decode),
        "parts, warm": lambda start, target: taken_apart(bench, start, target, parts, from_memory=True),
        "parts, cold": lambda start, target: taken_apart(bench, start, target, parts, from_memory=False),
    }
    given: dict[str, Any] = {name: [] for name in works}
    most, until = max(order[name] for name in works), time.monotonic() + 60 * order["minutes"]
    load = os.getloadavg()[0]
    with option("sd_vae", shared.opts.data.get("sd_vae")):
        for number in range(most):
            for name, work in works.items():
                if len(given[name]) * most >= (number + 1) * order[name]:
                    continue
                start, target = chance.sample(bench.names, 2)
                wait_for_calm(order["calm"])
                with call_queue.queue_lock, busy_elsewhere() as others:
                    pair = work(start, target)
                pair["others"] = others[0]
                given[name].append(pair)
                PROGRESS.write_text(f"{number + 1} of {most}, {name}")  # fails once the folder has gone
            if time.monotonic() > until:
                break
        with call_queue.queue_lock:
            bench.start_from(bench.names[0], bench.names[0], kept=False)
    HOST.follow_setting()
    return {
        **given,
        "load": [load, os.getloadavg()[0]],
        "file_bytes": {name: _size(path) for name, path in bench.files.items()},
        "torch": torch.__version__,
        "webui": HOST.version,
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(devices.device) if bench.on_gpu else "cpu",
        "dtype": str(next(bench.module.parameters()).dtype).removeprefix("torch."),
    }


@contextmanager
def busy_elsewhere() -> Iterator[list[float]]:
    """Processors that other processes kept busy meanwhile, on the average."""

    def now() -> tuple[float, float]:
        times, own = psutil.cpu_times(), psutil.Process().cpu_times()
        busy = sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0)
        return time.perf_counter(), busy - own.user - own.system

    given = [0.0]
    started, before = now()
    yield given
    ended, after = now()
    given[0] = max(0.0, (after - before) / (ended - started))


def wait_for_calm(longest: float) -> None:
    """Wait until nothing else keeps the machine busy, at most so many seconds."""
    until = time.monotonic() + longest
    while time.monotonic() < until:
        with busy_elsewhere() as others:
            time.sleep(WARNING)
        if others[0] < CALM:
            return


def begin(*_: Any) -> None:
    """In the background: the WebUI waits for this call."""

    def run() -> None:
        try:
            result = measure(json.loads(ORDER.read_text()))
        except Exception as error:  # noqa: BLE001  # whatever it is, it is told
            traceback.print_exc()
            result = {"error": f"{type(error).__name__}: {error}"}
        if FOLDER.is_dir():
            written = RESULT.with_suffix(".new")
            written.write_text(json.dumps(result))
            written.replace(RESULT)

    threading.Thread(target=run, name="VAE bench", daemon=True).start()


script_callbacks.on_app_started(begin)
