"""Imitates Forge's modules/shared_init.py: fields of modules.shared. Types and device do not come from flags."""

from __future__ import annotations

from modules import shared


def initialize() -> None:
    from modules import devices, options, shared_options, shared_state

    shared.options_templates = shared_options.options_templates
    shared.restricted_opts = shared_options.restricted_opts
    shared.opts = options.Options(shared_options.options_templates, shared_options.restricted_opts)
    shared.opts.load(shared.config_filename)
    shared.device = devices.device
    shared.weight_load_location = None if shared.cmd_opts.lowram else "cpu"
    shared.state = shared_state.State()
