"""Imitates modules/shared_init.py: fills the fields of modules.shared, before anything else needs them."""

from __future__ import annotations

import torch

from modules import shared


def initialize() -> None:
    """Options from config.json, the device and its types, the state of the running job."""
    from modules import devices, options, shared_options, shared_state

    shared.options_templates = shared_options.options_templates
    shared.restricted_opts = shared_options.restricted_opts
    shared.opts = options.Options(shared_options.options_templates, shared_options.restricted_opts)
    shared.opts.load(shared.config_filename)

    devices.device = devices.cpu
    half = not shared.cmd_opts.no_half
    devices.dtype = torch.float16 if half else torch.float32
    devices.dtype_vae = torch.float16 if half and not shared.cmd_opts.no_half_vae else torch.float32
    shared.device = devices.device
    shared.weight_load_location = None if shared.cmd_opts.lowram else "cpu"
    shared.state = shared_state.State()
