"""The VAE folders of this WebUI, and what is in them."""

from .folders import Folder, VaeFile, collisions, scan

__all__ = ["Folder", "VaeFile", "collisions", "scan"]
