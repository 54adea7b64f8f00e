"""Putting a VAE into the loaded model, through the WebUI's own `modules.sd_vae`.

`sd_vae.load_vae` loads in place and keeps the WebUI's book-keeping; `sd_vae.reload_vae_weights`, around it, moves the
whole model to the CPU and back and leaves it there when anything raises. So the first is used, and nothing reaches it
that has not been checked.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from modules import sd_vae

from ....errors import IntegrityError, RefusedError, VaeManagerError
from ....files import inspect
from ....sentences import say
from ....swap import fit
from ....swap.check import compare
from . import model_facts

logger = logging.getLogger(__name__)

SOURCE = "chosen in VAE Manager"


def put_into(model: Any, path: str | None) -> None:
    """Make the VAE file at `path` (None: the checkpoint's own VAE) the one in `model`. Only under the queue lock.

    Raises RefusedError where the file cannot fit (nothing was touched) and IntegrityError where loading it failed
    (the old VAE is back).
    """
    if path is not None:
        check(model, path)
    before = sd_vae.loaded_vae_file
    try:
        sd_vae.load_vae(model, path, SOURCE)
    except Exception as error:
        _put_back(model, before)
        raise IntegrityError(
            say(
                "{file} could not be put into the model ({error}). The VAE that was in use before is back.",
                file=Path(path).name if path else say("Built-in"),
                error=f"{type(error).__name__}: {error}"[:300],
            )
        ) from error


def check(model: Any, path: str) -> None:
    """Raises RefusedError where the file at `path` cannot go into `model`; touches nothing."""
    shapes = model_facts.vae_shapes(model)
    inspection = inspect(Path(path))
    refusal = fit(inspection, shapes)
    if refusal is None and inspection.container == "pickle":
        # A pickle has no header to read. The WebUI's own restricted reader reads it once for the check and once more
        # to load it: slower, and nothing unknown reaches the model.
        refusal = compare(Path(path).name, _pickled_shapes(path), shapes)
    if refusal is not None:
        raise RefusedError(refusal)


def _pickled_shapes(path: str) -> dict[str, tuple[int, ...]]:
    try:
        tensors = sd_vae.load_vae_dict(path, map_location="cpu")
        return {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    except Exception as error:
        raise RefusedError(
            say("{file} cannot be read as a VAE by this WebUI. Nothing was changed.", file=Path(path).name)
        ) from error


def _put_back(model: Any, before: str | None) -> None:
    """Load what was in use before; the file was loaded once, so this fails only if it has gone since."""
    sd_vae.loaded_vae_file = sd_vae.loaded_vae_file or "interrupted"  # so that load_vae(None) restores the base VAE
    try:
        sd_vae.load_vae(model, before, SOURCE)
    except Exception as error:
        raise VaeManagerError(
            say(
                "The VAE that was in use could not be loaded again. Choose another VAE or another checkpoint, or "
                "restart the WebUI."
            )
        ) from error
