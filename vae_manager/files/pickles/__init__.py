"""Torch's pickles, read without running or importing anything: what tensors they hold, and where the bytes lie."""

from .reading import is_torch_file, read_torch

__all__ = ["is_torch_file", "read_torch"]
