"""Imitates Forge's modules/safe.py: `torch.load` stays what it is, so pickles run what they name."""

from __future__ import annotations

import torch

unsafe_torch_load = torch.load
