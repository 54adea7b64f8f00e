"""Inputs for the two readers, by the thousand: from a seed, so that each can be made again."""

from .checks import Outcome, check_header, check_torch, compare_with_torch
from .headers import a_header
from .pickles import a_torch_file

__all__ = ["Outcome", "a_header", "a_torch_file", "check_header", "check_torch", "compare_with_torch"]
