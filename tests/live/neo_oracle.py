"""Asks Forge Neo's own detector and loader about files. Runs in Neo's environment, and imports nothing of the project.

    python neo_oracle.py NEO_FOLDER JOBS.json ANSWERS.json

Each job has a `checkpoint` and `modules`, paths of safetensors files. Their tensors are made on torch's meta device, so
no bytes are read, and a network of 60 GB costs nothing.
"""

from __future__ import annotations

import json
import os
import struct
import sys
from pathlib import Path
from typing import Any

FOLDER, JOBS, ANSWERS = (Path(argument) for argument in sys.argv[1:4])
sys.argv = ["webui.py", "--cpu"]
os.chdir(FOLDER)
sys.path[:0] = [str(FOLDER), str(FOLDER / "modules_forge" / "packages")]

import torch  # noqa: E402
from backend import loader  # noqa: E402
from diffusers import DiffusionPipeline  # noqa: E402

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "U8": torch.uint8,
    "I8": torch.int8,
}
CLIP = "text_model."
"""In each name of a CLIP. The loader puts any text encoder among the tensors of that of SD 1.x and SDXL."""


def on_meta(path: str, return_metadata: bool = False, **_: Any) -> Any:
    with Path(path).open("rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    metadata = header.pop("__metadata__", None)
    found = {
        name: torch.empty(info["shape"], dtype=DTYPES[info["dtype"]], device="meta") for name, info in header.items()
    }
    return (found, metadata) if return_metadata else found


loader.load_torch_file = on_meta


def guessed(path: str) -> Any:
    """The detector's class, as `split_state_dict` asks for it."""
    try:
        return loader._load_unet(path)[2]
    except ModuleNotFoundError:
        return loader._load_diffuser(path)[2]


def parts_of(job: dict[str, Any]) -> dict[str, tuple[str, int]]:
    """The class of each component, and the number of tensors that it gets."""
    states, guess = loader.split_state_dict(job["checkpoint"], job["modules"])
    config = DiffusionPipeline.load_config(str(Path(loader.HF) / guess.huggingface_repo))
    named = {name: value[1] for name, value in config.items() if isinstance(value, list) and len(value) == 2}
    return {
        name: (kind, sum(1 for tensor in states.get(name) or {} if not kind.startswith("CLIP") or CLIP in tensor))
        for name, kind in named.items()
        if name.startswith("text_encoder") or name == "vae"
    }


def answer(job: dict[str, Any]) -> dict[str, Any]:
    try:
        guess = guessed(job["checkpoint"])
    except Exception as error:  # its detector asserts, and looks up names that a file lacks
        return {"guess": None, "error": repr(error)[:200]}
    found: dict[str, Any] = {
        "guess": type(guess).__name__,
        "latents": type(guess.latent_format).__name__,
        "parts": None,
    }
    try:
        found["parts"] = parts_of(job)
    except Exception as error:  # in the same way
        found["error"] = repr(error)[:200]
    return found


jobs = json.loads(JOBS.read_text(encoding="utf-8"))
ANSWERS.write_text(json.dumps([answer(job) for job in jobs]), encoding="utf-8")
