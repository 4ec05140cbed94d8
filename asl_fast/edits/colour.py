"""Brightness, contrast and saturation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from PIL import Image, ImageEnhance

from asl_fast.edits.edit import Pool


@dataclass(frozen=True, kw_only=True)
class Colour:
    """Factors, 1 = unchanged."""

    brightness: float
    contrast: float
    saturation: float
    visible_share = 1.0

    @classmethod
    def sample(cls, rng: np.random.Generator, strength: float) -> Self:
        brightness, contrast = np.exp(rng.uniform(-0.6, 0.6, 2) * strength)
        saturation = np.exp(rng.uniform(-1.2, 0.8) * strength)
        return cls(brightness=float(brightness), contrast=float(contrast), saturation=float(saturation))

    def apply(self, image: Image.Image, pool: Pool) -> Image.Image:
        image = ImageEnhance.Brightness(image).enhance(self.brightness)
        image = ImageEnhance.Contrast(image).enhance(self.contrast)
        return ImageEnhance.Color(image).enhance(self.saturation)
