"""Corners darker than the middle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from asl_fast.edits.steps import Shade, Size, Step

_GRID = 24


@dataclass(frozen=True, kw_only=True)
class Vignette:
    """light: what is left of the brightness in the corners."""

    light: float

    @classmethod
    def sample(cls, rng: np.random.Generator, strength: float) -> Self:
        return cls(light=float(rng.uniform(1 - 0.95 * strength, 1 - 0.2 * strength)))

    def steps(self, size: Size) -> list[Step]:
        place_G = (2 * np.arange(_GRID) + 1) / _GRID - 1
        square_GG = (place_G**2 + place_G[:, None] ** 2) / 2
        return [Shade((1 - square_GG * (1 - self.light)).astype(np.float32))]
