"""Gaussian blur."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from asl_fast.edits.steps import GaussianBlur, Size, Step

_MAX_SHARE = 0.02


@dataclass(frozen=True, kw_only=True)
class Blur:
    """radius_share: standard deviation as a share of the shorter edge, so it looks alike at every size."""

    radius_share: float

    @classmethod
    def sample(cls, rng: np.random.Generator, strength: float) -> Self:
        return cls(radius_share=float(rng.uniform(0.15, 1) * strength * _MAX_SHARE))

    def steps(self, size: Size) -> list[Step]:
        return [GaussianBlur(self.radius_share * min(size))]
