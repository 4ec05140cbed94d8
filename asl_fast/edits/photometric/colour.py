"""Brightness, contrast, saturation and hue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from asl_fast.edits.photometric.matrices import brighter, hue_turned, saturated, together
from asl_fast.edits.steps import Recolour, Size, Step


@dataclass(frozen=True, kw_only=True)
class Colour:
    """Factors, 1 = unchanged; hue in degrees. Contrast is about the middle grey."""

    brightness: float
    contrast: float
    saturation: float
    hue: float

    @classmethod
    def sample(cls, rng: np.random.Generator, strength: float) -> Self:
        brightness, contrast = np.exp(rng.uniform(-0.6, 0.6, 2) * strength).tolist()
        saturation = float(np.exp(rng.uniform(-1.2, 0.8) * strength))
        hue = rng.uniform(-1, 1) * 60 * strength**2
        return cls(brightness=brightness, contrast=contrast, saturation=saturation, hue=hue)

    def steps(self, size: Size) -> list[Step]:
        light = brighter(self.brightness * self.contrast, 127.5 * (1 - self.contrast))
        return [Recolour(together(light, hue_turned(self.hue), saturated(self.saturation)))]
