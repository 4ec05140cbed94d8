"""Saved again as a JPEG of low quality."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Self

import numpy as np
from PIL import Image

from asl_fast.edits.edit import Pool


@dataclass(frozen=True, kw_only=True)
class Jpeg:
    """quality: of the usual 1..95 scale."""

    quality: int
    visible_share = 1.0

    @classmethod
    def sample(cls, rng: np.random.Generator, strength: float) -> Self:
        return cls(quality=int(rng.integers(round(80 - 70 * strength), 86)))

    def apply(self, image: Image.Image, pool: Pool) -> Image.Image:
        packed = io.BytesIO()
        image.save(packed, "JPEG", quality=self.quality)
        with Image.open(packed) as again:
            return again.convert("RGB")
