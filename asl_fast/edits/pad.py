"""A frame of one colour around the picture, as screenshots and players add."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from PIL import Image

from asl_fast.edits.edit import Colour3, Pool, sample_colour


@dataclass(frozen=True, kw_only=True)
class Pad:
    """Widths of the frame as shares of the picture's width (left, right) and height (top, bottom)."""

    left: float
    top: float
    right: float
    bottom: float
    fill: Colour3
    visible_share = 1.0

    @classmethod
    def sample(cls, rng: np.random.Generator, strength: float) -> Self:
        left, top, right, bottom = rng.uniform(0, 0.4 * strength, 4) * (rng.random(4) < 0.6)
        return cls(
            left=float(left),
            top=float(top),
            right=float(right),
            bottom=float(bottom),
            fill=sample_colour(rng),
        )

    def apply(self, image: Image.Image, pool: Pool) -> Image.Image:
        left, right = (round(share * image.width) for share in (self.left, self.right))
        top, bottom = (round(share * image.height) for share in (self.top, self.bottom))
        framed = Image.new("RGB", (image.width + left + right, image.height + top + bottom), self.fill)
        framed.paste(image, (left, top))
        return framed
