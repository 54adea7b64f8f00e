"""Inspection of a download: of its beginning, which may stop it, and of the whole file before it gets its name."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ..errors import NoVaeError, RefusedError
from ..files import FileRecord, inspect, inspect_beginning
from ..sentences import Sentence, renamed, say
from .order import Order

__all__ = ["check_arrival", "check_beginning"]

SAFETENSORS: Final = ".safetensors"


def check_beginning(file: Path, count: int, order: Order, source: str, *, is_hash_expected: bool) -> bool:
    """Look at `file`, of which the first `count` bytes are there; return whether they tell what it is.

    Raises NoVaeError for a LoRA; and, unless a hash will tell whether these are the right bytes at all, for what is no
    model. An order with a hash of its own is of a file that its orderer knows.
    """
    if order.sha256 is not None:
        return True
    record = inspect_beginning(file, count)
    if record is None:
        return False
    problem = _lora(record) or (None if is_hash_expected else record.problem)
    if problem is None:
        return True
    raise NoVaeError(
        say(
            "{problem} The download from {source} was stopped at its beginning; nothing was put under the name {file}.",
            problem=renamed(problem, file.name, order.file_name),
            source=source,
            file=order.file_name,
        )
    )


def _lora(record: FileRecord) -> Sentence | None:
    return say("{file} is a LoRA, not a VAE.", file=record.path.name) if record.layout == "lora" else None


def check_arrival(file: Path, order: Order, source: str) -> None:
    """Raise RefusedError for a file that cannot get the name of `order`; `source` is its origin.

    If the hash was known beforehand, its publisher decides about the content. Pickles that are not wholly understood
    are refused all the same: their code would run in other programs. The same holds for a file with the extension of
    a pickle that is not understood as one: other programs choose their reader by the extension, and would run the code
    of a file that does not look like a pickle (of protocol 0, or a safetensors file as well).
    """
    inspection = inspect(file)
    is_pickle_by_name = not order.file_name.lower().endswith(SAFETENSORS)
    lora = _lora(inspection) if order.sha256 is None else None
    suits_its_name = inspection.container == "pickle" or not is_pickle_by_name
    if inspection.tensors and suits_its_name and lora is None:
        return
    if order.sha256 is not None and inspection.container != "pickle" and not is_pickle_by_name:
        return
    problem = lora or inspection.problem or say("{file} is no model.", file=order.file_name)
    if inspection.tensors and not suits_its_name:
        problem = say(
            "The name {name} does not suit what is in {file}: it has to end with {ending}.",
            name=order.file_name,
            file=file.name,
            ending=SAFETENSORS,
        )
    raise RefusedError(
        say(
            "{problem} It came from {source} and was thrown away; nothing was put under the name {file}.",
            problem=renamed(problem, file.name, order.file_name),
            source=source,
            file=order.file_name,
        )
    )
