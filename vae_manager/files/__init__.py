"""What one file is: its name, its header, its layout, its hash. Nothing here needs torch, nor runs what a file says."""

from ..catalogue.file_names import VAE_SUFFIXES, is_vae_file_name, safe_file_name
from .headers import Header, TensorInfo, read_header
from .identity import Identity, identity_of, sha256_of
from .inspection import inspect, inspect_beginning
from .pickles.pickle_values import shown
from .record import Container, FileRecord, Problem
from .tensor_reader import chunks, read_contents
from .tensor_table import TensorSpec, TensorTable
from .weight_checks import find_nan

__all__ = [
    "VAE_SUFFIXES",
    "Container",
    "FileRecord",
    "Header",
    "Identity",
    "Problem",
    "TensorInfo",
    "TensorSpec",
    "TensorTable",
    "chunks",
    "find_nan",
    "identity_of",
    "inspect",
    "inspect_beginning",
    "is_vae_file_name",
    "read_contents",
    "read_header",
    "safe_file_name",
    "sha256_of",
    "shown",
]
