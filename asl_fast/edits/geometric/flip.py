"""Mirror image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from asl_fast.edits.geometry import scaling, shift
from asl_fast.edits.steps import Size, Step, Warp


@dataclass(frozen=True, kw_only=True)
class Flip:
    """Left-right, rarely upside down."""

    upside_down: bool

    @classmethod
    def sample(cls, rng: np.random.Generator, strength: float) -> Self:
        return cls(upside_down=bool(rng.random() < 0.15 * strength))

    def steps(self, size: Size) -> list[Step]:
        width, height = size
        if self.upside_down:
            return [Warp(shift(0, height) @ scaling(1, -1), size)]
        return [Warp(shift(width, 0) @ scaling(-1, 1), size)]
