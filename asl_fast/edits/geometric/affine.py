"""Sheared and stretched along a slanted direction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from asl_fast.edits.edit import sample_colour
from asl_fast.edits.geometry import onto_whole_canvas
from asl_fast.edits.steps import Colour3, Size, Step, Warp


@dataclass(frozen=True, kw_only=True)
class Affine:
    """shear_x, shear_y: how far a point moves per unit of the other axis; scale_x, scale_y: factors."""

    shear_x: float
    shear_y: float
    scale_x: float
    scale_y: float
    fill: Colour3

    @classmethod
    def sample(cls, rng: np.random.Generator, strength: float) -> Self:
        shear_x, shear_y = rng.uniform(-0.5, 0.5, 2) * strength
        scale_x, scale_y = np.exp(rng.uniform(-0.4, 0.4, 2) * strength)
        return cls(
            shear_x=float(shear_x),
            shear_y=float(shear_y),
            scale_x=float(scale_x),
            scale_y=float(scale_y),
            fill=sample_colour(rng),
        )

    def steps(self, size: Size) -> list[Step]:
        matrix = np.array(
            [
                [self.scale_x, self.shear_x * self.scale_x, 0],
                [self.shear_y * self.scale_y, self.scale_y, 0],
                [0, 0, 1],
            ]
        )
        return [Warp(*onto_whole_canvas(matrix, size), self.fill)]
