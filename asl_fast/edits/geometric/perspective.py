"""Seen from the side, as a photo of a screen or a print is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from asl_fast.edits.edit import sample_colour
from asl_fast.edits.geometry import corners, onto_whole_canvas, scaling, to_quad
from asl_fast.edits.steps import Colour3, Size, Step, Warp

_MOST = 0.3  # below a half, so that the four corners always stay convex


@dataclass(frozen=True, kw_only=True)
class Perspective:
    """inward: how far each corner moves to the middle, as shares of width and height (8 numbers)."""

    inward: tuple[float, float, float, float, float, float, float, float]
    fill: Colour3

    @classmethod
    def sample(cls, rng: np.random.Generator, strength: float) -> Self:
        a, b, c, d, e, f, g, h = (rng.uniform(0, _MOST, 8) * strength).tolist()
        return cls(inward=(a, b, c, d, e, f, g, h), fill=sample_colour(rng))

    def steps(self, size: Size) -> list[Step]:
        to_middle_42 = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])
        quad_42 = corners((1, 1)) + to_middle_42 * np.reshape(self.inward, (4, 2))
        matrix = scaling(*size) @ to_quad(quad_42) @ scaling(1 / size[0], 1 / size[1])
        return [Warp(*onto_whole_canvas(matrix, size), self.fill)]
