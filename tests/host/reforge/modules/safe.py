"""As modules/safe.py of reForge: `torch.load` is left as it is."""

from __future__ import annotations

import torch

unsafe_torch_load = torch.load
