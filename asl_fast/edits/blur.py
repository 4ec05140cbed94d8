"""Gaussian blur."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from PIL import Image, ImageFilter

from asl_fast.edits.edit import Pool

_MAX_SHARE = 0.02


@dataclass(frozen=True, kw_only=True)
class Blur:
    """radius_share: standard deviation as a share of the shorter edge, so it looks alike at every size."""

    radius_share: float
    visible_share = 1.0

    @classmethod
    def sample(cls, rng: np.random.Generator, strength: float) -> Self:
        return cls(radius_share=float(rng.uniform(0.15, 1) * strength * _MAX_SHARE))

    def apply(self, image: Image.Image, pool: Pool) -> Image.Image:
        return image.filter(ImageFilter.GaussianBlur(self.radius_share * min(image.size)))
