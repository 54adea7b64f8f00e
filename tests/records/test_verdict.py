"""Verdicts on real files, from their headers, for a checkpoint that is loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from tests.files.corpus.case import below
from tests.files.corpus.vaes import HUNYUAN, QWEN, SVD, WAN, WAN22
from tests.files.samples import checkpoint, diffusers, ldm
from tests.files.torch_files import Made, as_zip, call, name, state_dict, text, write_legacy, write_zip
from vae_manager.catalogue import FamilyGuess
from vae_manager.files import FileRecord, TensorSpec, TensorTable, inspect
from vae_manager.files.architecture import Architecture, shapes_of
from vae_manager.files.tensor_data import fingerprints
from vae_manager.records.verdict import (
    A1111,
    FORGE,
    HOSTS,
    NEO,
    AskFirst,
    HostCapability,
    Refused,
    Usable,
    UsableAfter,
    VaeSignature,
    Verdict,
    obstacle_of,
    verdict,
)

numpy = pytest.importorskip("numpy")
library = pytest.importorskip("safetensors.numpy")

Shapes = dict[str, tuple[int, ...]]

LOADED: Mapping[str, tuple[int, ...]] = ldm()
"""Tensors of the VAE of the loaded checkpoint."""
NAME = "mine.safetensors"
MATRIX = "decoder.mid.attn_1.q.weight"


def write(folder: Path, shapes: Mapping[str, tuple[int, ...]], dtype: str = "float32") -> Path:
    """Write a file with the safetensors library itself."""
    path = folder / NAME
    library.save_file({key: numpy.ones(shape, dtype) for key, shape in shapes.items()}, path)
    return path


def loaded(shapes: Mapping[str, tuple[int, ...]], family: str | None = None) -> VaeSignature:
    return VaeSignature(TensorTable.of({key: TensorSpec("F32", tuple(shape)) for key, shape in shapes.items()}), family)


def answer_for(path: Path, host: HostCapability = A1111, expected: Mapping[str, tuple[int, ...]] = LOADED) -> Verdict:
    return verdict(inspect(path), host, loaded(expected))


def record_of(shapes: Mapping[str, tuple[int, ...]], dtype: str = "F16", only: str | None = None) -> FileRecord:
    """Return the record of a file with these tensors; `only` this one has the dtype, if it is given."""
    specs = {key: TensorSpec(dtype if only in (None, key) else "F16", tuple(shape)) for key, shape in shapes.items()}
    return FileRecord(Path(NAME), 1, "safetensors", TensorTable.of(specs))


def code(answer: Verdict) -> tuple[type, str | None]:
    return type(answer), answer.reason.code if answer.reason is not None else None


def changed(**changes: tuple[int, ...] | None) -> Shapes:
    """Return the loaded VAE's shapes with some changed (dots as `__`), or left out if None."""
    shapes = {**LOADED, **{key.replace("__", "."): shape for key, shape in changes.items()}}
    return {key: shape for key, shape in shapes.items() if shape is not None}


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
@pytest.mark.parametrize("host", HOSTS)
def test_verdict_same_tensors_are_usable(tmp_path: Path, dtype: str, host: str) -> None:
    assert answer_for(write(tmp_path, LOADED, dtype), HOSTS[host]) == Usable()
    assert answer_for(write(tmp_path, dict(reversed(list(LOADED.items()))), dtype), HOSTS[host]) == Usable()


