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
    flags = shared.cmd_opts
    devices.dtype = torch.float32 if flags.no_half else torch.float16
    devices.dtype_vae = torch.float32 if flags.no_half or flags.no_half_vae else torch.float16
    devices.dtype_inference = torch.float32 if flags.precision == "full" else devices.dtype
    if flags.precision == "half":
        kinds = (devices.dtype, devices.dtype_vae, devices.dtype_inference)
        assert set(kinds) == {torch.float16}, "--no-half and --no-half-vae conflict with --precision half"
        devices.force_fp16 = True
    shared.device = devices.device
    shared.weight_load_location = None if shared.cmd_opts.lowram else "cpu"
    shared.state = shared_state.State()
