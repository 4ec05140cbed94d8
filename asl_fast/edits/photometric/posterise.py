"""Few levels in each channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from asl_fast.edits.steps import Lookup, Size, Step


@dataclass(frozen=True, kw_only=True)
class Posterise:
    """levels: 2 or more."""

    levels: int

    @classmethod
    def sample(cls, rng: np.random.Generator, strength: float) -> Self:
        return cls(levels=int(rng.integers(round(16 - 14 * strength), 17)))

    def steps(self, size: Size) -> list[Step]:
        level_256 = np.arange(256) * self.levels // 256
        return [Lookup((level_256 * 255 / (self.levels - 1)).astype(np.uint8))]
