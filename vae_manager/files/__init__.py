"""A single file: its name, header, layout and hash. No module here needs torch or runs code of a file."""

from ..catalogue.entry import VAE_SUFFIXES, is_vae_file_name, safe_file_name
from .headers import Header, TensorInfo, TensorSpec, TensorTable, read_header
from .inspection import inspect, inspect_beginning, inspect_ranges
from .pickle_values import printable_name
from .record import Container, FileRecord, Identity, Problem, identity_of, sha256_of
from .tensor_data import chunks, find_nan, read_contents

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
    "inspect_ranges",
    "is_vae_file_name",
    "printable_name",
    "read_contents",
    "read_header",
    "safe_file_name",
    "sha256_of",
]
