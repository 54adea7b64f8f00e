"""Which files are text encoders: by the tensors that Forge and Neo themselves go by (backend/loader.py
replace_state_dict)."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Final

__all__ = ["GGUF", "READ_WITHOUT_UNPICKLING", "is_gguf", "is_text_encoder"]

GGUF: Final = ".gguf"
"""Quantised text encoders; no VAE comes so."""
GGUF_MAGIC: Final = b"GGUF"
READ_WITHOUT_UNPICKLING: Final = (".safetensors", GGUF)
"""Extensions, in any case, of files that Forge's loader reads without an unpickler; it checks only the extension
(backend/utils.py load_torch_file)."""

_CLIP_LAYER: Final = "text_model.encoder.layers.0.layer_norm1.bias"
_OPEN_CLIP_LAYER: Final = "transformer.resblocks.0.ln_1.bias"
_CLIPS: Final = frozenset(
    {
        _CLIP_LAYER,
        f"cond_stage_model.transformer.{_CLIP_LAYER}",
        f"conditioner.embedders.0.transformer.{_CLIP_LAYER}",
        f"text_encoders.clip_l.transformer.{_CLIP_LAYER}",
        f"text_encoders.clip_g.transformer.{_CLIP_LAYER}",
        _OPEN_CLIP_LAYER,
        f"conditioner.embedders.0.model.{_OPEN_CLIP_LAYER}",
        f"conditioner.embedders.1.model.{_OPEN_CLIP_LAYER}",
        f"cond_stage_model.model.{_OPEN_CLIP_LAYER}",
        "cond_stage_model.model.ln_final.weight",
    }
)
_T5: Final = frozenset(
    {
        "encoder.block.0.layer.0.SelfAttention.k.weight",
        "encoder.block.0.layer.0.SelfAttention.k.qweight",
        "enc.blk.0.attn_k.weight",
    }
)
_LANGUAGE_MODELS: Final = frozenset(
    {
        "model.layers.0.post_attention_layernorm.weight",  # Llama, Mistral, Qwen, Gemma
        "model.layers.0.post_feedforward_layernorm.weight",
        "model.layers.0.self_attn.k_proj.bias",
        "model.visual.deepstack_merger_list.0.norm.weight",
        "visual.blocks.0.attn.proj.weight",
    }
)
_ENCODERS: Final = _CLIPS | _T5 | _LANGUAGE_MODELS
_VAES: Final = frozenset(
    {
        "decoder.conv_in.weight",
        "decoder.conv_in.conv.weight",
        "decoder.middle.0.residual.0.gamma",
        "first_stage_model.decoder.conv_in.weight",
        "vae.decoder.conv_in.weight",
        "decoder.up_blocks.0.resnets.0.norm1.weight",
    }
)
"""Keys of tensors that Forge loads into the model's VAE too, unchecked."""


def is_text_encoder(tensors: Collection[str]) -> bool:
    """Return True for a text encoder without tensors of a VAE."""
    return not _ENCODERS.isdisjoint(tensors) and _VAES.isdisjoint(tensors)


def is_gguf(path: Path) -> bool:
    """Decide by extension and content: Forge checks the extension, its reader the content."""
    if path.suffix.lower() != GGUF:
        return False
    try:
        with path.open("rb") as file:
            return file.read(len(GGUF_MAGIC)) == GGUF_MAGIC
    except OSError:
        return False
