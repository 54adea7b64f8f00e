"""Putting a VAE's weights into the loaded model: whether it can work at all."""

from .check import fit

__all__ = ["fit"]