@pytest.mark.parametrize(
    "leftover",
    [
        "loss.logvar", "loss.discriminator.main.0.weight", "model_ema.decay", "model_ema.decoderconv_inweight",
        "scale_factor", "cond_stage_model.transformer.text_model.embeddings.position_ids", "epoch", "optimizer.state",
    ],
)  # fmt: skip
@pytest.mark.parametrize("host", HOSTS)
def test_verdict_ignores_harmless_leftovers(tmp_path: Path, leftover: str, host: str) -> None:
    assert answer_for(write(tmp_path, {**LOADED, leftover: (3,)}), HOSTS[host]) == Usable()
    integers = tmp_path / "integers.safetensors"
    tensors = {key: numpy.ones(shape, "float32") for key, shape in LOADED.items()}
    library.save_file({**tensors, leftover: numpy.ones(3, "int64")}, integers)
    assert answer_for(integers, HOSTS[host]) == Usable()


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        (changed(post_quant_conv__weight=None, decoder__conv_out__bias=None), "incomplete"),
        ({**LOADED, "decoder.zzz": (1,), "decoder.extra.weight": (1,)}, "unknown-tensors"),
        (changed(quant_conv__weight=None, quant_conv__weights=(8, 8, 1, 1)), "incomplete"),
        (changed(decoder__conv_out__bias=(4,), encoder__conv_in__weight=(16, 3, 3, 3)), "other-shapes"),
        ({key: shape for key, shape in ldm(16).items() if "quant_conv" not in key}, "other-channels"),
        ({key: shape for key, shape in LOADED.items() if not key.startswith("encoder")}, "no-encoder"),
        ({("old." if key.startswith("encoder") else "") + key: shape for key, shape in LOADED.items()}, "scattered"),
        ({key: shape for key, shape in LOADED.items() if not key.startswith("decoder")}, "no-decoder"),
        ({"clip.weight": (2, 2)}, "no-vae"),
        ({**LOADED, "decoder.condition_encoder.layers.0.weight": (8, 3, 3, 3)}, "asymmetric"),
    ],
)
@pytest.mark.parametrize("host", HOSTS)
def test_verdict_refuses_another_network(tmp_path: Path, shapes: Shapes, expected: str, host: str) -> None:
    assert code(answer_for(write(tmp_path, shapes), HOSTS[host])) == (Refused, expected)


def test_verdict_refuses_integers_as_weights(tmp_path: Path) -> None:
    assert code(answer_for(write(tmp_path, LOADED, "int64"))) == (Refused, "not-weights")


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        (diffusers(), "diffusers"),
        (ldm(prefix="first_stage_model."), "prefixed"),
        (ldm(prefix="vae."), "prefixed"),
        (ldm(prefix="_orig_mod."), "prefixed"),
        (ldm(prefix="module._orig_mod."), "prefixed"),
        (ldm(prefix="params_ema."), "prefixed"),
        ({**LOADED, MATRIX: (8, 8)}, "matrices"),
    ],
)
def test_verdict_names_the_conversion(tmp_path: Path, shapes: Shapes, expected: str) -> None:
    """A1111 needs it; the WebUIs of Forge's family take such files as they are."""
    path = write(tmp_path, shapes)
    assert code(answer_for(path)) == (UsableAfter, expected)
    assert answer_for(path, FORGE) == Usable()


@pytest.mark.parametrize("host", HOSTS)
def test_verdict_takes_a_vae_out_of_a_checkpoint(tmp_path: Path, host: str) -> None:
    shapes = {**ldm(prefix="first_stage_model."), "model.diffusion_model.out.2.bias": (4,)}
    assert code(answer_for(write(tmp_path, shapes), HOSTS[host])) == (UsableAfter, "checkpoint")


def test_verdict_promises_no_conversion_whose_result_does_not_fit(tmp_path: Path) -> None:
    shapes = {key: shape for key, shape in diffusers().items() if key != "decoder.conv_out.bias"}
    assert code(answer_for(write(tmp_path, shapes))) == (Refused, "incomplete")
    assert code(answer_for(write(tmp_path, diffusers(16)))) == (Refused, "other-channels")


