from __future__ import annotations

import math
from collections.abc import Mapping

import pytest

from tests.files.whole_vaes import FLUX, SD, Config, names
from vae_manager.files import TensorInfo
from vae_manager.files.layouts import Renamed, canonical, diffusers_name, ldm_name, up_levels

CONFIGS = {
    "sd": SD,
    "flux": FLUX,
    "one level": Config((4,), 1),
    "many": Config((4, 8, 8, 16, 16, 16), 4, 8),
}
Shapes = Mapping[str, tuple[int, ...]]


def infos(shapes: Shapes) -> dict[str, TensorInfo]:
    found, at = {}, 0
    for name, shape in shapes.items():
        end = at + 4 * math.prod(shape)
        found[name] = TensorInfo("F32", shape, at, end)
        at = end
    return found


def ldm(config: Config = SD) -> dict[str, tuple[int, ...]]:
    return {name: shape for name, _, shape in names(config)}


def diffusers(config: Config = SD) -> dict[str, tuple[int, ...]]:
    return {
        name: shape[:2] if ".attentions." in name and len(shape) == 4 else shape for _, name, shape in names(config)
    }


def older(shapes: Shapes) -> dict[str, tuple[int, ...]]:
    words = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    found = {}
    for name, shape in shapes.items():
        for new, old in words.items():
            name = name.replace(new, old)
        found[name] = shape
    return found


def found_in(shapes: Shapes) -> Renamed:
    renamed = canonical(infos(shapes))
    assert renamed is not None
    return renamed


def shapes_of(renamed: Renamed) -> Shapes:
    return {name: source.shape for name, source in renamed.tensors.items()}


def test_sd_has_248_tensors() -> None:
    real = Config((128, 256, 512, 512))
    assert len(names(real)) == 248
    assert sum(math.prod(shape) for _, _, shape in names(real)) == 83_653_863


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_every_layout_gives_the_webuis_names_and_shapes(config: Config) -> None:
    for shapes in (ldm(config), diffusers(config), older(diffusers(config))):
        assert shapes_of(found_in(shapes)) == ldm(config)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_each_name_goes_there_and_back(config: Config) -> None:
    levels = len(config.widths)
    for ours, theirs, _ in names(config):
        assert (diffusers_name(ours, levels), ldm_name(theirs, levels)) == (theirs, ours)
    assert up_levels(ldm(config)) == up_levels(diffusers(config)) == levels


def test_where_each_tensor_comes_from() -> None:
    tensors = infos(diffusers())
    renamed = canonical(tensors)
    assert renamed is not None
    for ours, theirs, _ in names(SD):
        source = renamed.tensors[ours]
        assert (source.name, source.dtype) == (theirs, tensors[theirs].dtype)


@pytest.mark.parametrize("prefix", ["first_stage_model.", "vae.", "model.", "module.", "autoencoder."])
@pytest.mark.parametrize("shapes", [ldm(), diffusers()], ids=["ldm", "diffusers"])
def test_a_prefix_is_taken_away(prefix: str, shapes: Shapes) -> None:
    renamed = found_in({prefix + name: shape for name, shape in shapes.items()})
    assert (renamed.layout, renamed.prefix) == ("prefixed", prefix)
    assert shapes_of(renamed) == ldm()


@pytest.mark.parametrize("prefix", ["first_stage_model.", "vae."])
def test_the_vae_of_a_checkpoint(prefix: str) -> None:
    others = {
        "model.diffusion_model.out.2.weight": (4, 8, 3, 3),
        "cond_stage_model.transformer.x": (4,),
        "model_ema.decay": (),
    }
    renamed = found_in({**others, **{prefix + name: shape for name, shape in ldm().items()}})
    assert (renamed.layout, renamed.naming, renamed.prefix) == ("checkpoint", "ldm", prefix)
    assert shapes_of(renamed) == ldm()
    assert set(renamed.dropped) == set(others)


def test_what_a_training_leaves_is_dropped() -> None:
    left: Shapes = {
        "loss.discriminator.main.0.weight": (4, 3, 4, 4),
        "loss.logvar": (),
        "model_ema.decay": (),
        "model_ema.num_updates": (),
        "model_ema.encoderconv_inweight": (4, 3, 3, 3),
        "encoder_ema.conv_in.weight": (4, 3, 3, 3),
        "optimizer.state.0.exp_avg": (4,),
    }
    renamed = found_in({**left, **ldm()})
    assert set(renamed.dropped) == set(left)
    assert shapes_of(renamed) == ldm()
    assert (renamed.layout, renamed.naming) == ("ldm", "ldm")


def test_attention_as_matrices_under_the_webuis_names() -> None:
    shapes = {name: shape[:2] if ".attn_1." in name else shape for name, shape in ldm().items()}
    assert shapes != ldm()
    assert shapes_of(found_in(shapes)) == ldm()


def test_attention_of_the_levels() -> None:
    theirs = {"encoder.down_blocks.2.attentions.1.to_out.0.weight": (8, 8), **diffusers()}
    assert shapes_of(found_in(theirs)) == {"encoder.down.2.attn.1.proj_out.weight": (8, 8, 1, 1), **ldm()}


def test_flux_2_keeps_its_statistics() -> None:
    statistics: Shapes = {"bn.running_mean": (16,), "bn.running_var": (16,), "bn.num_batches_tracked": ()}
    own = {"quant_conv": "encoder.quant_conv", "post_quant_conv": "decoder.post_quant_conv"}
    published = {own.get(name.split(".")[0], name.split(".")[0]) + name[name.index(".") :]: shape
                 for name, shape in {**ldm(), **statistics}.items()}  # fmt: skip
    assert "encoder.quant_conv.weight" in published
    assert shapes_of(found_in(published)) == shapes_of(found_in({**diffusers(), **statistics}))


def without(shapes: Shapes, *names: str) -> dict[str, tuple[int, ...]]:
    return {name: shape for name, shape in shapes.items() if not name.startswith(names)}


@pytest.mark.parametrize("part", ["encoder.", "decoder."])
def test_a_half_is_found_too(part: str) -> None:
    assert shapes_of(found_in(without(diffusers(), part))) == without(ldm(), part)


@pytest.mark.parametrize(
    "shapes",
    [
        {},
        {"lora_unet_mid.lora_down.weight": (4, 8)},
        {"model.diffusion_model.out.2.weight": (4, 8, 3, 3)},
        {**ldm(), "encoder.conv_in.weight": (4, 3, 3, 3, 3), "decoder.conv_in.weight": (4, 4, 3, 3, 3)},
        {**diffusers(), "decoder.mid_block.resnets.0.temporal_res_block.conv1.weight": (8, 8, 3, 1, 1)},
        {**ldm(), "decoder.something.else.weight": (4,)},
        {**ldm(), "encoder.conv_in.weight_scale": ()},
        {**ldm(), **diffusers()},
        {**diffusers(), **older(diffusers())},
        {**diffusers(), "decoder.up_blocks.31.resnets.0.conv1.weight": (8, 8, 3, 3)},
        {**ldm(), "encoder.down.01.block.0.conv1.weight": (8, 8, 3, 3)},
    ],
    ids=["nothing", "lora", "no vae", "video", "svd", "unknown", "quantised", "both", "old and new", "level", "zero"],
)
def test_what_is_no_vae_that_is_wholly_known(shapes: Shapes) -> None:
    assert canonical(infos(shapes)) is None
