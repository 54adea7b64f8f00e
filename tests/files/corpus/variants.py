"""Many more files, one for each way in which a VAE file differs from what a checkpoint has: for the verdict's promises.

Only name and bytes count; the answers follow from what the swap and the conversion do with them.
"""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence

from ..filling import filling
from ..network_names import Config, names
from ..samples import diffusers, encode, header_of, ldm
from ..torch_files import Made, as_legacy, as_zip, mapping, ordered, state_dict, storage, tensor, weights
from .case import Case, Shapes, below, half, legacy, pickled, tensors, zipped

DTYPES = ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2", "I64")
WRITERS: Mapping[str, Callable[[Shapes], bytes]] = {"safetensors": tensors, "zip": zipped, "legacy": legacy}
LAYOUTS: Mapping[str, Shapes] = {"ldm": ldm(), "diffusers": diffusers(), "prefixed": ldm(prefix="first_stage_model.")}
PREFIXES = ("vae.", "model.", "module.", "autoencoder.", "_orig_mod.", "module._orig_mod.", "params_ema.", "a.b.c.")
LEFTOVERS: Shapes = {
    "loss.logvar": (), "loss.discriminator.main.0.weight": (4, 3, 4, 4), "model_ema.decay": (), "scale_factor": (),
    "model_ema.decoderconv_inweight": (8, 4, 3, 3), "cond_stage_model.position_ids": (1, 77), "epoch": (1,),
    "latents_mean": (4,), "optimizer.0.exp_avg": (3,), "ema.num_updates": (),
}  # fmt: skip
GONE = (
    "encoder.conv_in.bias", "encoder.down.0.block.0.norm1.weight", "encoder.mid.attn_1.proj_out.bias",
    "decoder.mid.block_2.conv2.weight", "decoder.up.1.upsample.conv.weight", "decoder.norm_out.bias",
    "quant_conv.weight", "post_quant_conv.bias",
)  # fmt: skip
MORE = (
    "decoder.extra.weight", "encoder.down.2.block.0.conv1.weight", "decoder.up.1.attn.0.q.weight", "quant_conv.scale",
    "decoder.condition_encoder.layers.0.weight", "decoder.mid.attn_2.q.weight",
)  # fmt: skip
OTHER_SHAPES: Shapes = {
    "encoder.conv_in.weight": (8, 4, 3, 3), "decoder.conv_out.bias": (4,), "decoder.conv_in.weight": (8, 4, 1, 1),
    "decoder.mid.attn_1.q.weight": (8, 8, 3, 3), "quant_conv.weight": (8, 8, 1), "decoder.norm_out.weight": (8, 1),
    "decoder.mid.attn_1.k.weight": (8, 8, 1, 1, 1), "post_quant_conv.weight": (4, 4, 1, 1, 1),
}  # fmt: skip
NETWORKS = {
    "wider": Config((16, 16), 1), "narrower": Config((4, 4), 1), "deeper": Config((8, 8), 2),
    "one level": Config((8,), 1),
    "three levels": Config((8, 8, 8), 1), "16 channels": Config((8, 8), 1, 16), "3 channels": Config((8, 8), 1, 3),
    "without quant": Config((8, 8), 1, 4, quant=False), "uneven": Config((8, 16), 1),
}  # fmt: skip
LARGE = (2.0**128 - 2.0**104, 2.0**128 - 2.0**103 - 2.0**76, 2.0**128 - 2.0**103, 2.0**128 * (1 - 2**-26), 2.0**128)
"""From the largest number of 32 bits on: the first two are rounded to it, the others to infinity."""
WRAPPERS = ("state_dict", "model_state_dict", "params_ema", "params", "model", "module")
SPOILT = {"NaN": b"\0\0\xc0\x7f", "infinity": b"\0\0\x80\xff"}
MATRICES = ("encoder.mid.attn_1.q.weight", "decoder.mid.attn_1.proj_out.weight")
QUANT_MATRICES: Shapes = {"quant_conv.weight": (8, 8), "post_quant_conv.weight": (4, 4)}
TINY: Shapes = {"1.weight": (8, 4, 3, 3), "3.conv.0.weight": (8, 8, 3, 3)}
VIDEO: Shapes = {"decoder.x": (1, 1, 1, 1, 1)}
FOREIGN = {
    "GGUF": b"GGUF\3\0\0\0" + bytes(64), "7z": b"7z\xbc\xaf\x27\x1c" + bytes(64),
    "JPEG": b"\xff\xd8\xff\xe0" + bytes(64),
    "WebP": b"RIFF\0\1\0\0WEBPVP8 " + bytes(64), "ONNX": b"\x08\x08\x12\x07pytorch" + bytes(64),
    "RAR": b"Rar!\x1a\x07\1\0" + bytes(64), "GIF": b"GIF89a" + bytes(64), "three bytes": b"abc",
}  # fmt: skip


