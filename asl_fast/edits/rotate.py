"""Turned by any angle or by a quarter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from PIL import Image

from asl_fast.edits.edit import Colour3, Pool, sample_colour

_MAX_DEGREES = 50  # of the BoT chain


@dataclass(frozen=True, kw_only=True)
class Rotate:
    """Turned counter-clockwise; the canvas grows to hold all of it, its corners are filled."""

    degrees: float
    fill: Colour3
    visible_share = 1.0

    @classmethod
    def sample(cls, rng: np.random.Generator, strength: float) -> Self:
        quarter = rng.random() < 0.25 * strength
        degrees = (
            float(rng.choice((90.0, 180.0, 270.0)))
            if quarter
            else rng.uniform(-1, 1) * strength * _MAX_DEGREES
        )
        return cls(degrees=degrees, fill=sample_colour(rng))

    def apply(self, image: Image.Image, pool: Pool) -> Image.Image:
        return image.rotate(
            self.degrees, resample=Image.Resampling.BILINEAR, expand=True, fillcolor=self.fill
        )
