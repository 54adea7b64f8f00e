"""Stage of `bench.gpu`: a model on a device with the product's own code around it, and the ways of each section."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from tests.files.engines.cases import table
from vae_manager.compare import Candidate, Model
from vae_manager.compare.comparison import Picture, decode_all, decoded, to_pixels
from vae_manager.compare.network import SD1, AutoencoderKL, Config
from vae_manager.compare.rescue import faults
from vae_manager.records.verdict import A1111
from vae_manager.swap import Swapper, named_tensors
from vae_manager.swap.weights import Tensors, checksums, fitted
from vae_manager.webui.hosts.common.options import ONE_SET
from vae_manager.webui.hosts.common.rescuing import Rescuing
from vae_manager.webui.hosts.common.vae_state import LoadedVae

FILE, RAM, GPU, UNET, WEBUI = "from the file", "from RAM", "from the GPU", "the UNet alone", "the WebUI's steps"
COMPARED, BARE = "a comparison of four", "four bare decodes"
FAILED, RESCUED, IN_BF16 = "the failed decode alone", "the failed decode and its rescue", "a decode in bf16"
UNETS = {"SD 1.5": "unet-sd1", "SDXL": "unet-sdxl"}
"""The tables of their tensors."""
SIDES = 512, 1024
"""Pixels."""
DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}
TINY = Config(ch=8, ch_mult=(1, 2), num_res_blocks=1, groups=4)
SPARE = 1_500_000_000
"""Bytes that stay free beside a UNet, on the GPU and in RAM."""
OVERFLOW = 60_000.0
"""Factor of the decoder's first convolution: its weights fit into fp16 (10,000 at most), its results do not."""


class Unusable(Exception):
    """A way did not do what it had to, or cannot be measured on this machine."""


class Way(NamedTuple):
    """One of those that a round compares; only `work` is timed."""

    work: Callable[[], Any]
    prepare: Callable[[], object] = lambda: None
    check: Callable[[Any], object] = lambda result: None


class Section(NamedTuple):
    name: str
    ways: Callable[[int], Mapping[str, Way]]
    """The ways of a round, by its number."""
    until: float
    """The part of all time at which its last round has ended."""
    prepare: Callable[[], object] = lambda: None


# -- the model and the VAEs ------------------------------------------------------------------------------------------
class Books:
    """The `VaeState` of a model that no WebUI has: one variable, and the checkpoint's own weights."""

    notice = None

    def __init__(self, device: torch.device) -> None:
        self._device, self._path = device, None
        self._builtin: Tensors | None = None

    def module(self, model: Any) -> nn.Module:
        found: nn.Module = model.first_stage_model
        return found

    def path(self, model: Any) -> str | None:
        return self._path

    def builtin(self, model: Any) -> Tensors | None:
        return self._builtin

    def dtype(self, model: Any, path: str | None) -> torch.dtype:
        return torch.float16

    def restored_on_error(self, model: Any) -> AbstractContextManager[None]:
        return nullcontext()

    def write(self, model: Any, path: Any, builtin: Tensors | None, dtype: torch.dtype) -> None:
        self._path, self._builtin = path, builtin

    def on_swap(self) -> None: ...

    def on_builtin_loaded(self, model: Any) -> None: ...

    def repair(self, model: Any) -> bool:
        return False

    def writable_weights(self) -> AbstractContextManager[None]:
        return nullcontext()

    def on_device(self, model: Any) -> AbstractContextManager[torch.device]:
        return nullcontext(self._device)

    def read_builtin(self, model: Any) -> Tensors:
        raise Unusable("There is no checkpoint to read the VAE from.")


class Rescue(Rescuing):
    """The product's, with no other VAE in reach: the catalogue that would name one needs a package."""

    def _others(self, model: Any, path: str | None) -> Sequence[str | None]:
        return []


