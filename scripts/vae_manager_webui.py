"""Hands the WebUI's callbacks to vae_manager.webui. The WebUI executes this at its start and at each Reload UI."""

from vae_manager.webui.startup import script_for_this_host

VaeScript = script_for_this_host()
