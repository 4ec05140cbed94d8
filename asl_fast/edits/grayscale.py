"""Colour taken away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from PIL import Image

from asl_fast.edits.edit import Pool


@dataclass(frozen=True, kw_only=True)
class Grayscale:
    """Luma in all three channels."""

    visible_share = 1.0

    @classmethod
    def sample(cls, rng: np.random.Generator, strength: float) -> Self:
        return cls()

    def apply(self, image: Image.Image, pool: Pool) -> Image.Image:
        return image.convert("L").convert("RGB")
