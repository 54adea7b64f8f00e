"""Where one WebUI has the VAE of its model, and what it notes of it. Imported for types alone."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from ....sentences import Sentence
from ....swap.weights import Tensors

if TYPE_CHECKING:
    import torch


class Books(Protocol):
    def module(self, model: Any) -> torch.nn.Module | None:
        """What decodes; None for a moment, while some models load."""
        ...

    def path(self, model: Any) -> str | None:
        """The VAE file that the books say is in `model`; None: the checkpoint's own."""
        ...

    def own(self, model: Any) -> Tensors | None:
        """The checkpoint's own weights, as they are kept while others are in `model`."""
        ...

    def dtype(self, model: Any, path: str | None) -> torch.dtype:
        """What the VAE at `path` (None: the checkpoint's own) is to run in."""
        ...

    def kept(self, model: Any) -> AbstractContextManager[None]:
        """Where what is done inside raises, the books are as they were."""
        ...

    def write(self, model: Any, path: str | None, own: Tensors | None, dtype: torch.dtype) -> None:
        """The VAE at `path` is in `model` now."""
        ...

    def settle(self) -> None:
        """A VAE has been put in, for good."""
        ...

    def start_over(self, model: Any) -> None:
        """The WebUI has just put the checkpoint's own weights into `model`."""
        ...

    def heal(self, model: Any) -> bool:
        """Undo what a load of the WebUI's own that raised has left; True where the weights may be a mixture.

        Never called while a checkpoint is being loaded.
        """
        ...

    def touching(self) -> AbstractContextManager[Any]:
        """Inside it the model's weights may be given other storage."""
        ...

    def running(self, model: Any) -> AbstractContextManager[torch.device]:
        """Inside it the module runs, on the device that is given."""
        ...

    def read_own(self, model: Any) -> Tensors:
        """The checkpoint's own VAE once more, from its file: for a model whose books are lost."""
        ...

    @property
    def notice(self) -> Sentence | None:
        """What is unusual about how VAEs run now."""
        ...
