"""The engine of a checkpoint, its components, and text encoders, by true tables of tensors."""

from __future__ import annotations

from pathlib import Path

import pytest

from vae_manager.catalogue.engines import ENCODERS, ENGINES, HOST_IDS, families_of_class, families_on
from vae_manager.catalogue.entry import FAMILIES
from vae_manager.files import inspect
from vae_manager.files.checkpoint import carried, encoder_of, engine_of, is_encoder, weight_dtype
from vae_manager.files.headers import TensorSpec, TensorTable
from vae_manager.records.verdict import HOSTS

from .cases import (
    ENCODER_TABLES,
    UNET,
    Case,
    below,
    cast,
    checkpoints,
    lookalikes,
    nf4,
    open_clip,
    reshaped,
    scaled_fp8,
    sparse,
    table,
)


def named(case: Case) -> str:
    return case.name


@pytest.mark.parametrize("case", checkpoints(), ids=named)
def test_a_checkpoint_has_its_engine_family_and_components(case: Case) -> None:
    found, components = engine_of(case.tensors), carried(case.tensors)
    assert found is not None
    assert (found.engine.id, found.families, found.variant) == (case.engine, case.families, case.variant)
    assert found.dtype == case.dtype
    assert (components.kinds, components.has_vae) == (case.carries, case.has_vae)
    assert (components.vae is not None) == case.has_vae


@pytest.mark.parametrize("case", lookalikes(), ids=named)
def test_a_lookalike_has_no_engine(case: Case) -> None:
    assert engine_of(case.tensors) is None


@pytest.mark.parametrize("case", checkpoints(), ids=named)
def test_a_checkpoint_is_no_text_encoder(case: Case) -> None:
    assert encoder_of(case.tensors) is None


def test_every_engine_has_a_case() -> None:
    assert {case.engine for case in checkpoints()} == set(ENGINES)


def test_a_file_is_known_by_its_header_alone(tmp_path: Path) -> None:
    path = sparse(tmp_path / "a.safetensors", below(UNET, table("flux2-klein-9b")))
    found = engine_of(inspect(path).tensors)
    assert found is not None
    assert (found.engine.id, found.family) == ("flux2-klein-9b", "flux2")


def test_the_vae_of_a_checkpoint_has_the_webuis_names() -> None:
    sd1 = next(case for case in checkpoints() if case.name == "SD 1.x")
    assert carried(sd1.tensors).vae == TensorTable.of(table("vae-sd"))


@pytest.mark.parametrize("missing", ["middle_block.0.in_layers.0.weight", "out.2.weight", "input_blocks.0.0.weight"])
def test_an_incomplete_network_has_no_engine(missing: str) -> None:
    assert engine_of({name: spec for name, spec in table("unet-sd1").items() if name != missing}) is None


# -- text encoders -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ENCODER_TABLES)
def test_a_text_encoder_has_its_kind(kind: str) -> None:
    found = encoder_of(table(kind))
    assert found is not None
    assert (found.kind, found.dtype) == (kind, "fp16" if kind.startswith("clip") else "bf16")
    assert is_encoder(table(kind))
    assert engine_of(table(kind)) is None


@pytest.mark.parametrize(
    ("width", "layers", "kind"), [(768, 12, "clip-l"), (1280, 32, "clip-g"), (1024, 24, "clip-h"), (512, 12, None)]
)
def test_open_clip_has_its_kind_by_its_width(width: int, layers: int, kind: str | None) -> None:
    found = encoder_of(open_clip(width, layers))
    assert (found.kind if found is not None else None) == kind


def test_a_text_encoder_below_the_prefix_of_a_checkpoint_has_its_kind() -> None:
    found = encoder_of(below("text_encoders.clip_g.transformer.", table("clip-g")))
    assert found is not None
    assert (found.kind, found.prefix) == ("clip-g", "text_encoders.clip_g.transformer.")


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("clip-l", {"text_model__embeddings__position_embedding__weight": (248, 768)}),  # Long-CLIP
        ("clip-l", {"text_model__embeddings__token_embedding__weight": (32000, 768)}),  # SigLIP
        ("t5xxl", {"shared__weight": (250112, 4096)}),  # mT5
        ("t5xxl", {"encoder__final_layer_norm__weight": (2048,)}),  # T5-XL
        ("qwen3-8b", {"model__embed_tokens__weight": (128256, 4096)}),
        ("ministral3-3b", {"model__embed_tokens__weight": (128256, 3072)}),  # Llama 3.2 3B
        ("gemma2-2b", {"model__layers__0__input_layernorm__weight": (3584,)}),  # Gemma 2 9B
        ("qwen3-4b", {"model__layers__0__input_layernorm__weight": (2048,)}),  # Qwen3 1.7B
    ],
)
def test_a_relative_of_a_text_encoder_is_unknown(kind: str, changes: dict[str, tuple[int, ...]]) -> None:
    assert encoder_of(reshaped(table(kind), **changes)) is None


def test_gemma_3_is_not_gemma_2() -> None:
    normed = {"model.layers.0.self_attn.q_norm.weight": TensorSpec("BF16", (256,))}
    assert encoder_of({**table("gemma2-2b"), **normed}) is None


def test_a_model_of_fewer_layers_is_unknown() -> None:
    names = {name: spec for name, spec in table("ministral3-3b").items() if ".25." not in name}
    assert encoder_of(names) is None


