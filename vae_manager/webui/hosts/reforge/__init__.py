"""reForge (Panchovix/stable-diffusion-webui-reForge). Line numbers in this folder are those of its 3b56b268.

It has A1111's choice, options and cards, and the same functions for a VAE, but their effect on the model differs: the
VAE is that of a wrapper (`forge_objects.vae`), runs in the wrapper's precision, and is not hijacked.
"""
