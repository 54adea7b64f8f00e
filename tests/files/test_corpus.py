"""Record and verdict of each file of the corpus."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from vae_manager.errors import IntegrityError
from vae_manager.files import TensorTable, inspect, read_contents
from vae_manager.records.verdict import A1111, Usable, UsableAfter, verdict

from .corpus import CASES, Case
from .samples import checkpoint


def written(folder: Path, case: Case) -> Path:
    path = folder / case.name
    path.write_bytes(case.data)
    return path


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_record_and_verdict(tmp_path: Path, case: Case) -> None:
    found = inspect(written(tmp_path, case))
    halves = "e" * found.has_encoder + "d" * found.has_decoder
    answer = verdict(found, A1111, checkpoint(case.channels or 4))
    code = answer.reason.code if answer.reason is not None else None
    assert (found.container, found.layout, found.latent_channels, found.dtype, halves) == (
        case.container,
        case.layout,
        case.channels,
        case.dtype,
        case.halves,
    )
    assert (code, isinstance(answer, UsableAfter)) == (case.code, case.convertible)
    assert isinstance(answer, Usable) is (case.code is None)
    assert (found.parameters is not None) is bool(case.halves)
    assert answer.reason is None or case.name in str(answer.reason.message)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_the_contents_are_read_where_the_inspection_reads_them(tmp_path: Path, case: Case) -> None:
    path = written(tmp_path, case)
    found = inspect(path)
    if found.table is None:
        with pytest.raises(IntegrityError):
            read_contents(path)
    else:
        assert TensorTable.of(read_contents(path).tensors) is found.table


def test_there_are_enough_and_each_has_a_name() -> None:
    assert len(CASES) >= 60
    assert Counter(case.id for case in CASES).most_common(1)[0][1] == 1
