"""Whether a file can go into the loaded model, told from real files before any weight is touched."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.files.samples import diffusers, ldm
from tests.files.torch_files import Made, as_zip, call, name, state_dict, text, write_legacy, write_zip
from vae_manager.files import inspect
from vae_manager.sentences import Sentence
from vae_manager.swap import fit, misfit, room_of
from vae_manager.swap.check import compare

numpy = pytest.importorskip("numpy")
library = pytest.importorskip("safetensors.numpy")

Shapes = dict[str, tuple[int, ...]]

LOADED: Mapping[str, tuple[int, ...]] = {**ldm(), "decoder.conv_out.bias": (3,)}
"""What the loaded checkpoint's VAE has."""
NAME = "mine.safetensors"


def write(folder: Path, shapes: Mapping[str, tuple[int, ...]], dtype: str = "float32") -> Path:
    """A file made by the safetensors library itself."""
    path = folder / NAME
    library.save_file({key: numpy.zeros(shape, dtype) for key, shape in shapes.items()}, path)
    return path


def said(path: Path, expected: Mapping[str, tuple[int, ...]] = LOADED) -> str | None:
    sentence = fit(inspect(path), expected)
    return None if sentence is None else str(sentence)


def changed(**changes: tuple[int, ...] | None) -> Shapes:
    """The loaded VAE's shapes with some changed (dots as `__`), or left out where None."""
    shapes = {**LOADED, **{key.replace("__", "."): shape for key, shape in changes.items()}}
    return {key: shape for key, shape in shapes.items() if shape is not None}


def test_a_list_tells_by_figures_what_the_header_tells(tmp_path: Path) -> None:
    """Of files that are VAEs of the WebUI's own layout: what else is wrong with a file is among its problems."""
    room = room_of(LOADED)
    for shapes in (
        LOADED,
        changed(decoder__conv_in__weight=(8, 16, 3, 3)),
        changed(decoder__conv_out__bias=None),
        {**LOADED, "decoder.more.weight": (2,)},
        changed(decoder__conv_out__bias=(4,)),
    ):
        found = inspect(write(tmp_path, shapes))
        assert found.layout == "ldm"
        said_in_list = misfit(NAME, found.latent_channels, found.parameters, room)
        assert (said_in_list is None) == (fit(found, LOADED) is None), shapes
    assert misfit(NAME, None, None, room) is None, "what is not known speaks against nothing"
    assert str(misfit(NAME, 4, 12_345, room)).startswith(f"{NAME} was made for another model: it has 12,345 weights")


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_the_same_tensors_fit_whatever_their_kind_of_number(tmp_path: Path, dtype: str) -> None:
    assert said(write(tmp_path, LOADED, dtype)) is None


def test_the_order_of_the_tensors_does_not_matter(tmp_path: Path) -> None:
    assert said(write(tmp_path, dict(reversed(list(LOADED.items()))))) is None


def test_what_the_webui_leaves_out_is_left_out(tmp_path: Path) -> None:
    ignored: Shapes = {
        "loss.logvar": (),
        "loss.discriminator.main.0.weight": (64, 3, 4, 4),
        "lossless": (1,),
        "model_ema.decay": (),
        "model_ema.num_updates": (),
    }
    assert said(write(tmp_path, {**LOADED, **ignored})) is None


def test_but_not_what_only_begins_like_it(tmp_path: Path) -> None:
    assert "still has 1 tensors of its training" in str(said(write(tmp_path, changed(model_ema__decay_rate=(1,)))))


def test_missing_tensors(tmp_path: Path) -> None:
    path = write(tmp_path, changed(post_quant_conv__weight=None, decoder__conv_out__bias=None))
    assert said(path) == (
        "mine.safetensors is not complete: 2 tensors of the VAE are missing, decoder.conv_out.bias among them. "
        "Nothing was changed."
    )


def test_tensors_too_many(tmp_path: Path) -> None:
    path = write(tmp_path, changed(decoder__zzz=(1,), decoder__extra__weight=(1,)))
    assert said(path) == (
        "mine.safetensors holds 2 tensors that the loaded checkpoint's VAE does not have, decoder.extra.weight among "
        "them. Nothing was changed."
    )


def test_missing_ones_are_told_before_those_too_many(tmp_path: Path) -> None:
    path = write(tmp_path, changed(quant_conv__weight=None, quant_conv__weights=(8, 8, 1, 1)))
    assert "quant_conv.weight among them" in str(said(path))


def test_other_shapes(tmp_path: Path) -> None:
    path = write(tmp_path, changed(decoder__conv_out__bias=(4,), encoder__conv_in__weight=(16, 3, 3, 3)))
    assert said(path) == (
        "mine.safetensors was made for another model: 2 of its tensors have other shapes, encoder.conv_in.weight among "
        "them. Nothing was changed."
    )


def test_as_many_numbers_in_another_shape_do_not_fit(tmp_path: Path) -> None:
    """Attention as a linear layer, say: PyTorch would refuse it."""
    expected = {**LOADED, "decoder.mid.attn_1.q.weight": (8, 8, 1, 1)}
    path = write(tmp_path, {**LOADED, "decoder.mid.attn_1.q.weight": (8, 8)})
    assert "decoder.mid.attn_1.q.weight among them" in str(said(path, expected))


