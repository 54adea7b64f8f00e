"""Putting a VAE's weights into the loaded model: what fits, what is kept, and the exchange. torch is not imported until
then."""

from .swapper import Swapper, builtin_of
from .weight_reader import read_every_tensor, read_renamed, read_safetensors, read_vae, require_usable, table_of
from .weights import LatentTest, latent_test, named_tensors, sample_picture

__all__ = [
    "LatentTest",
    "Swapper",
    "builtin_of",
    "latent_test",
    "named_tensors",
    "read_every_tensor",
    "read_renamed",
    "read_safetensors",
    "read_vae",
    "require_usable",
    "sample_picture",
    "table_of",
]
