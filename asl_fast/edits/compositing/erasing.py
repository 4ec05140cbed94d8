"""Boxes taken out: filled with one colour or with noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from asl_fast.edits.compositing.areas import rectangle
from asl_fast.edits.edit import sample_colour, sample_seed
from asl_fast.edits.steps import Colour3, Erase, Size, Step


@dataclass(frozen=True, kw_only=True)
class Erasing:
    """boxes: (left, top, width, height) of each, in shares.  noise: instead of the colour."""

    boxes: tuple[tuple[float, float, float, float], ...]
    fill: Colour3
    noise: bool
    seed: int

    @classmethod
    def sample(cls, rng: np.random.Generator, strength: float) -> Self:
        boxes = []
        for _ in range(rng.integers(1, 2 + round(3 * strength))):
            width, height = rng.uniform(0.05, 0.1 + 0.35 * strength, 2).tolist()
            left, top = rng.random(2).tolist()
            boxes.append((left * (1 - width), top * (1 - height), width, height))
        return cls(
            boxes=tuple(boxes), fill=sample_colour(rng), noise=bool(rng.random() < 0.4), seed=sample_seed(rng)
        )

    def steps(self, size: Size) -> list[Step]:
        polygons = tuple(polygon for box in self.boxes for polygon in rectangle(size, *box))
        return [Erase(polygons, self.fill, self.seed if self.noise else None)]
