"""Imitates modules/upscaler.py: the three upscalers of pictures that need no model."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image


@dataclass
class Upscaler:
    """Enlarges by one filter; None leaves the picture as it is, so that the last resizing does it all."""

    name: str
    resample: Image.Resampling | None

    def upscale(self, img: Image.Image, scale: float, selected_model: str | None = None) -> Image.Image:
        """To sides that are multiples of eight."""
        width, height = (int(side * scale) // 8 * 8 for side in img.size)
        if self.resample is not None:
            img = img.resize((int(img.width * scale), int(img.height * scale)), self.resample)
        return img if img.size == (width, height) else img.resize((width, height), Image.Resampling.LANCZOS)


@dataclass
class UpscalerData:
    name: str
    data_path: str | None
    scaler: Upscaler
    scale: int = 4


def load_upscalers() -> list[UpscalerData]:
    """What modelloader.load_upscalers finds where no models are."""
    filters = {"None": None, "Lanczos": Image.Resampling.LANCZOS, "Nearest": Image.Resampling.NEAREST}
    return [UpscalerData(name, None, Upscaler(name, resample)) for name, resample in filters.items()]
