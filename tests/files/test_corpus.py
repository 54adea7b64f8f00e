"""Each file of the corpus, and what is said of it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from vae_manager.errors import IntegrityError
from vae_manager.files import Inspection, inspect, read_contents

from .corpus import CASES, Case


def written(folder: Path, case: Case) -> Path:
    path = folder / case.name
    path.write_bytes(case.data)
    return path


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_what_is_said_of_a_file(tmp_path: Path, case: Case) -> None:
    found = inspect(written(tmp_path, case))
    halves = "e" * found.has_encoder + "d" * found.has_decoder
    codes = tuple(problem.code for problem in found.problems)
    assert (found.container, found.layout, found.latent_channels, found.dtype, halves, codes, found.convertible) == (
        case.container,
        case.layout,
        case.channels,
        case.dtype,
        case.halves,
        case.codes,
        case.convertible,
    )
    assert found.loadable is (not codes)
    assert (found.parameters is not None) is bool(case.halves)
    assert all(case.name in str(problem.sentence) for problem in found.problems)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_the_contents_are_read_where_the_inspection_reads_them(tmp_path: Path, case: Case) -> None:
    path = written(tmp_path, case)
    found: Inspection = inspect(path)
    if found.layout == "unknown":
        with pytest.raises(IntegrityError):
            read_contents(path)
    else:
        assert read_contents(path).tensors == found.tensors


def test_there_are_enough_and_each_has_a_name() -> None:
    assert len(CASES) >= 60
    assert Counter(case.id for case in CASES).most_common(1)[0][1] == 1