def _cases() -> Iterator[Case]:
    for dtype in DTYPES:
        for layout, shapes in LAYOUTS.items():
            yield _case(f"{layout}, {dtype}", tensors(shapes, dtype))
    for layout, shapes in LAYOUTS.items():
        for writer, write in WRITERS.items():
            yield _case(f"{layout}, {writer}", write(shapes))
            yield _case(f"{layout}, {writer}, named safetensors", write(shapes), "x.safetensors")
    for prefix in PREFIXES:
        yield _case(f"below {prefix}", tensors(ldm(prefix=prefix)))
        yield _case(f"diffusers below {prefix}", tensors(below(prefix, diffusers())))
    for name, shape in LEFTOVERS.items():
        yield _case(f"with {name}", tensors({**ldm(), name: shape}))
        yield _case(f"diffusers with {name}", tensors({**diffusers(), name: shape}))
    yield _case("with integers beside", _mixed({**ldm(), "position_ids": (1, 77)}, {"position_ids": "I64"}))
    yield _case("with half of it in fp16", _mixed(ldm(), dict.fromkeys(half("decoder"), "F16")))
    yield _case("with one tensor of integers", _mixed(ldm(), {"decoder.conv_out.bias": "I64"}))
    for name in GONE:
        yield _case(f"without {name}", tensors({key: shape for key, shape in ldm().items() if key != name}))
    for name in MORE:
        yield _case(f"with unknown {name}", tensors({**ldm(), name: (8, 8, 1, 1)}))
    for name, shape in OTHER_SHAPES.items():
        yield _case(f"{name} as {shape}", tensors({**ldm(), name: shape}))
    yield _case("matrices", tensors({**ldm(), **dict.fromkeys(MATRICES, (8, 8))}))
    yield _case("matrices of three axes", tensors({**ldm(), **dict.fromkeys(MATRICES, (8, 8, 1))}))
    yield _case("quant_conv as matrices", tensors({**ldm(), **QUANT_MATRICES}))
    yield _case("diffusers with quant_conv as matrices", tensors({**diffusers(), **QUANT_MATRICES}))
    yield from _several()
    for name, config in NETWORKS.items():
        yield _case(f"{name}, ldm", tensors({ours: shape for ours, _, shape in names(config)}))
        yield _case(f"{name}, diffusers", tensors({theirs: shape for _, theirs, shape in names(config)}))
    yield from _wrapped()
    yield from _complex()
    yield from _spoilt()
    for name, data in FOREIGN.items():
        yield _case(name, data, "x.safetensors")
        yield _case(f"{name} as pt", data, "x.pt")


def _several() -> Iterator[Case]:
    """Yield files with two VAEs, or parts of two."""
    last = "post_quant_conv.weight"
    incomplete = {name: shape for name, shape in ldm().items() if name != last}
    for beside, shapes in {
        "decoder": half("decoder"),
        "encoder": half("encoder"),
        "incomplete VAE": incomplete,
    }.items():
        yield _case(f"{beside} beside a VAE below vae.", tensors({**shapes, **ldm(prefix="vae.")}))
        yield _case(f"{beside} beside diffusers below vae.", tensors({**shapes, **below("vae.", diffusers())}))
        both = {**below("first_stage_model.", shapes), **ldm(prefix="vae.")}
        yield _case(f"{beside} below first_stage_model. beside a VAE below vae.", tensors(both))
    odd = {**ldm(), last: (4, 4, 3, 3)}
    yield _case("another shape beside a VAE below vae.", tensors({**odd, **ldm(prefix="vae.")}))
    yield _case("a tiny one beside a VAE below vae.", tensors({**TINY, **ldm(prefix="vae.")}))
    yield _case("five axes beside a VAE below vae.", tensors({**VIDEO, **ldm(prefix="vae.")}))
    yield _case("two whole ones", tensors({**ldm(), **ldm(prefix="vae.")}))
    yield _case("two below prefixes", tensors({**ldm(prefix="first_stage_model."), **ldm(prefix="vae.")}))
    yield _case("five axes alone", tensors(VIDEO))
    for kind, one, other in (("ldm", ldm(), diffusers()), ("diffusers", diffusers(), ldm())):
        mixed = {name: shape for name, shape in one.items() if not name.startswith("decoder")}
        mixed |= {name: shape for name, shape in other.items() if name.startswith("decoder")}
        yield _case(f"encoder in the names of {kind}, decoder in others", tensors(mixed))


