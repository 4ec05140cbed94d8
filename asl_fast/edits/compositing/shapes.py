"""Opaque triangles, diamonds and discs drawn over the picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from asl_fast.edits.edit import sample_colour
from asl_fast.edits.steps import Colour3, Erase, Size, Step


@dataclass(frozen=True, kw_only=True)
class Shapes:
    """shapes: (x, y, radius, degrees, corners) of each regular polygon: middle and radius in shares."""

    shapes: tuple[tuple[float, float, float, float, int], ...]
    fill: Colour3

    @classmethod
    def sample(cls, rng: np.random.Generator, strength: float) -> Self:
        shapes = []
        for _ in range(rng.integers(1, 2 + round(4 * strength))):
            x, y, turned = rng.random(3).tolist()
            radius = float(rng.uniform(0.04, 0.08 + 0.15 * strength))
            shapes.append((x, y, radius, 360 * turned, (3, 4, 5, 6, 24)[rng.integers(5)]))
        return cls(shapes=tuple(shapes), fill=sample_colour(rng))

    def steps(self, size: Size) -> list[Step]:
        polygons = []
        for x, y, radius, degrees, corners in self.shapes:
            angle_C = np.radians(degrees) + 2 * np.pi * np.arange(corners) / corners
            around_C2 = np.stack([np.cos(angle_C), np.sin(angle_C)], 1)
            polygons.append(np.array([x * size[0], y * size[1]]) + radius * min(size) * around_C2)
        return [Erase(tuple(polygons), self.fill)]