@pytest.mark.parametrize("shapes", [WAN, WAN22], ids=["2.1", "2.2"])
def test_verdict_leaves_wan_to_the_host_that_reads_it(shapes: Shapes) -> None:
    record = record_of(shapes)
    for host in HOSTS.values():
        expected = (Usable, None) if host is NEO else (Refused, "video")
        for signature in (None, VaeSignature(None), VaeSignature(None, "wan21"), loaded(shapes, "qwen")):
            assert code(verdict(record, host, signature)) == expected
    own_form = loaded({"decoder.conv_in.weight": (8, 16, 3, 3), "decoder.middle_block.x": (1,)})
    answer = verdict(record, NEO, own_form)
    assert isinstance(answer, Usable) and not answer.is_compared
    for family in ("sd1", "sdxl", "flux1"):
        assert code(verdict(record, NEO, VaeSignature(None, family))) == (Refused, "other-kind")
    assert code(verdict(record, NEO, checkpoint())) == (Refused, "other-kind")
    assert code(verdict(record, NEO, loaded(WAN if shapes is WAN22 else WAN22))) == (Refused, "other-shapes")
    part = {name: shape for name, shape in shapes.items() if not name.startswith("encoder.")}
    assert code(verdict(record_of(part), NEO)) == (Refused, "incomplete")
    assert code(verdict(record_of({f"vae.{name}": shape for name, shape in shapes.items()}), NEO)) == (Refused, "video")


@pytest.mark.parametrize(
    "shapes",
    [HUNYUAN, SVD, QWEN, {"decoder.x": (1, 1, 1, 1, 1)}, {**LOADED, MATRIX: (8, 8, 1, 1, 1)}],
    ids=["Hunyuan", "SVD", "Qwen-Image for diffusers", "one tensor", "attention"],
)
def test_verdict_other_video_is_refused(shapes: Shapes) -> None:
    """No WebUI has a reader for it."""
    for host in HOSTS.values():
        for signature in (None, checkpoint(), VaeSignature(None, "wan21")):
            assert code(verdict(record_of(shapes), host, signature)) == (Refused, "video")


@pytest.mark.parametrize(
    "beside",
    [
        {name: shape for name, shape in ldm().items() if name.startswith("decoder.")},
        {name: shape for name, shape in ldm().items() if name != "quant_conv.bias"},
        {**ldm(), "quant_conv.bias": (9,)},
        {"decoder.x": (1, 1, 1, 1, 1)},
        {"1.weight": (8, 4, 3, 3), "3.conv.0.weight": (8, 8, 3, 3)},
        below("first_stage_model.", {name: shape for name, shape in diffusers().items() if name != "quant_conv.bias"}),
    ],
    ids=["decoder", "incomplete", "other shape", "five axes", "tiny", "incomplete, prefixed"],
)
@pytest.mark.parametrize("whole", [ldm(), diffusers()], ids=["ldm", "diffusers"])
def test_verdict_goes_by_the_whole_vae(tmp_path: Path, beside: Shapes, whole: Shapes) -> None:
    path = write(tmp_path, {**beside, **{f"vae.{name}": shape for name, shape in whole.items()}})
    assert inspect(path).prefix == "vae."
    assert code(answer_for(path)) == (UsableAfter, "prefixed")
    assert answer_for(path, FORGE) == Usable()
    assert fingerprints(path).weights == fingerprints(write(tmp_path, whole)).weights


def test_verdict_tells_if_shapes_were_compared() -> None:
    for signature, is_compared in ((None, False), (VaeSignature(None, "sd1"), False), (checkpoint(), True)):
        record = record_of(LOADED if is_compared else shapes_of(Architecture()))
        answer = verdict(record, A1111, signature)
        assert isinstance(answer, Usable)
        assert answer.is_compared is is_compared


def test_verdict_takes_exactly_the_names_of_the_model(tmp_path: Path) -> None:
    """A model may have tensors that no table knows."""
    expected = {**LOADED, "scale": (3,)}
    assert answer_for(write(tmp_path, expected), A1111, expected) == Usable()
    assert code(answer_for(write(tmp_path, LOADED), A1111, expected)) == (Refused, "incomplete")


@pytest.mark.parametrize("writer", [write_zip, write_legacy])
def test_verdict_on_torch_files_needs_no_loading(tmp_path: Path, writer: Callable[..., Path]) -> None:
    assert answer_for(writer(tmp_path / "a.pt", LOADED)) == Usable()
    assert answer_for(writer(tmp_path / "b.pt", LOADED, wrapped=True)) == Usable()
    assert code(answer_for(writer(tmp_path / "c.pt", ldm(16)))) == (Refused, "other-channels")
    assert code(answer_for(writer(tmp_path / "d.pt", changed(decoder__conv_out__bias=None)))) == (Refused, "incomplete")


