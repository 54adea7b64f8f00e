"""Torch's pickles, read without running or importing anything: what tensors they hold, and where the bytes lie."""

from .torch_reader import is_torch_file, read_torch

__all__ = ["is_torch_file", "read_torch"]
