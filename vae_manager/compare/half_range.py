"""The range of 16 bits: which layer of a VAE gives values beyond it, found while it runs in 32 bits.

A VAE that overflows in half precision gives NaN there and a faultless picture in 32 bits, so its pictures do not show
it. The values of its layers do.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import torch

__all__ = ["HALF_MAX", "HalfRange"]

HALF_MAX: Final = 65504.0
"""The largest finite number of IEEE 754's half precision."""


class HalfRange:
    """The largest value of each layer, over all pictures that ran inside `watch`."""

    def __init__(self) -> None:
        self._largest: dict[str, torch.Tensor] = {}

    @contextmanager
    def watch(self, module: torch.nn.Module) -> Iterator[None]:
        """Record the layers of `module`, which costs one reading of each layer's values."""
        hooks = [part.register_forward_hook(partial(self._note, name)) for name, part in module.named_modules() if name]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _note(self, name: str, module: torch.nn.Module, given: Any, made: Any) -> None:
        import torch

        if not isinstance(made, torch.Tensor) or not made.is_floating_point():
            return
        largest = torch.stack(torch.aminmax(made.detach())).abs().max().float()
        before = self._largest.get(name)
        self._largest[name] = largest if before is None else torch.maximum(before, largest)

    def layer(self) -> str | None:
        """Return the first layer, in the order of computing, with finite values beyond the range; None: there is none.

        Layers within another are before it, as they compute first.
        """
        for name, largest in self._largest.items():
            value = float(largest)
            if HALF_MAX < value < float("inf"):
                return name
        return None
