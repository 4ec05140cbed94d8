"""A frame of one colour around the picture, as screenshots and players add."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from asl_fast.edits.edit import sample_colour
from asl_fast.edits.geometry import framed
from asl_fast.edits.steps import Colour3, Size, Step


@dataclass(frozen=True, kw_only=True)
class Pad:
    """Widths of the frame as shares of the picture's width (left, right) and height (top, bottom)."""

    left: float
    top: float
    right: float
    bottom: float
    fill: Colour3

    @classmethod
    def sample(cls, rng: np.random.Generator, strength: float) -> Self:
        left, top, right, bottom = (rng.uniform(0, 0.4 * strength, 4) * (rng.random(4) < 0.6)).tolist()
        return cls(left=left, top=top, right=right, bottom=bottom, fill=sample_colour(rng))

    def steps(self, size: Size) -> list[Step]:
        left, right = (round(share * size[0]) for share in (self.left, self.right))
        top, bottom = (round(share * size[1]) for share in (self.top, self.bottom))
        return [framed(size, left, top, right, bottom, self.fill)]
