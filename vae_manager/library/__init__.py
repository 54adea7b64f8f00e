"""The VAE folders of this WebUI: what is in them, and what can be done with it.

Only the listing is here: what opens files (`index`, `duplicates`, `families`, `moving`, `trash`) is imported by who
needs it, since the WebUI's start does not.
"""

from .folders import Folder, VaeFile, collisions, scan

__all__ = ["Folder", "VaeFile", "collisions", "scan"]
