"""Verdicts on real files, from their headers, for a checkpoint that is loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from tests.files.samples import checkpoint, diffusers, ldm
from tests.files.torch_files import Made, as_zip, call, name, state_dict, text, write_legacy, write_zip
from vae_manager.catalogue import FamilyGuess
from vae_manager.files import TensorSpec, TensorTable, inspect
from vae_manager.records.capability import A1111, FORGE, HOSTS, NEO, HostCapability, VaeSignature
from vae_manager.records.verdict import AskFirst, Refused, Usable, UsableAfter, Verdict, obstacle_of, verdict

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


def test_verdict_leaves_video_to_the_host_that_reads_it(tmp_path: Path) -> None:
    path = write(tmp_path, {"decoder.conv1.weight": (8, 16, 3, 3, 3), "encoder.conv1.weight": (8, 3, 3, 3, 3)})
    assert code(answer_for(path, A1111)) == (Refused, "video")
    assert answer_for(path, NEO) == Usable()


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


def test_verdict_without_a_checkpoint_goes_by_published_vaes(tmp_path: Path) -> None:
    from vae_manager.files.architecture import Architecture, shapes_of

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
    assert answer(Architecture(7)) == (AskFirst, "other-channels")


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
    sentence = str(answer.reason.sentence)
    assert sentence.isprintable() and len(sentence) < 400


def test_checkpoint_sample_is_the_loaded_one() -> None:
    assert checkpoint() == loaded(LOADED)
