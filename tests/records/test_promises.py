"""The verdict's promises, kept by the swap and by the conversion: for each file of the corpus and each WebUI."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch

from tests.files.corpus import CASES, Case
from tests.files.corpus.variants import VARIANTS
from tests.files.samples import checkpoint
from tests.records.decoding import module, picture_of, weights_of
from vae_manager.errors import IntegrityError, RefusedError, VaeManagerError
from vae_manager.files import FileRecord, find_nan, inspect
from vae_manager.files.conversion import convert
from vae_manager.records.verdict import HOSTS, HostCapability, Refused, Usable, UsableAfter, verdict
from vae_manager.swap import Swapper

ALL = [*CASES, *VARIANTS]


def learnt(path: Path) -> FileRecord:
    """Return the record of a file of which every byte was read."""
    record = inspect(path)
    if record.table is None or record.problems:
        return record
    problem = find_nan(path)
    return record if problem is None else replace(record, problems=(problem,))


def swapped(path: Path, host: HostCapability) -> Mapping[str, torch.Tensor] | VaeManagerError:
    """Return the weights of a model after a swap, or the refusal; the model is unchanged after that."""
    model = module(0)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    swapper = Swapper(lambda: 0, lambda: 0, host)
    try:
        ready = swapper.prepare(path, model, torch.float32)
        with swapper.put(model, ready):
            pass
    except (RefusedError, IntegrityError) as error:
        assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
        return error
    return model.state_dict()


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("case", ALL, ids=lambda case: case.id)
def test_verdict_is_kept(tmp_path: Path, case: Case, host: str) -> None:
    path = tmp_path / case.name
    path.write_bytes(case.data)
    record, capability, loaded = learnt(path), HOSTS[host], checkpoint()
    answer = verdict(record, capability, loaded)
    outcome = swapped(path, capability)
    assert isinstance(answer, Usable) is not isinstance(outcome, VaeManagerError)
    if isinstance(outcome, VaeManagerError):
        assert answer.reason is not None
        assert str(answer.reason.message) in str(outcome)
    else:
        expected = weights_of(path)
        assert all(torch.equal(outcome[name], expected[name]) for name in expected)
        same = torch.allclose(picture_of(outcome), picture_of(expected), rtol=0, atol=0, equal_nan=True)
        assert same  # the largest numbers give NaN in both
    target = tmp_path / "converted.safetensors"
    try:
        convert(path, target)
    except VaeManagerError:
        assert not isinstance(answer, UsableAfter)
        return
    result = verdict(learnt(target), capability, loaded)
    assert isinstance(result, Usable) is isinstance(answer, Usable | UsableAfter)
    if isinstance(answer, Refused):
        assert isinstance(result, Refused)


def test_corpus_is_large_enough() -> None:
    assert len(ALL) >= 150
    assert len({case.id for case in ALL}) == len(ALL)
