"""Names of files, as the layers above see them; the rules live with the catalogue, which needs them too."""

from ..catalogue.names import VAE_SUFFIXES, is_vae_file_name, safe_file_name

__all__ = ["VAE_SUFFIXES", "is_vae_file_name", "safe_file_name"]
