"""The check before a swap: from the file's header, before any weight is touched. `records.verdict` decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..errors import RefusedError
from ..files import FileRecord, TensorSpec, TensorTable
from ..records.capability import HostCapability, VaeSignature
from ..records.reasons import Sources, sources_of
from ..records.verdict import Refused, UsableAfter, verdict
from ..sentences import Sentence, say

if TYPE_CHECKING:
    from .weights import Tensors

__all__ = ["require_usable", "table_of", "unchanged"]

_ANY_DTYPE: Final = "F32"
"""The dtype of a model's tensors does not matter: weights are converted to it."""


def table_of(models: Tensors) -> TensorTable:
    """Return the names and shapes of a module's tensors."""
    return TensorTable.of({name: TensorSpec(_ANY_DTYPE, tuple(tensor.shape)) for name, tensor in models.items()})


def require_usable(record: FileRecord, host: HostCapability, models: Tensors) -> Sources:
    """Return where each of a module's tensors is found in the file. Raises RefusedError if it cannot go in as it is."""
    expected = table_of(models)
    answer = verdict(record, host, VaeSignature(expected))
    if isinstance(answer, Refused | UsableAfter):
        raise RefusedError(unchanged(answer.reason.sentence))
    sources = sources_of(record.tensors, expected)
    if sources is None:  # a layout that only the WebUI's own reader knows
        no_vae = say("{file} holds no VAE that can be put into the loaded model.", file=record.path.name)
        raise RefusedError(unchanged(no_vae))
    return sources


def unchanged(reason: Sentence) -> Sentence:
    """Return the sentence of a refusal."""
    return say("{reason} Nothing was changed.", reason=reason)