def _wrapped() -> Iterator[Case]:
    codes, storages = weights(ldm())
    for name in WRAPPERS:
        yield _case(f"zip below {name}", pickled(mapping({name: mapping(codes)}), **storages))
    nested = mapping({"state_dict": mapping({"state_dict": mapping(codes)})})
    yield _case("zip below two state_dicts", pickled(nested, **storages))
    wrapped = mapping({"state_dict": mapping({"model": mapping(codes)})})
    yield _case("zip below a wrapper in a state_dict", pickled(wrapped, **storages))
    made = state_dict(ldm(), wrapped=True)
    yield _case("legacy below state_dict", as_legacy(made))
    newer = {".format_version": b"1", ".storage_alignment": b"64"}
    yield _case("newer torch", as_zip(made, "archive", zipfile.ZIP_STORED, **newer))
    yield _case("OrderedDict", pickled(mapping(codes, ordered()), **storages))


def _complex() -> Iterator[Case]:
    """Yield files with numbers that safetensors has no word for."""
    codes, storages = weights(ldm())
    odd = tensor(storage("ComplexFloat", "999", 1), (1,))
    stored = {**storages, "999": bytes(8)}
    for name in ("x", "loss.x", "decoder.x", "first_stage_model.decoder.conv_in.bias"):
        for kind, write in (("zip", as_zip), ("legacy", as_legacy)):
            made = Made(b"\x80\x02" + mapping({**codes, name: odd}) + b".", stored)
            yield _case(f"complex {name}, {kind}", write(made))


def _spoilt() -> Iterator[Case]:
    whole = tensors(ldm())
    for name, number in SPOILT.items():
        for where, at in (("first", 8 + int.from_bytes(whole[:8], "little")), ("last", len(whole) - 4)):
            yield _case(f"{name} as {where} number", whole[:at] + number + whole[at + 4 :])
    beside = tensors({"loss.logvar": (1,), **ldm()})
    at = 8 + int.from_bytes(beside[:8], "little")
    yield _case("NaN beside the VAE", beside[:at] + SPOILT["NaN"] + beside[at + 4 :])
    for large in LARGE:
        yield _case(f"{large.hex()} in 64 bits", tensors(ldm(), "F64")[:-8] + struct.pack("<d", large))
    yield _case("1e300 in 64 bits", tensors(ldm(), "F64")[:-8] + struct.pack("<d", 1e300))
    yield _case("30000 in 32 bits", whole[:-4] + struct.pack("<f", 30_000))
    start = 8 + int.from_bytes(whole[:8], "little")
    yield _case("all zeros", whole[:start] + bytes(len(whole) - start))
    middle = start + (len(whole) - start) // 2
    yield _case("second half zeros", whole[:middle] + bytes(len(whole) - middle))
    yield _case("first half zeros", whole[:start] + bytes(middle - start) + whole[middle:])
    for share in (10, 50, 90, 99):
        yield _case(f"cut at {share} %", whole[: len(whole) * share // 100])
    yield _case("header of another file", encode(json.loads(whole[8:start]), filling(10)))


def _mixed(shapes: Shapes, kinds: Mapping[str, str]) -> bytes:
    """Write tensors of which some have a dtype of their own."""
    header: dict[str, object] = {}
    at = 0
    for name, shape in shapes.items():
        one, size = header_of({name: tuple(shape)}, kinds.get(name, "F32"))
        described = dict(one[name])
        header[name] = {**described, "data_offsets": [at, at + size]}
        at += size
    return encode(header, filling(at))


def _case(id: str, data: bytes, name: str = "x.vae.pt") -> Case:
    return Case(f"variant: {id}", data, "", name=name)


VARIANTS: Sequence[Case] = list(_cases())
