"""Proportions changed, as when a picture is pressed into a frame of another shape."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np

from asl_fast.edits.geometry import canvas, scaling
from asl_fast.edits.steps import Size, Step, Warp


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """aspect: factor on width / height; the area stays."""

    aspect: float

    @classmethod
    def sample(cls, rng: np.random.Generator, strength: float) -> Self:
        return cls(aspect=float(np.exp(rng.uniform(-0.7, 0.7) * strength)))

    def steps(self, size: Size) -> list[Step]:
        root = math.sqrt(self.aspect)
        return [Warp(*canvas(scaling(root, 1 / root), (size[0] * root, size[1] / root)))]