class Bench:
    """A model on the device, its VAE files, and what the sections do with them."""

    def __init__(self, device: torch.device, folder: Path, *, tiny: bool) -> None:
        self._device, self._tiny = device, tiny
        self._config = TINY if tiny else SD1
        self.model = nn.Module()
        self.module: Any = self._network(0).to(device, torch.float16)
        self.model.first_stage_model = self.module
        self.files = {name: folder / f"{name}.safetensors" for name in ("a", "b", "c", "overflowing")}
        for seed, (name, path) in enumerate(self.files.items(), 1):
            tensors = self._network(seed).state_dict()
            if name == "overflowing":
                tensors["decoder.conv_in.weight"] *= OVERFLOW
            save_file(tensors, path)
        self._room_on_device = 0
        self._swapper = Swapper(lambda: 4 * ONE_SET, lambda: self._room_on_device, A1111)
        self.vae = LoadedVae(self._swapper, Books(device))
        self.ready = Model(self.module, self.module.decode_raw, self.module.encode, device, factor=self._config.factor)
        self.notes: dict[str, Any] = {"bytes_of_a_file": self.files["a"].stat().st_size}
        """Return the figures of a result besides seconds and bytes."""

    def _network(self, seed: int) -> AutoencoderKL:
        torch.manual_seed(seed)
        return AutoencoderKL(self._config).eval().requires_grad_(False)

    @cached_property
    def _right(self) -> dict[str, tuple[int, ...]]:
        """The checksums that the model's tensors have with each file in it."""
        names = list(named_tensors(self.module))
        files = {name: load_file(path) for name, path in self.files.items()}
        return {file: checksums({name: tensors[name].half() for name in names}) for file, tensors in files.items()}

    def use(self, name: str) -> None:
        """Put in the file, and wait for the check of the displaced weights: it would disturb the next measurement."""
        self.vae.put(self.model, str(self.files[name]), anew=True)
        self._settle()

    def _settle(self) -> None:
        self._swapper.in_ram.wait()
        self._swapper.on_device.wait()

    def latent(self, side: int) -> torch.Tensor:
        """Return the latent of a picture of `side` pixels, of about the spread that SD 1.x's have."""
        factor = self._config.factor
        shape = 1, self._config.z_channels, *(2 * [2 if self._tiny else side // factor])
        return 5 * torch.randn(shape, generator=torch.Generator().manual_seed(side)).to(self._device)

    def weights(self, dtype: torch.dtype) -> Tensors:
        """Return the weights in the model in another dtype."""
        return {name: fitted(place.data, place, dtype) for name, place in named_tensors(self.module).items()}

    # The UNet
    def load_unet(self, name: str) -> None:
        """Put the stand-in into the model. Raises Unusable if there is too little memory on the GPU or in RAM."""
        self.model.unet = nn.Module()
        shapes = [spec.shape for spec in table(UNETS[name]).values()]
        count = sum(map(math.prod, shapes))
        self.notes.setdefault("unets", {})[name] = {"tensors": len(shapes), "parameters": count}
        if self._tiny:
            shapes = [tuple(min(side, 2) for side in shape) for shape in shapes]
        elif min(free_memory(self._device)) < 2 * count + SPARE:
            raise Unusable(f"there is no room for {2 * count / 1e9:.1f} GB on the GPU and in RAM")
        for number, shape in enumerate(shapes):
            tensor = torch.ones(shape, dtype=torch.float16, device=self._device)
            self.model.unet.register_parameter(f"tensor_{number}", nn.Parameter(tensor, requires_grad=False))

    def without_unet(self, vae: str) -> None:
        """Leave the VAE of that file alone in the model, and no other on the GPU."""
        self.model.unet = nn.Module()
        self._room_on_device = 0
        self._swapper.on_device.clear()
        self.use(vae)

    def round_trip(self) -> None:
        """Move the UNet to the CPU and back."""
        self.model.unet.to("cpu")
        self.model.unet.to(self._device)

    # The swaps
    def start_from(self, start: str, target: str, way: str) -> None:
        """Let `start` be in the model, and `target` where the way has to find it."""
        self._room_on_device = ONE_SET if way == GPU else 0
        self._swapper.on_device.clear()
        self.use(target)
        self.use(start)
        if way == FILE:
            self._swapper.in_ram.clear()
        if way in (FILE, WEBUI):
            read_once(self.files[target])
        is_kept = self._swapper.on_device.at(str(self.files[target])) is not None
        if self._device.type != "cpu" and is_kept is not (way == GPU):
            raise Unusable("The GPU does not keep the sets that it has to.")

    def put(self, target: str) -> None:
        """Swap as the product does."""
        self.vae.put(self.model, str(self.files[target]))

    def reload(self, target: str) -> None:
        """Swap by A1111's steps (sd_vae.reload_vae_weights), without its hijack and its callbacks."""
        self.model.to("cpu")
        self.module.load_state_dict(load_file(self.files[target]))
        self.module.to(torch.float16)
        self.model.to(self._device)

    def check_swap(self, target: str, way: str) -> None:
        """Raise Unusable if the way has not read from where it has to, or has not put in the file as it is."""
        self._settle()
        if way == WEBUI:
            self._swapper.forget(self.module)
        elif self.vae.last is None or self.vae.last.from_memory is (way == FILE):
            raise Unusable("The swap did not read from where it has to.")
        if checksums(named_tensors(self.module)) != self._right[target]:
            raise Unusable(f"The weights in the model are not those of {target}.")


def read_once(path: Path) -> None:
    """Let the system have the pages of the file in memory."""
    with path.open("rb") as file:
        while file.read(1 << 24):
            pass


def free_memory(device: torch.device) -> list[int]:
    """Return the bytes that are free on the GPU and in RAM; the latter are known on Linux alone."""
    torch.cuda.empty_cache()
    free = [torch.cuda.mem_get_info(device)[0]]
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        lines = (line.split() for line in meminfo.read_text(encoding="ascii").splitlines())
        free += [1024 * int(fields[1]) for fields in lines if fields[0] == "MemAvailable:"]
    return free


# -- sections --------------------------------------------------------------------------------------------------------
def sections(bench: Bench) -> list[Section]:
    """Return all sections in their order. The longest come first: what the time does not suffice for is the rest."""
    made = [
        Section(f"swap beside {name}", partial(swap_ways, bench), until, partial(bench.load_unet, name))
        for name, until in zip(UNETS, (0.3, 0.65), strict=True)
    ]
    made.append(Section("decode", lambda number: decode_ways(bench), 0.78, partial(bench.without_unet, "a")))
    for side, until in zip(SIDES, (0.83, 0.9), strict=True):
        ways = partial(comparison_ways, bench, side)
        made.append(Section(f"comparison, {side} px", ways, until, partial(bench.without_unet, "a")))
    for side, until in zip(SIDES, (0.94, 1.0), strict=True):
        ways = partial(rescue_ways, bench, side)
        made.append(Section(f"rescue, {side} px", ways, until, partial(bench.without_unet, "overflowing")))
    return made


def swap_ways(bench: Bench, number: int) -> Mapping[str, Way]:
    """Return five ways from one file to another; every other round goes back."""
    start, target = ("a", "b") if number % 2 else ("b", "a")

    def way(name: str, work: Callable[[str], None]) -> Way:
        prepare, check = partial(bench.start_from, start, target, name), partial(bench.check_swap, target, name)
        return Way(partial(work, target), prepare, lambda result: check())

    swaps = {name: way(name, bench.put) for name in (FILE, RAM, GPU)}
    return {**swaps, WEBUI: way(WEBUI, bench.reload), UNET: Way(bench.round_trip)}


def decode_ways(bench: Bench) -> Mapping[str, Way]:
    """Return the decodes of one latent a size in each dtype, by lent weights as a comparison and a rescue decode."""
    weights = {name: bench.weights(dtype) for name, dtype in DTYPES.items()}
    return {
        f"{side} px, {name}": Way(
            partial(decoded, bench.ready, weights[name], bench.latent(side), dtype),
            check=expect_picture,
        )
        for side in SIDES
        for name, dtype in DTYPES.items()
    }


def comparison_ways(bench: Bench, side: int, number: int) -> Mapping[str, Way]:
    """Return a comparison of four VAEs, whose weights are in RAM, and as many decodes by the VAE in use."""
    latent = bench.latent(side)
    lent = [None, *(str(bench.files[name]) for name in "bc")]  # None: the checkpoint's own
    others = [Candidate(str(path), partial(bench.vae.borrow, bench.model, path)) for path in lent]
    candidates = [Candidate("in use", lambda: None), *others]

    def bare() -> None:
        for _ in candidates:
            to_pixels(decoded(bench.ready, None, latent, torch.float16).tensor)

    return {
        COMPARED: Way(
            lambda: list(decode_all(bench.ready, latent, candidates)),
            check=lambda made: expect(all(one.pixels is not None for one in made), "A VAE gave no picture."),
        ),
        BARE: Way(bare),
    }


def rescue_ways(bench: Bench, side: int, number: int) -> Mapping[str, Way]:
    """Return the decode that overflows, alone and with its rescue, and a decode in bf16 from the start."""
    latent, bf16 = bench.latent(side), bench.weights(torch.bfloat16)
    generation = generation_in_work()
    host = SimpleNamespace(
        pass_vaes=SimpleNamespace(running=generation),
        decoding=SimpleNamespace(ready=lambda model, tiling: nullcontext(bench.ready)),
        vae=bench.vae,
    )
    rescue = Rescue(host)  # type: ignore[arg-type]
    rescue.begin(generation)

    def by_host(batch: torch.Tensor) -> list[torch.Tensor]:
        with torch.no_grad():
            return [bench.module.decode_raw(batch.to(torch.float16))[0]]

    def check(pictures: list[torch.Tensor]) -> None:
        expect(faults(pictures) == [None], "The rescue gave no picture.")
        assert rescue.notice is not None
        exact = decoded(bench.ready, bench.weights(torch.float32), latent, torch.float32).tensor
        away = abs(to_pixels(pictures[0].cpu()).astype(int) - to_pixels(exact).astype(int))
        bench.notes.setdefault("rescued", {})[f"{side} px"] = {
            "dtype": rescue.notice.fields["now"],
            "levels_from_fp32": {"mean": round(float(away.mean()), 3), "max": int(away.max())},
        }

    return {
        FAILED: Way(
            lambda: by_host(latent),
            check=lambda made: expect(faults(made) != [None], "The decode that has to overflow did not."),
        ),
        RESCUED: Way(lambda: rescue.decode(by_host, bench.model, latent), check=check),
        IN_BF16: Way(partial(decoded, bench.ready, bf16, latent, torch.bfloat16), check=expect_picture),
    }


def generation_in_work() -> Any:
    """Return what the rescue reads of a generation."""
    comments: list[str] = []
    return SimpleNamespace(iteration=0, batch_size=1, tiling=False, comments=comments, comment=comments.append)


def expect_picture(made: Picture) -> None:
    expect(faults([made.tensor]) == [None], "A decode gave no picture.")


def expect(met: bool, sentence: str) -> None:
    if not met:
        raise Unusable(sentence)
