"""Histogram of the brightness made flatter: an app's "auto contrast"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from asl_fast.edits.steps import FlattenHistogram, Size, Step


@dataclass(frozen=True, kw_only=True)
class Equalise:
    """share: 1 = a flat histogram, 0 = as it was."""

    share: float

    @classmethod
    def sample(cls, rng: np.random.Generator, strength: float) -> Self:
        return cls(share=float(rng.uniform(0.3, 0.4 + 0.6 * strength)))

    def steps(self, size: Size) -> list[Step]:
        return [FlattenHistogram(self.share)]
