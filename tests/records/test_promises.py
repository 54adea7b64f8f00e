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
from tests.records.independent_weights import module, weights_of
from vae_manager.errors import IntegrityError, RefusedError, VaeManagerError
from vae_manager.files import FileRecord, find_nan, inspect
from vae_manager.files.conversion import convert
from vae_manager.records.verdict import HOSTS, HostCapability, Refused, Usable, UsableAfter, Verdict, verdict
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


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.id)
def test_verdicts_are_kept(tmp_path: Path, case: Case) -> None:
    path = tmp_path / case.name
    path.write_bytes(case.data)
    record, loaded = learnt(path), checkpoint()
    target = tmp_path / "converted.safetensors"
    try:
        convert(path, target)
        converted = learnt(target)
    except VaeManagerError:
        converted = None
    for host, capability in HOSTS.items():
        answer = verdict(record, capability, loaded)
        check_swap(path, capability, answer)
        if converted is None:
            assert not isinstance(answer, UsableAfter), host
            continue
        result = verdict(converted, capability, loaded)
        assert isinstance(result, Usable) is isinstance(answer, Usable | UsableAfter), host
        assert isinstance(result, Refused) or not isinstance(answer, Refused), host


def check_swap(path: Path, capability: HostCapability, answer: Verdict) -> None:
    """Check that a swap succeeds if and only if the file is usable, and that the model then has its weights."""
    outcome = swapped(path, capability)
    assert isinstance(answer, Usable) is not isinstance(outcome, VaeManagerError), capability
    if isinstance(outcome, VaeManagerError):
        assert answer.reason is not None
        assert str(answer.reason.message) in str(outcome)
        return
    expected = weights_of(path)
    assert all(torch.equal(outcome[name], expected[name]) for name in expected)
    assert outcome.keys() == expected.keys()  # so it decodes as the file's own weights do


def test_corpus_is_large_enough() -> None:
    assert len(ALL) >= 150
    assert len({case.id for case in ALL}) == len(ALL)
