"""What one file is: its name, its header, its layout, its hash. Nothing here needs torch, nor runs what a file says."""

from .fingerprints import HashStore, sha256_of
from .headers import Header, TensorInfo, read_header
from .identity import Identity, identity_of
from .inspection import Container, Inspection, Problem, inspect
from .names import VAE_SUFFIXES, is_vae_file_name, safe_file_name

__all__ = [
    "VAE_SUFFIXES",
    "Container",
    "HashStore",
    "Header",
    "Identity",
    "Inspection",
    "Problem",
    "TensorInfo",
    "identity_of",
    "inspect",
    "is_vae_file_name",
    "read_header",
    "safe_file_name",
    "sha256_of",
]
