"""Engines: the model architectures of checkpoints, with the components that each needs and the WebUIs that run it.

One table for all questions of this kind. It is pure data; `files/checkpoint.py` finds a file's engine by its tensors.

Sources: A1111 1.10.1 (modules/sd_models_config.py, sd_models.py, sd_hijack.py), reForge
(ldm_patched/modules/supported_models.py), Forge dfdcbab6 and Forge Neo 2.26 (backend/loader.py,
backend/diffusion_engine, the configurations in backend/huggingface). Only what was read there is in the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from .entry import FAMILIES, Family

__all__ = ["ENCODERS", "ENGINES", "HOST_IDS", "EncoderKind", "Engine", "families_of_class", "families_on"]

HOST_IDS: Final = ("a1111", "reforge", "forge", "neo")
"""Keys of `vae_manager.records.verdict.HOSTS`."""


@dataclass(frozen=True)
class EncoderKind:
    """One text encoder, in any precision and layout."""

    id: str
    label: str
    """A proper name, the same in every language."""


@dataclass(frozen=True)
class Engine:
    """One model architecture."""

    id: str
    label: str
    """A proper name, the same in every language."""
    families: tuple[Family, ...]
    """Families of its latents. Several only if they depend on the file (PiD)."""
    encoders: tuple[str, ...]
    """Text encoders that it uses, keys of `ENCODERS`."""
    hosts: tuple[str, ...]
    """WebUIs that run it, of `HOST_IDS`; empty for an engine that is only named."""
    optional: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    """Those of `encoders` that a WebUI can do without -> these WebUIs."""
    presets: tuple[str, ...] = ()
    """Presets of Forge Neo that suit it, keys of its option `forge_preset` (modules_forge/presets.py)."""
    classes: tuple[str, ...] = ()
    """Names of the classes of the loaded model in Forge and Neo (backend/diffusion_engine)."""

    @property
    def family(self) -> Family | None:
        """The family of its latents; None if it depends on the file."""
        return self.families[0] if len(self.families) == 1 else None

    def needed(self, host: str) -> tuple[str, ...]:
        """Return the text encoders without which `host`, one of `HOST_IDS`, cannot run it."""
        return tuple(encoder for encoder in self.encoders if host not in self.optional.get(encoder, ()))


def _encoders(*kinds: EncoderKind) -> Mapping[str, EncoderKind]:
    return MappingProxyType({kind.id: kind for kind in kinds})


def _engines(*engines: Engine) -> Mapping[str, Engine]:
    return MappingProxyType({engine.id: engine for engine in engines})


ENCODERS: Final = _encoders(
    EncoderKind("clip-l", "CLIP-L"),
    EncoderKind("clip-g", "CLIP-G"),
    EncoderKind("clip-h", "CLIP-H"),
    EncoderKind("t5xxl", "T5-XXL"),
    EncoderKind("umt5-xxl", "UMT5-XXL"),
    EncoderKind("gemma2-2b", "Gemma 2 2B"),
    EncoderKind("qwen3-0.6b", "Qwen3 0.6B"),
    EncoderKind("qwen3-4b", "Qwen3 4B"),
    EncoderKind("qwen3-8b", "Qwen3 8B"),
    EncoderKind("qwen3-vl-4b", "Qwen3-VL 4B"),
    EncoderKind("qwen2.5-vl-7b", "Qwen2.5-VL 7B"),
    EncoderKind("qwen2.5-vl-7b-vision", "Qwen2.5-VL 7B, vision part (mmproj)"),
    EncoderKind("ministral3-3b", "Ministral 3 3B"),
    EncoderKind("mistral3-24b", "Mistral Small 3 24B"),
    EncoderKind("llama3.1-8b", "Llama 3.1 8B"),
)
"""Encoder id -> kind."""

_ALL: Final = HOST_IDS
_FORGES: Final = ("reforge", "forge", "neo")
_NEO: Final = ("neo",)

ENGINES: Final = _engines(
    Engine("sd1", "SD 1.x", ("sd1",), ("clip-l",), _ALL, presets=("sd",), classes=("StableDiffusion",)),
    # Neo has no engine of that context width (huggingface_guess/model_list.py).
    Engine("sd2", "SD 2.x", ("sd1",), ("clip-h",), ("a1111", "reforge", "forge"), classes=("StableDiffusion2",)),
    Engine("sdxl", "SDXL", ("sdxl",), ("clip-l", "clip-g"), _ALL, presets=("xl",), classes=("StableDiffusionXL",)),
    Engine(
        "sdxl-refiner",
        "SDXL refiner",
        ("sdxl",),
        ("clip-g",),
        _ALL,
        presets=("xl",),
        classes=("StableDiffusionXLRefiner",),
    ),
    # A1111 makes it of SDXL (sd_hijack.py convert_sdxl_to_ssd); Neo compares the number of blocks.
    Engine(
        "ssd-1b",
        "SSD-1B",
        ("sdxl",),
        ("clip-l", "clip-g"),
        ("a1111", "reforge", "forge"),
        classes=("StableDiffusionXL",),
    ),
    Engine(
        "sdxl-small",
        "SDXL, smaller (Segmind-Vega, KOALA)",
        ("sdxl",),
        ("clip-l", "clip-g"),
        ("reforge", "forge"),
        classes=("StableDiffusionXL",),
    ),
    # SDXL's network, trained anew on the latents of FLUX.2's VAE.
    Engine("mugen", "Mugen", ("flux2",), ("clip-l", "clip-g"), _NEO, presets=("xl",), classes=("Mugen",)),
    # Forge asserts that there is a T5 (loader.py); A1111 and reForge load what is there.
    Engine(
        "sd3",
        "SD 3",
        ("sd3",),
        ("clip-l", "clip-g", "t5xxl"),
        ("a1111", "reforge", "forge"),
        optional={"t5xxl": ("a1111", "reforge")},
        classes=("StableDiffusion3",),
    ),
    # A1111 passes no qk_norm to its network (models/sd3/sd3_impls.py).
    Engine(
        "sd35",
        "SD 3.5",
        ("sd3",),
        ("clip-l", "clip-g", "t5xxl"),
        ("reforge", "forge"),
        optional={"t5xxl": ("reforge",)},
        classes=("StableDiffusion3",),
    ),
    Engine("flux1-dev", "FLUX.1 dev", ("flux1",), ("clip-l", "t5xxl"), _FORGES, presets=("flux",), classes=("Flux",)),
    Engine(
        "flux1-schnell",
        "FLUX.1 schnell",
        ("flux1",),
        ("clip-l", "t5xxl"),
        _FORGES,
        presets=("flux",),
        classes=("Flux",),
    ),
    Engine("chroma", "Chroma", ("flux1",), ("t5xxl",), ("forge", "neo"), presets=("flux",), classes=("Chroma",)),
    Engine("lumina2", "Lumina 2", ("flux1",), ("gemma2-2b",), _NEO, presets=("lumina",), classes=("Lumina2",)),
    Engine("z-image", "Z-Image", ("flux1",), ("qwen3-4b",), _NEO, presets=("zit",), classes=("ZImage",)),
    # Neo knows the widths of klein alone (model_list.py).
    Engine("flux2-dev", "FLUX.2 dev", ("flux2",), ("mistral3-24b",), ()),
    Engine(
        "flux2-klein-4b", "FLUX.2 klein 4B", ("flux2",), ("qwen3-4b",), _NEO, presets=("klein",), classes=("Flux2",)
    ),
    Engine(
        "flux2-klein-9b", "FLUX.2 klein 9B", ("flux2",), ("qwen3-8b",), _NEO, presets=("klein",), classes=("Flux2",)
    ),
    Engine(
        "ernie-image",
        "ERNIE-Image",
        ("flux2",),
        ("ministral3-3b",),
        _NEO,
        presets=("ernie",),
        classes=("ErnieImage",),
    ),
    # The vision part reads the pictures of an edit; a file in GGUF has it apart.
    Engine(
        "qwen-image",
        "Qwen-Image",
        ("qwen",),
        ("qwen2.5-vl-7b", "qwen2.5-vl-7b-vision"),
        _NEO,
        optional={"qwen2.5-vl-7b-vision": _NEO},
        presets=("qwen",),
        classes=("QwenImage",),
    ),
    Engine("krea2", "Krea 2", ("qwen",), ("qwen3-vl-4b",), _NEO, presets=("krea",), classes=("Krea2",)),
    Engine("anima", "Anima", ("qwen",), ("qwen3-0.6b",), _NEO, presets=("anima",), classes=("Anima",)),
    Engine("wan21", "Wan 2.1, Wan 2.2 14B", ("wan21",), ("umt5-xxl",), _NEO, presets=("wan",), classes=("Wan",)),
    # Neo's README: "14B (not 5B)"; its VAE has 16 channels (Wan2.1-T2V-14B/vae/config.json).
    Engine("wan22-5b", "Wan 2.2 TI2V-5B", ("wan22",), ("umt5-xxl",), ()),
    # It turns the latents of another engine into a picture; the number of their channels names the VAE.
    Engine(
        "pid",
        "PiD",
        ("sdxl", "flux1", "flux2", "qwen"),
        ("gemma2-2b",),
        _NEO,
        presets=("pid",),
        classes=("PiD",),
    ),
)
"""Engine id -> engine, in the order in which a page shows them."""


def families_on(host: str) -> tuple[Family, ...]:
    """Return the families of the engines that `host`, one of `HOST_IDS`, runs, in the order of `FAMILIES`."""
    found = {family for engine in ENGINES.values() if host in engine.hosts for family in engine.families}
    return tuple(family for family in FAMILIES if family in found)


def families_of_class(name: str) -> tuple[Family, ...]:
    """Return the families of the engines whose loaded model is of a class of this name; none for an unknown class."""
    found = {family for engine in ENGINES.values() if name in engine.classes for family in engine.families}
    return tuple(family for family in FAMILIES if family in found)
