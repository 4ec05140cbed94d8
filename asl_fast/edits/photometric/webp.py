"""Saved again as a lossy WebP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from asl_fast.edits.steps import Recompress, Size, Step


@dataclass(frozen=True, kw_only=True)
class Webp:
    """quality: of the usual 1..100 scale."""

    quality: int

    @classmethod
    def sample(cls, rng: np.random.Generator, strength: float) -> Self:
        return cls(quality=int(rng.integers(round(70 - 68 * strength), 81)))

    def steps(self, size: Size) -> list[Step]:
        return [Recompress("webp", self.quality)]
