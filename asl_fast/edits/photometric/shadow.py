"""A soft shadow over one side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from asl_fast.edits.steps import Shade, Size, Step

_GRID = 24


@dataclass(frozen=True, kw_only=True)
class Shadow:
    """The side of a line through (x, y), in shares, that looks to `degrees` is darkened to `light`.

    softness: width of the border, as a share of the picture.
    """

    x: float
    y: float
    degrees: float
    light: float
    softness: float

    @classmethod
    def sample(cls, rng: np.random.Generator, strength: float) -> Self:
        x, y = rng.uniform(0.2, 0.8, 2).tolist()
        return cls(
            x=x,
            y=y,
            degrees=float(rng.uniform(0, 360)),
            light=1 - float(rng.uniform(0.15, 0.15 + 0.6 * strength)),
            softness=float(rng.uniform(0.08, 0.4)),
        )

    def steps(self, size: Size) -> list[Step]:
        place_G = (np.arange(_GRID) + 0.5) / _GRID
        angle = np.radians(self.degrees)
        far_GG = (place_G - self.x) * np.cos(angle) - (place_G[:, None] - self.y) * np.sin(angle)
        dark_GG = np.clip(far_GG / self.softness + 0.5, 0, 1)
        return [Shade((1 - dark_GG * (1 - self.light)).astype(np.float32))]
