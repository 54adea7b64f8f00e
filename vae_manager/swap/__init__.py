"""The swap of a VAE's weights in the loaded model: the check that they fit, the memory cache, and the exchange.

torch is imported at the first use.
"""

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
