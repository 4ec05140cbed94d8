"""Edges made harder, as cameras and apps do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from asl_fast.edits.steps import Convolve, Size, Step

_BLUR = np.outer((1, 2, 1), (1, 2, 1)).astype(np.float32) / 16


@dataclass(frozen=True, kw_only=True)
class Sharpen:
    """amount: how much of the difference from a 3 x 3 blur is added."""

    amount: float

    @classmethod
    def sample(cls, rng: np.random.Generator, strength: float) -> Self:
        return cls(amount=float(rng.uniform(0.3, 0.5 + 4 * strength)))

    def steps(self, size: Size) -> list[Step]:
        kernel = -self.amount * _BLUR
        kernel[1, 1] += 1 + self.amount
        return [Convolve(kernel.astype(np.float32))]
