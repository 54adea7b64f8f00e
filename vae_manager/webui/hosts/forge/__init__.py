"""Stable Diffusion WebUI Forge."""
