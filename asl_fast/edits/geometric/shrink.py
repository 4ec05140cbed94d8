"""A thumbnail: the picture made smaller, its detail lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from asl_fast.edits.geometry import resized
from asl_fast.edits.steps import Size, Step


@dataclass(frozen=True, kw_only=True)
class Shrink:
    """edge_share: of the picture's edges that is left."""

    edge_share: float

    @classmethod
    def sample(cls, rng: np.random.Generator, strength: float) -> Self:
        return cls(edge_share=float(rng.uniform(1 - 0.8 * strength, 1 - 0.2 * strength)))

    def steps(self, size: Size) -> list[Step]:
        new = (max(1, round(size[0] * self.edge_share)), max(1, round(size[1] * self.edge_share)))
        return [] if new == size else [resized(size, new)]
