"""The VAE folders of this WebUI: their files, and the operations on them.

Importing the package loads only the listing. Callers import the modules that open files (`index`, `family_evidence`,
`moving`, `trash`) when they need them, since the WebUI's start does not.
"""

from .folders import Folder, VaeFile, collisions, scan

__all__ = ["Folder", "VaeFile", "collisions", "scan"]