def test_verdict_refuses_a_hostile_pickle(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    path.write_bytes(as_zip(Made(b"\x80\x02" + call(name("os", "system"), text("true")) + b".", {})))
    assert code(answer_for(path)) == (Refused, "unsafe-pickle")


def test_verdict_misnamed_pickle_needs_a_conversion_if_the_extension_decides(tmp_path: Path) -> None:
    path = write_zip(tmp_path / NAME, LOADED)
    assert code(answer_for(path)) == (UsableAfter, "wrong-suffix")
    assert answer_for(path, FORGE) == Usable()


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html><html></html>", b"Not found", b"\x08\0\0\0\0\0\0\0{broken"])
def test_verdict_is_the_problem_of_a_damaged_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / NAME
    path.write_bytes(content)
    record = inspect(path)
    assert verdict(record, A1111, loaded(LOADED)) == Refused(record.problems[0])


# -- families ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("guess", "ours", "expected"),
    [
        (FamilyGuess("sd1", "hash", sure=True), "sd1", None),
        (FamilyGuess("sdxl", "hash", sure=True), "sd1", "other-family"),
        (FamilyGuess("sdxl", "latent test", figure=9.0), "sd1", "probably-other-family"),
        (FamilyGuess("sd1", "latent test", figure=9.0), "sd1", None),
        (FamilyGuess("sdxl", "yours", sure=True), None, None),
        (FamilyGuess(), "sd1", None),
    ],
)
def test_verdict_asks_before_another_family(
    tmp_path: Path, guess: FamilyGuess, ours: str | None, expected: str | None
) -> None:
    record = replace(inspect(write(tmp_path, LOADED)), family=guess)
    answer = verdict(record, A1111, loaded(LOADED, ours))
    assert code(answer) == ((AskFirst, expected) if expected is not None else (Usable, None))
    needing = replace(inspect(write(tmp_path, diffusers())), family=guess)
    answer = verdict(needing, A1111, loaded(LOADED, ours))
    obstacle = obstacle_of(answer)
    assert obstacle is not None and obstacle.code == "diffusers"


# -- without a checkpoint ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "host", "expected"),
    [("flux1", A1111, "other-family"), ("flux1", FORGE, None), ("sd3", NEO, "other-family"), ("sd3", A1111, None)],
)
def test_verdict_asks_about_a_family_that_the_host_does_not_run(
    family: str, host: HostCapability, expected: str | None
) -> None:
    shapes = dict(shapes_of(Architecture(16, has_quant_conv=False)))
    known = replace(record_of(shapes), family=FamilyGuess(family, "hash", sure=True))
    reason = verdict(known, host).reason
    assert (reason.code if reason is not None else None) == expected


def test_verdict_without_a_checkpoint_goes_by_published_vaes(tmp_path: Path) -> None:
    def answer(architecture: Architecture, **changes: tuple[int, ...] | None) -> tuple[type, str | None]:
        shapes = {**shapes_of(architecture), **{key.replace("__", "."): shape for key, shape in changes.items()}}
        specs = {key: TensorSpec("F16", shape) for key, shape in shapes.items() if shape is not None}
        record = inspect(write(tmp_path, LOADED))
        return code(verdict(replace(record, table=TensorTable.of(specs)), A1111))

    assert answer(Architecture()) == (Usable, None)
    assert answer(Architecture(16, has_quant_conv=False)) == (Usable, None)
    assert answer(Architecture(), decoder__conv_out__bias=None) == (Refused, "incomplete")
    assert answer(Architecture(), **{"decoder.mid.attn_1.q.weight": (512, 512)}) == (UsableAfter, "matrices")
    half = (64, 128, 256, 256)
    assert answer(Architecture(widths=half, decoder_widths=half)) == (AskFirst, "other-width")
    upscaler = (128, 256, 512)
    assert answer(Architecture(widths=upscaler, decoder_widths=upscaler)) == (AskFirst, "other-factor")
    assert answer(Architecture(blocks=3, decoder_blocks=4)) == (AskFirst, "other-depth")
    assert answer(Architecture(7)) == (Refused, "other-channels")
    assert answer(Architecture(), decoder__conv_in__weight=(512, 0, 3, 3)) == (Refused, "other-channels")
    matrices = {"quant_conv.weight": (8, 8), "decoder.up.0.block.0.nin_shortcut.weight": (128, 256)}
    for key, shape in matrices.items():
        assert answer(Architecture(), **{key: shape}) == (UsableAfter, "matrices")
    assert answer(Architecture(widths=half, decoder_widths=half), decoder__foo__weight=(1,)) == (
        Refused,
        "unknown-tensors",
    )


