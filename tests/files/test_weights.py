from __future__ import annotations

import hashlib
import os
import random
import threading
from pathlib import Path

import pytest

from tests.failing import fails_with
from tests.files.torch_files import Made, as_legacy, as_zip, mapping, storage, tensor
from tests.files.whole_vaes import FLUX, SD, Config, Tensor, Tensors, below, read, renamed, vae, write
from vae_manager.errors import Cancelled, FileChangedError, IntegrityError, NotFoundError
from vae_manager.files import tensor_data
from vae_manager.files.conversion import convert
from vae_manager.files.record import Fingerprints
from vae_manager.files.tensor_data import fingerprints

EVERYTHING_ELSE = {
    "model.diffusion_model.out.2.weight": Tensor("F32", (4,), bytes(16)),
    "model_ema.decay": Tensor("F32", (), bytes(4)),
}


def of(path: Path, tensors: Tensors, **metadata: str) -> Fingerprints:
    return fingerprints(write(path / "x.safetensors", tensors, **metadata))


def made(tensors: Tensors) -> Made:
    """A pickle of torch."""
    codes = {
        name: tensor(storage("Float", str(key), len(one.data) // 4), one.shape)
        for key, (name, one) in enumerate(tensors.items())
    }
    storages = {str(key): one.data for key, one in enumerate(tensors.values())}
    return Made(b"\x80\x02" + mapping({"state_dict": mapping(codes)}) + b".", storages)


@pytest.mark.parametrize("config", [SD, FLUX], ids=["sd", "flux"])
def test_twins_have_one_fingerprint(tmp_path: Path, config: Config) -> None:
    tensors = vae(config)
    shuffled = random.Random(1).sample(list(tensors), len(tensors))
    twins = {
        "ldm": write(tmp_path / "ldm", tensors),
        "metadata": write(tmp_path / "metadata", tensors, format="pt", title="other"),
        "order": write(tmp_path / "order", tensors, shuffled),
        "prefixed": write(tmp_path / "prefixed", below("vae.", tensors)),
        "diffusers": write(tmp_path / "diffusers", renamed(tensors, config)),
        "older diffusers": write(tmp_path / "older", renamed(tensors, config, older=True)),
        "diffusers, prefixed": write(tmp_path / "both", renamed(tensors, config, prefix="vae.")),
        "loss": write(tmp_path / "loss", {**tensors, "loss.logvar": Tensor("F32", (), bytes(4))}),
        "checkpoint": write(tmp_path / "whole", {**EVERYTHING_ELSE, **below("first_stage_model.", tensors)}),
        "zip": tmp_path / "zip",
        "legacy": tmp_path / "legacy",
    }
    twins["zip"].write_bytes(as_zip(made(tensors)))
    twins["legacy"].write_bytes(as_legacy(made(tensors)))
    found = {name: fingerprints(path) for name, path in twins.items()}
    assert len(set(found.values())) == 1, found


def test_a_pickle_whose_tensors_lie_in_another_order_is_a_twin(tmp_path: Path) -> None:
    """Channels last, as a model leaves them that was moved so before it was saved."""
    tensors = vae()
    name = "decoder.conv_in.weight"
    one = tensors[name]
    out, channels, height, width = one.shape
    four = [one.data[at : at + 4] for at in range(0, len(one.data), 4)]
    moved = b"".join(
        four[((o * channels + c) * height + y) * width + x]
        for o in range(out) for y in range(height) for x in range(width) for c in range(channels)
    )  # fmt: skip
    strides = (channels * height * width, 1, width * channels, channels)
    whole = made({**tensors, name: Tensor("F32", one.shape, moved)})
    plain = tensor(storage("Float", str(list(tensors).index(name)), len(four)), one.shape)
    strided = tensor(storage("Float", str(list(tensors).index(name)), len(four)), one.shape, strides)
    assert plain in whole.code
    (tmp_path / "strided.pt").write_bytes(as_zip(Made(whole.code.replace(plain, strided), whole.storages)))
    assert fingerprints(tmp_path / "strided.pt") == of(tmp_path, tensors)
    convert(tmp_path / "strided.pt", tmp_path / "new.safetensors")
    assert read(tmp_path / "new.safetensors") == tensors


def test_they_are_what_the_docstring_says(tmp_path: Path) -> None:
    tensors = vae()
    lines = [
        f"{name} F32 [{','.join(map(str, one.shape))}] {hashlib.sha256(one.data).hexdigest()}\n"
        for name, one in sorted(tensors.items())
    ]
    encoder = [line for line in lines if line.startswith(("encoder.", "quant_conv."))]
    assert of(tmp_path, tensors) == Fingerprints(
        hashlib.sha256("".join(lines).encode()).hexdigest(), hashlib.sha256("".join(encoder).encode()).hexdigest()
    )


def test_one_changed_byte_anywhere_changes_them(tmp_path: Path) -> None:
    tensors = vae(Config((4,), 1))
    before = of(tmp_path, tensors)
    for name, one in tensors.items():
        for at in (0, len(one.data) - 1):
            data = bytearray(one.data)
            data[at] ^= 1
            after = of(tmp_path, {**tensors, name: Tensor(one.dtype, one.shape, bytes(data))})
            assert after.weights != before.weights
            assert (after.encoder != before.encoder) == name.startswith(("encoder.", "quant_conv."))


def test_a_tune_of_the_decoder_keeps_the_encoders(tmp_path: Path) -> None:
    one, other = vae(seed=1), vae(seed=2)
    tuned = {name: (one if name.startswith(("encoder.", "quant_conv.")) else other)[name] for name in one}
    assert of(tmp_path, tuned).encoder == of(tmp_path, one).encoder
    assert len({of(tmp_path, tensors).weights for tensors in (one, other, tuned)}) == 3


def test_other_numbers_other_shapes_and_other_names_are_other_weights(tmp_path: Path) -> None:
    tensors = vae()
    half = {**tensors, "encoder.conv_out.bias": Tensor("F16", (16,), tensors["encoder.conv_out.bias"].data)}
    flat = {**tensors, "decoder.conv_out.weight": Tensor("F32", (12, 3, 3), tensors["decoder.conv_out.weight"].data)}
    swapped = {**tensors}
    a, b = "decoder.up.0.block.1.conv1.bias", "decoder.up.0.block.1.conv2.bias"
    swapped[a], swapped[b] = tensors[b], tensors[a]
    assert len({of(tmp_path, one).weights for one in (tensors, half, flat, swapped)}) == 4


def test_a_decoder_alone_has_no_encoder(tmp_path: Path) -> None:
    tensors = vae()
    alone = {name: one for name, one in tensors.items() if name.startswith(("decoder.", "post_"))}
    assert of(tmp_path, alone).encoder is None


def test_what_holds_no_vae(tmp_path: Path) -> None:
    with fails_with(NotFoundError, "no-vae"):
        of(tmp_path, EVERYTHING_ELSE)
    with fails_with(NotFoundError, "no-such-file"):
        fingerprints(tmp_path / "none")
    (tmp_path / "page").write_bytes(b"<html>")
    with pytest.raises(IntegrityError):
        fingerprints(tmp_path / "page")


def test_progress_counts_the_vae_alone_and_a_stop_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensor_data, "CHUNK", 256)
    tensors = vae()
    path = write(tmp_path / "x", {**EVERYTHING_ELSE, **below("first_stage_model.", tensors)})
    size = sum(len(one.data) for one in tensors.values())
    seen: list[tuple[int, int]] = []
    fingerprints(path, report=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (size, size) and len(seen) > size // 256
    stop = threading.Event()
    stop.set()
    with pytest.raises(Cancelled):
        fingerprints(path, stop=stop)


def test_a_file_that_changes_meanwhile_has_none(tmp_path: Path) -> None:
    path = write(tmp_path / "x", vae())
    with pytest.raises(FileChangedError):
        fingerprints(path, report=lambda done, total: os.utime(path, ns=(5, 5)))
