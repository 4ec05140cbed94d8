"""Saved again as a JPEG of low quality."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from asl_fast.edits.steps import Recompress, Size, Step


@dataclass(frozen=True, kw_only=True)
class Jpeg:
    """quality: of the usual 1..95 scale."""

    quality: int

    @classmethod
    def sample(cls, rng: np.random.Generator, strength: float) -> Self:
        return cls(quality=int(rng.integers(round(80 - 70 * strength), 86)))

    def steps(self, size: Size) -> list[Step]:
        return [Recompress("jpeg", self.quality)]
