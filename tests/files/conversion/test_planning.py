from __future__ import annotations

from pathlib import Path

import pytest

from tests.failing import fails_with
from tests.files.corpus import CASES
from tests.files.corpus.case import Case
from tests.files.samples import checkpoint
from tests.files.torch_files import write_zip
from tests.files.whole_vaes import Tensor, Tensors, below, renamed, vae, write
from vae_manager.errors import RefusedError
from vae_manager.files import inspect
from vae_manager.files.conversion import Layout, Plan, convert, described, plan
from vae_manager.records.verdict import A1111, Usable, UsableAfter, verdict

LOSS = {"loss.logvar": Tensor("F32", (), bytes(4))}
UNET = {"model.diffusion_model.out.2.weight": Tensor("F32", (4,), bytes(16))}


def planned(folder: Path, tensors: Tensors, dtype: str | None = None, layout: Layout = "ldm") -> Plan:
    return plan(inspect(write(folder / "x.safetensors", tensors)), dtype=dtype, layout=layout)


@pytest.mark.parametrize(
    ("tensors", "dtype", "layout", "done"),
    [
        (renamed(vae()), None, "ldm", "from-diffusers"),
        (renamed(vae(), older=True), None, "ldm", "from-diffusers"),
        (renamed(vae(), older=True), None, "diffusers", "names"),
        (vae(), None, "diffusers", "to-diffusers"),
        (vae(), "fp16", "ldm", "fp16"),
        (vae(dtype="F16"), "bf16", "ldm", "bf16"),
        (vae(dtype="F16"), "fp32", "ldm", "fp32"),
        (vae(dtype="F64"), "fp32", "diffusers", "to-diffusers fp32"),
        (below("vae.", vae()), None, "ldm", "prefix"),
        (renamed(vae(), prefix="vae."), "fp16", "ldm", "prefix from-diffusers fp16"),
        ({**UNET, **below("first_stage_model.", vae())}, None, "ldm", "from-checkpoint"),
        ({**vae(), **LOSS}, None, "ldm", "dropped"),
        ({**vae(), "encoder.mid.attn_1.q.weight": Tensor("F32", (8, 8), bytes(256))}, None, "ldm", "shapes"),
    ],
)
def test_what_is_done(tmp_path: Path, tensors: Tensors, dtype: str | None, layout: Layout, done: str) -> None:
    made = planned(tmp_path, tensors, dtype, layout)
    assert " ".join(made.done) == done
    assert len(described(made.done)) == len(made.done), "each word has a sentence"


def test_a_pickle_becomes_safetensors(tmp_path: Path) -> None:
    shapes = {name: one.shape for name, one in vae().items()}
    assert plan(inspect(write_zip(tmp_path / "x.pt", shapes))).done == ("safetensors",)


def test_only_fractions_are_rounded(tmp_path: Path) -> None:
    counted = {**vae(), "bn.num_batches_tracked": Tensor("I64", (), bytes(8))}
    dtypes = {step.name: step.dtype for step in planned(tmp_path, counted, "fp16").steps}
    assert dtypes.pop("bn.num_batches_tracked") == "I64"
    assert set(dtypes.values()) == {"F16"}


def test_the_order_is_that_of_names_alone(tmp_path: Path) -> None:
    one = planned(tmp_path, renamed(vae()))
    other = planned(tmp_path, dict(reversed(renamed(vae()).items())))
    assert [step.name for step in one.steps] == [step.name for step in other.steps]


@pytest.mark.parametrize(
    ("tensors", "dtype", "code"),
    [
        (vae(), None, "nothing-to-convert"),
        (vae(dtype="F16"), "fp16", "nothing-to-convert"),
        ({name: one for name, one in vae().items() if not name.startswith("encoder.")}, "fp16", "no-encoder"),
        ({name: one for name, one in vae().items() if not name.startswith("decoder.")}, "fp16", "no-decoder"),
        (UNET, None, "no-vae"),
        ({**renamed(vae()), "decoder.conv_x.weight": Tensor("F32", (1,), bytes(4))}, None, "no-vae"),
        ({**vae(), "decoder.conv_in.bias": Tensor("F8_E5M2", (8,), bytes(8))}, "fp16", "unknown-dtype"),
    ],
)
def test_what_cannot_be_done(tmp_path: Path, tensors: Tensors, dtype: str | None, code: str) -> None:
    with fails_with(RefusedError, code):
        planned(tmp_path, tensors, dtype)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_conversion_keeps_what_the_verdict_promises(tmp_path: Path, case: Case) -> None:
    """The result of a conversion is used as it is; a file that cannot be read is refused with its problem."""
    path = tmp_path / case.name
    path.write_bytes(case.data)
    record, loaded = inspect(path), checkpoint(case.channels or 4)
    target = tmp_path / "result.safetensors"
    if isinstance(verdict(record, A1111, loaded), UsableAfter):
        convert(path, target)
        assert isinstance(verdict(inspect(target), A1111, loaded), Usable)
    elif record.table is None:
        with pytest.raises(RefusedError) as refused:
            plan(record)
        assert refused.value.message == record.problem
