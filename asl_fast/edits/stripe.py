"""An opaque bar across the picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from PIL import Image

from asl_fast.edits.edit import Colour3, Pool, sample_colour


@dataclass(frozen=True, kw_only=True)
class Stripe:
    """start, width: shares of the height (of the width if upright)."""

    upright: bool
    start: float
    width: float
    fill: Colour3

    @property
    def visible_share(self) -> float:
        return 1 - self.width

    @classmethod
    def sample(cls, rng: np.random.Generator, strength: float) -> Self:
        width = rng.uniform(0.03, 0.03 + 0.32 * strength)
        start = rng.uniform(0, 1 - width)
        upright = bool(rng.random() < 0.5)
        return cls(upright=upright, start=float(start), width=float(width), fill=sample_colour(rng))

    def apply(self, image: Image.Image, pool: Pool) -> Image.Image:
        begin, end = self.start, self.start + self.width
        box = (begin, 0.0, end, 1.0) if self.upright else (0.0, begin, 1.0, end)
        striped = image.copy()
        edges = (*image.size, *image.size)
        left, top, right, bottom = (round(share * edge) for share, edge in zip(box, edges, strict=True))
        if right > left and bottom > top:
            striped.paste(self.fill, (left, top, right, bottom))
        return striped
