"""LPIPS, the distance of two pictures as people see it (Zhang et al. 2018), where all that it needs is here already.

The package `lpips` brings weights of its own, 6 kB; those of the network below it, AlexNet, are torchvision's, 244 MB,
which it would fetch: it is not asked before they are where torch keeps what it has fetched.
"""

from __future__ import annotations

import functools
import importlib.util
import logging
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from .comparison_values import Pixels

__all__ = ["distance"]

logger = logging.getLogger(__name__)

SMALLEST: Final = 64
"""Pixels along one side of the pieces of pictures that people were asked about."""
WEIGHTS: Final = "alexnet-owt-*.pth"
BROKEN: Final = (
    *(ImportError, AttributeError, RuntimeError),  # packages that do not go together
    *(OSError, EOFError, UnpicklingError, TypeError, ValueError),  # a file that is not whole, or that a host refuses
)


def distance(reference: Pixels, other: Pixels) -> float | None:
    """0 for the same; some 0.1 is seen at a glance, 0.7 is another picture. None where it cannot be told here."""
    if min(reference.shape[:2]) < SMALLEST or not _may_be_here():
        return None
    network = _network()
    if network is None:
        return None
    import torch

    with torch.inference_mode():
        return float(network(_tensor(reference), _tensor(other)))


def _may_be_here() -> bool:
    """Told without importing anything but torch, which whoever has decoded has."""
    if any(importlib.util.find_spec(package) is None for package in ("lpips", "torchvision")):
        return False
    return any(_fetched().glob(WEIGHTS))


def _fetched() -> Path:
    import torch

    return Path(torch.hub.get_dir()) / "checkpoints"


@functools.cache
def _network() -> Any:
    """Loaded once, 10 MB; None where these versions do not work together or want another file than the one here."""
    try:
        from torchvision.models import AlexNet_Weights

        wanted = AlexNet_Weights.IMAGENET1K_V1.url.rpartition("/")[2]
        if not (_fetched() / wanted).is_file():
            return None
        import lpips

        return lpips.LPIPS(net="alex", verbose=False)
    except BROKEN as error:  # a figure less is no reason to fail
        logger.warning("LPIPS is left out: %s: %s", type(error).__name__, error)
        return None


def _tensor(pixels: Pixels) -> Any:
    """[1, 3, height, width] of -1 … 1."""
    import torch

    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
