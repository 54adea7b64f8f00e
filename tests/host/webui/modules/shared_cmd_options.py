"""Imitates modules/shared_cmd_options.py: the parsed flags, and the two that follow from others."""

from __future__ import annotations

from modules import cmd_args, script_loading
from modules.paths_internal import extensions_dir

parser = cmd_args.parser
script_loading.preload_extensions(extensions_dir, parser)
cmd_opts = parser.parse_args()

cmd_opts.webui_is_non_local = any([cmd_opts.share, cmd_opts.listen, cmd_opts.ngrok, cmd_opts.server_name])
cmd_opts.disable_extension_access = cmd_opts.webui_is_non_local and not cmd_opts.enable_insecure_extension_access