def gguf(kind: str) -> dict[str, TensorSpec]:
    """A language model in the names of llama.cpp."""
    renamed = {
        "model.layers.": "blk.",
        "input_layernorm": "attn_norm",
        "post_attention_layernorm": "ffn_norm",
        "self_attn.q_norm": "attn_q_norm",
        "self_attn.k_norm": "attn_k_norm",
        "self_attn.q_proj": "attn_q",
        "self_attn.k_proj": "attn_k",
        "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output",
        "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
        "mlp.gate_proj": "ffn_gate",
        "model.embed_tokens": "token_embd",
        "model.norm": "output_norm",
    }
    found = {}
    for name, spec in table(kind).items():
        if name.startswith("visual."):
            continue
        for theirs, ours in renamed.items():
            name = name.replace(theirs, ours)
        found[name] = spec._replace(dtype="Q4_K" if len(spec.shape) == 2 else "F32")
    return found


@pytest.mark.parametrize(
    ("kind", "architecture", "expected"),
    [
        ("qwen3-4b", "qwen3", "qwen3-4b"),
        ("qwen3-4b", None, "qwen3-4b"),
        ("qwen3-4b", "qwen3vl", "qwen3-vl-4b"),
        ("qwen2.5-vl-7b", "qwen2vl", "qwen2.5-vl-7b"),
        ("qwen2.5-vl-7b", "qwen2", None),
        ("ministral3-3b", "mistral3", "ministral3-3b"),
    ],
)
def test_the_architecture_of_gguf_distinguishes_models_of_the_same_tensors(
    kind: str, architecture: str | None, expected: str | None
) -> None:
    found = encoder_of(gguf(kind), architecture)
    assert (found.kind if found is not None else None) == expected
    assert found is None or found.dtype == "Q4_K"
    assert is_encoder(gguf(kind))


def test_t5_in_gguf_has_its_kind() -> None:
    renamed = {
        "encoder.block.": "enc.blk.",
        "layer.0.SelfAttention.": "attn_",
        "layer.0.layer_norm": "attn_norm",
        "encoder.final_layer_norm": "enc.output_norm",
        "shared": "token_embd",
    }
    found = {}
    for name, spec in table("umt5-xxl").items():
        for theirs, ours in renamed.items():
            name = name.replace(theirs, ours)
        found[name] = spec._replace(dtype="Q8_0")
    kind = encoder_of(found)
    assert kind is not None
    assert (kind.kind, kind.dtype) == ("umt5-xxl", "Q8_0")


def test_the_vision_part_of_gguf_has_a_kind_of_its_own() -> None:
    mmproj = {
        "v.blk.0.attn_out.weight": TensorSpec("F16", (1280, 1280)),
        "mm.2.weight": TensorSpec("F16", (3584, 5120)),
    }
    found = encoder_of(mmproj)
    assert found is not None
    assert found.kind == "qwen2.5-vl-7b-vision"


# -- dtypes ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("tensors", "name"),
    [
        (table("t5xxl"), "bf16"),
        (cast(table("t5xxl"), "F16"), "fp16"),
        (cast(table("t5xxl"), "F8_E4M3"), "fp8 e4m3"),
        (cast(table("t5xxl"), "F8_E5M2"), "fp8 e5m2"),
        (scaled_fp8(table("t5xxl")), "fp8 e4m3 scaled"),
        (nf4(table("t5xxl")), "nf4"),
        (cast(table("t5xxl"), "Q5_K"), "Q5_K"),
        ({"a": TensorSpec("I64", (4,))}, None),
        ({}, None),
    ],
)
def test_the_dtype_has_its_usual_name(tensors: dict[str, TensorSpec], name: str | None) -> None:
    assert weight_dtype(tensors) == name


@pytest.mark.parametrize("quantise", [scaled_fp8, nf4])
def test_a_quantised_text_encoder_has_its_kind(quantise: object) -> None:
    assert callable(quantise)
    for kind in ("t5xxl", "qwen3-4b", "qwen2.5-vl-7b"):
        embedding = {name: spec for name, spec in table(kind).items() if "shared" in name or "embed_tokens" in name}
        found = encoder_of({**quantise(table(kind)), **embedding})
        assert found is not None
        assert found.kind == kind


# -- the table ---------------------------------------------------------------------------------------------------------
def test_the_table_names_known_things_alone() -> None:
    for id, engine in ENGINES.items():
        assert engine.id == id
        assert engine.families
        assert set(engine.families) <= set(FAMILIES)
        assert set(engine.encoders) <= set(ENCODERS)
        assert set(engine.hosts) <= set(HOST_IDS)
        assert set(engine.optional) <= set(engine.encoders)
        assert all(set(hosts) <= set(engine.hosts) for hosts in engine.optional.values())
        assert bool(engine.presets) == ("neo" in engine.hosts)
        assert bool(engine.classes) == bool({"forge", "neo"} & set(engine.hosts))
    assert all(kind.id == id for id, kind in ENCODERS.items())
    assert set(HOST_IDS) == set(HOSTS)


def test_a_host_has_the_families_of_its_engines() -> None:
    assert families_on("a1111") == ("sd1", "sdxl", "sd3")
    assert families_on("reforge") == families_on("forge") == ("sd1", "sdxl", "sd3", "flux1")
    assert families_on("neo") == ("sd1", "sdxl", "flux1", "flux2", "wan21", "qwen")
    assert all(HOSTS[host].families == families_on(host) for host in HOST_IDS)


def test_a_host_needs_fewer_text_encoders_if_it_can_do_without() -> None:
    assert ENGINES["sd3"].needed("a1111") == ("clip-l", "clip-g")
    assert ENGINES["sd3"].needed("forge") == ("clip-l", "clip-g", "t5xxl")
    assert ENGINES["qwen-image"].needed("neo") == ("qwen2.5-vl-7b",)


def test_a_class_has_the_families_of_its_engines() -> None:
    assert families_of_class("Chroma") == ("flux1",)
    assert families_of_class("PiD") == ("sdxl", "flux1", "flux2", "qwen")
    assert families_of_class("LatentDiffusion") == ()
