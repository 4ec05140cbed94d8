"""Darks or lights spread out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from asl_fast.edits.steps import Lookup, Size, Step


@dataclass(frozen=True, kw_only=True)
class Gamma:
    """exponent: above 1 darkens."""

    exponent: float

    @classmethod
    def sample(cls, rng: np.random.Generator, strength: float) -> Self:
        return cls(exponent=float(np.exp(rng.uniform(-1, 1) * strength)))

    def steps(self, size: Size) -> list[Step]:
        return [Lookup(np.rint(255 * np.linspace(0, 1, 256) ** self.exponent).astype(np.uint8))]