@pytest.mark.parametrize("host", HOSTS)
def test_verdict_question_hides_no_refusal(host: str) -> None:
    half = (64, 128, 256, 256)
    shapes = shapes_of(Architecture(widths=half, decoder_widths=half))
    assert code(verdict(record_of(shapes), HOSTS[host])) == (AskFirst, "other-width")
    for dtype in ("I64", "BOOL"):
        record = record_of(shapes, dtype, only="decoder.conv_out.bias")
        assert code(verdict(record, HOSTS[host])) == (Refused, "not-weights")


@pytest.mark.parametrize("levels", [3, 5])
def test_verdict_names_the_upscaler_only_where_it_is_like_it(levels: int) -> None:
    widths = (64,) * levels
    record = record_of(shapes_of(Architecture(widths=widths, decoder_widths=widths)))
    for signature in (None, loaded(shapes_of(Architecture()))):
        answer = verdict(record, A1111, signature)
        assert answer.reason is not None and answer.reason.code == "other-factor"
        assert ("upscaler" in str(answer.reason.message)) is (levels == 3)
        assert ("checkpoint" in str(answer.reason.message)) is (signature is not None)


def test_verdict_names_the_network_of_a_larger_one() -> None:
    """It has all names of the loaded one, and more."""
    for levels, blocks, expected in ((3, 1, "other-factor"), (2, 2, "other-depth")):
        widths = (8,) * levels
        shapes = shapes_of(Architecture(4, widths, widths, blocks, blocks + 1))
        assert set(LOADED) < set(shapes)
        assert code(verdict(record_of(shapes), A1111, checkpoint())) == (Refused, expected)


@pytest.mark.parametrize("theirs", [ldm(), diffusers()], ids=["ldm", "diffusers"])
def test_verdict_tells_halves_of_two_namings(theirs: Shapes) -> None:
    ours = diffusers() if "encoder.mid.block_1.conv1.weight" in theirs else ldm()
    mixed = {name: shape for name, shape in ours.items() if not name.startswith("decoder.")}
    mixed |= {name: shape for name, shape in theirs.items() if name.startswith("decoder.")}
    for signature in (None, checkpoint()):
        assert code(verdict(record_of(mixed), A1111, signature)) == (Refused, "scattered")


ODD_NAMES = {
    "half a character": "\ud800",
    "a terminal's": "\x1b[2J\r\n",
    "right to left": "\u202e",
    "long": "x" * 100_000,
}


@pytest.mark.parametrize("kind", ODD_NAMES)
@pytest.mark.parametrize("way", ["unknown", "numbers"])
def test_verdict_sentence_is_printable_whatever_a_file_names(tmp_path: Path, kind: str, way: str) -> None:
    """Sentences go to consoles, and to each page every second."""
    odd = f"decoder.{ODD_NAMES[kind]}"
    raw = odd.encode("utf-8", "surrogatepass")
    made = state_dict({"odd": (1,), **LOADED}, "Long" if way == "numbers" else "Float")
    code = made.code.replace(text("odd"), b"X" + len(raw).to_bytes(4, "little") + raw)
    path = tmp_path / "mine.pt"
    path.write_bytes(as_zip(Made(code, made.storages)))
    expected = {**LOADED, odd: (1,)} if way == "numbers" else LOADED
    answer = answer_for(path, A1111, expected)
    assert isinstance(answer, Refused)
    message = str(answer.reason.message)
    assert message.isprintable() and len(message) < 400


def test_checkpoint_sample_is_the_loaded_one() -> None:
    assert checkpoint() == loaded(LOADED)
