"""VAE Manager: VAEs as a solved problem for the AUTOMATIC1111 Stable Diffusion WebUI.

The core (all packages except `webui`) imports neither gradio, nor a host's `modules`, nor torch at import time. Its
import has no side effects: no folder is created, no request sent, no file hashed.
"""

__version__ = "0.2.0"
"""The only place of the version; pyproject.toml reads it here."""
