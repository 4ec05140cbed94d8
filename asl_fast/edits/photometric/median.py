"""Small detail smoothed away and edges kept: an app's "beauty" or painting filter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from asl_fast.edits.steps import MedianFilter, Size, Step


@dataclass(frozen=True, kw_only=True)
class Median:
    """edge_share: of the window, as a share of the shorter edge."""

    edge_share: float

    @classmethod
    def sample(cls, rng: np.random.Generator, strength: float) -> Self:
        return cls(edge_share=float(rng.uniform(0.01, 0.015 + 0.025 * strength)))

    def steps(self, size: Size) -> list[Step]:
        half = max(1, round(self.edge_share * min(size) / 2))
        return [MedianFilter(2 * half + 1)]
