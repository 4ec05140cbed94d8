"""An opaque bar across the picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from asl_fast.edits.compositing.areas import rectangle
from asl_fast.edits.edit import sample_colour
from asl_fast.edits.steps import Colour3, Erase, Size, Step


@dataclass(frozen=True, kw_only=True)
class Stripe:
    """start, width: shares of the height (of the width if upright)."""

    upright: bool
    start: float
    width: float
    fill: Colour3

    @classmethod
    def sample(cls, rng: np.random.Generator, strength: float) -> Self:
        width = float(rng.uniform(0.03, 0.03 + 0.32 * strength))
        start = float(rng.uniform(0, 1 - width))
        return cls(upright=bool(rng.random() < 0.5), start=start, width=width, fill=sample_colour(rng))

    def steps(self, size: Size) -> list[Step]:
        box = (self.start, 0.0, self.width, 1.0) if self.upright else (0.0, self.start, 1.0, self.width)
        return [Erase(rectangle(size, *box), self.fill)]
