"""Imitates modules/sd_samplers.py, as far as previews are made through it."""

from __future__ import annotations

from modules import sd_samplers_common

samples_to_image_grid = sd_samplers_common.samples_to_image_grid
sample_to_image = sd_samplers_common.sample_to_image
