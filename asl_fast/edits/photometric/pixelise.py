"""Large square pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from asl_fast.edits.steps import Mosaic, Size, Step


@dataclass(frozen=True, kw_only=True)
class Pixelise:
    """ratio: cells along an edge, as a share of its pixels."""

    ratio: float

    @classmethod
    def sample(cls, rng: np.random.Generator, strength: float) -> Self:
        return cls(ratio=float(rng.uniform(1 - 0.9 * strength, 1)))

    def steps(self, size: Size) -> list[Step]:
        cells = (max(1, round(size[0] * self.ratio)), max(1, round(size[1] * self.ratio)))
        return [] if cells == size else [Mosaic(cells)]
