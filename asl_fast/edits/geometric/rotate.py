"""Turned by any angle or by a quarter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from asl_fast.edits.edit import sample_colour
from asl_fast.edits.geometry import onto_whole_canvas, turn
from asl_fast.edits.steps import Colour3, Size, Step, Warp

_MAX_DEGREES = 50  # of the BoT chain


@dataclass(frozen=True, kw_only=True)
class Rotate:
    """Turned counter-clockwise; the canvas grows to hold all of it, its corners are filled."""

    degrees: float
    fill: Colour3

    @classmethod
    def sample(cls, rng: np.random.Generator, strength: float) -> Self:
        quarter = rng.random() < 0.25 * strength
        degrees = (
            float(rng.choice((90.0, 180.0, 270.0)))
            if quarter
            else rng.uniform(-1, 1) * strength * _MAX_DEGREES
        )
        return cls(degrees=degrees, fill=sample_colour(rng))

    def steps(self, size: Size) -> list[Step]:
        return [Warp(*onto_whole_canvas(turn(self.degrees), size), self.fill)]
