"""Putting a VAE's weights into the loaded model: what fits, what is kept, and the exchange. torch is not imported until
then."""

from .check import fit, renamed_vae
from .exchange import places
from .latent_space import LatentTest, latent_test, sample_picture
from .reading import read_renamed, read_safetensors
from .swapper import Swapper, builtin_of

__all__ = [
    "LatentTest",
    "Swapper",
    "builtin_of",
    "fit",
    "latent_test",
    "places",
    "read_renamed",
    "read_safetensors",
    "renamed_vae",
    "sample_picture",
]
