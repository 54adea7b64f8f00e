"""How one WebUI decodes, for comparisons. Imported for types alone."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Protocol

from ....compare import Model


class Decoding(Protocol):
    """Called under the queue lock."""

    def mend(self) -> None:
        """Undo what a load of the WebUI's own that failed has left, so that the model can decode."""
        ...

    def ready(self, model: Any, tiling: bool) -> AbstractContextManager[Model]:
        """Inside it `model` encodes and decodes as the WebUI does, its padding that of a picture with `tiling`.

        All is as it was afterwards.
        """
        ...
