"""Imitates modules/safe.py: a pickle that cannot be read safely is reported, and None comes back, not an error."""

from __future__ import annotations

import pickle
from typing import Any

import torch

unsafe_torch_load = torch.load


def load(filename: Any, *args: Any, **kwargs: Any) -> Any:
    """What `torch.load` is for everybody in the WebUI's process."""
    from modules import errors, shared

    kwargs["weights_only"] = not shared.cmd_opts.disable_safe_unpickle
    try:
        return unsafe_torch_load(filename, *args, **kwargs)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError):
        errors.report(f"Error verifying pickled file from {filename}", exc_info=True)
        return None


torch.load = load
