"""VAE Manager: VAEs as a solved problem for the AUTOMATIC1111 Stable Diffusion WebUI.

The core (everything but `webui`) imports neither gradio, nor a host's `modules`, nor torch when it is imported, and
does no work then: no folder is made, no request sent, no file hashed.
"""

__version__ = "0.2.0"
"""The only place of the version; pyproject.toml reads it here."""
