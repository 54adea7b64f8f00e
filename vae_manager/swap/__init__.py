"""Putting a VAE's weights into the loaded model: what fits, what is kept, and the exchange. torch is not imported until
then."""

from .check import fit
from .exchange import places
from .latent_space import LatentTest, latent_test, sample_picture
from .reading import read_safetensors
from .swapper import Swapper, builtin_of

__all__ = ["LatentTest", "Swapper", "builtin_of", "fit", "latent_test", "places", "read_safetensors", "sample_picture"]