def test_sixteen_channels_are_named_before_all_else(tmp_path: Path) -> None:
    flux = {key: shape for key, shape in ldm(channels=16).items() if "quant_conv" not in key}
    assert said(write(tmp_path, flux)) == (
        "mine.safetensors has 16 latent channels, the loaded checkpoint has 4. Nothing was changed."
    )
    assert "has 4 latent channels, the loaded checkpoint has 16." in str(said(write(tmp_path, LOADED), flux))


def test_diffusers_names(tmp_path: Path) -> None:
    assert said(write(tmp_path, diffusers())) == (
        "mine.safetensors is a diffusers file. The WebUI cannot load it as it is."
    )


@pytest.mark.parametrize("prefix", ["first_stage_model.", "vae."])
def test_prefixed_names(tmp_path: Path, prefix: str) -> None:
    assert f"begin with “{prefix}”" in str(said(write(tmp_path, ldm(prefix=prefix))))


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_half_a_vae(tmp_path: Path, part: str) -> None:
    half = {key: shape for key, shape in LOADED.items() if not key.startswith(part)}
    assert f"has no {part}" in str(said(write(tmp_path, half)))


def test_a_whole_checkpoint(tmp_path: Path) -> None:
    shapes = {**ldm(prefix="first_stage_model."), "model.diffusion_model.out.2.bias": (4,)}
    assert "is a whole checkpoint, not a VAE" in str(said(write(tmp_path, shapes)))


def test_a_file_of_something_else(tmp_path: Path) -> None:
    assert said(write(tmp_path, {"clip.weight": (2, 2)})) is not None


def test_nothing_in_common() -> None:
    sentence = compare(NAME, {"a": (1,)}, LOADED)
    assert str(sentence) == "mine.safetensors holds no VAE that this WebUI knows. Nothing was changed."
    assert compare(NAME, {}, LOADED) == sentence


def test_lists_and_tuples_are_one_shape() -> None:
    """A state_dict gives torch.Size, a header tuples."""
    assert compare(NAME, {key: list(shape) for key, shape in LOADED.items()}, LOADED) is None  # type: ignore[misc]


@pytest.mark.parametrize("writer", [write_zip, write_legacy])
def test_a_pickle_is_looked_at_like_any_other(tmp_path: Path, writer: Callable[..., Path]) -> None:
    """Its tensors are known without it being loaded."""
    assert said(writer(tmp_path / "a.pt", LOADED)) is None
    assert said(writer(tmp_path / "b.pt", LOADED, wrapped=True)) is None
    assert "has 16 latent channels" in str(said(writer(tmp_path / "c.pt", {**LOADED, **ldm(16)})))
    assert "is not complete: 1 tensors" in str(said(writer(tmp_path / "d.pt", ldm())))


def test_a_hostile_pickle_is_refused_before_anybody_loads_it(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    path.write_bytes(as_zip(Made(b"\x80\x02" + call(name("os", "system"), text("true")) + b".", {})))
    assert said(path) == ("a.pt asks for os.system to be run when it is loaded. It was not, and it is not used.")


def test_fit_takes_what_only_a_webuis_own_reader_would_refuse(tmp_path: Path) -> None:
    """Newer files of torch, and numbers of numpy's."""
    path = tmp_path / "a.pt"
    path.write_bytes(as_zip(state_dict(LOADED), **{".format_version": b"1"}))
    assert inspect(path).loadable
    assert said(path) is None


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html><html></html>", b"Not found", b"\x08\0\0\0\0\0\0\0{broken"])
def test_what_is_no_vae_at_all_is_told_as_the_inspection_tells_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / NAME
    path.write_bytes(content)
    inspection = inspect(path)
    sentence = fit(inspection, LOADED)
    assert isinstance(sentence, Sentence)
    assert sentence is inspection.problem


def test_a_cut_off_file(tmp_path: Path) -> None:
    path = write(tmp_path, LOADED)
    path.write_bytes(path.read_bytes()[:-1])
    assert said(path) is not None


ODD_NAMES = {
    "half a character": "\ud800",
    "a terminal's": "\x1b[2J\r\n",
    "right to left": "\u202e",
    "long": "x" * 100_000,
}


@pytest.mark.parametrize("kind", ODD_NAMES)
@pytest.mark.parametrize("way", ["unknown", "numbers"])
def test_no_name_in_a_file_spoils_the_sentence(tmp_path: Path, kind: str, way: str) -> None:
    """Check the message, which goes to consoles, and to each page every second."""
    odd = f"decoder.{ODD_NAMES[kind]}"
    raw = odd.encode("utf-8", "surrogatepass")
    made = state_dict({"odd": (1,), **LOADED}, "Long" if way == "numbers" else "Float")
    code = made.code.replace(text("odd"), b"X" + len(raw).to_bytes(4, "little") + raw)
    path = tmp_path / "mine.pt"
    path.write_bytes(as_zip(Made(code, made.storages)))
    expected = {**LOADED, odd: (1,)} if way == "numbers" else LOADED
    told = fit(inspect(path), expected)
    assert told is not None
    assert str(told).isprintable() and len(str(told)) < 400
