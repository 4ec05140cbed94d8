"""The tone filters of photo apps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from asl_fast.edits.photometric.matrices import LUMA_3, brighter, saturated, together
from asl_fast.edits.steps import Lookup, Recolour, Size, Step

FILTERS = ("sepia", "warm", "cold", "faded", "cross", "duotone", "negative")
_GAINS = {"warm": (1.15, 1.0, 0.8), "cold": (0.82, 1.0, 1.18)}


@dataclass(frozen=True, kw_only=True)
class Tone:
    """filter: one of FILTERS.  amount: 0 = none of it, 1 = all."""

    filter: str
    amount: float

    def __post_init__(self) -> None:
        if self.filter not in FILTERS:
            raise ValueError(f"Tone: filter must be one of {', '.join(FILTERS)}, got {self.filter!r}")

    @classmethod
    def sample(cls, rng: np.random.Generator, strength: float) -> Self:
        name = FILTERS[rng.integers(len(FILTERS) if strength > 0.5 else 4)]
        return cls(filter=name, amount=float(rng.uniform(0.3, 0.4 + 0.6 * strength)))

    def steps(self, size: Size) -> list[Step]:
        if self.filter == "cross":
            return [Lookup(self._crossed())]
        keep = brighter(1 - self.amount, 0)[:3]
        return [Recolour((keep + self.amount * self._full()).astype(np.float32))]

    def _full(self) -> np.ndarray:
        """(3, 4) matrix of the whole filter."""
        if self.filter == "negative":
            return brighter(-1, 255)[:3]
        if self.filter == "faded":
            return together(saturated(0.5), brighter(0.7, 60))
        if self.filter == "sepia":
            return np.outer((1.1, 0.95, 0.72, 0), (*LUMA_3, 0))[:3]
        if self.filter == "duotone":  # dark blue to pale yellow
            return np.hstack([np.outer((0.9, 0.8, 0.35), LUMA_3), [[25], [20], [90]]])
        return np.hstack([np.diag(_GAINS[self.filter]), np.zeros((3, 1))])

    def _crossed(self) -> np.ndarray:
        """(256, 3): red and green with more contrast, blue with less, as slide film in the wrong bath."""
        value_256 = np.linspace(0, 1, 256)
        steep_256 = value_256 * value_256 * (3 - 2 * value_256)
        full_256x3 = np.stack([steep_256, steep_256, 0.25 + 0.5 * value_256], 1)
        mixed_256x3 = (1 - self.amount) * value_256[:, None] + self.amount * full_256x3
        return np.rint(255 * mixed_256x3).astype(np.uint8)
