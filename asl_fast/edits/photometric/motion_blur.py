"""Smeared along a line, as by a moving camera."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from asl_fast.edits.steps import Convolve, Size, Step

_MAX_HALF_PX = 4  # longer smears are made of several of this length: a kernel's cost grows with its square


@dataclass(frozen=True, kw_only=True)
class MotionBlur:
    """length_share: of the shorter edge.  degrees: direction of the line."""

    length_share: float
    degrees: float

    @classmethod
    def sample(cls, rng: np.random.Generator, strength: float) -> Self:
        return cls(
            length_share=float(rng.uniform(0.01, 0.01 + 0.06 * strength)), degrees=float(rng.uniform(0, 180))
        )

    def steps(self, size: Size) -> list[Step]:
        reach = self.length_share * min(size) / 2
        passes = max(1, round(reach / _MAX_HALF_PX))
        half = min(_MAX_HALF_PX, round(reach))
        if half < 1:
            return []
        kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
        along_N = np.linspace(-half, half, 8 * half + 1)
        angle = np.radians(self.degrees)
        np.add.at(
            kernel,
            (
                np.rint(half - along_N * np.sin(angle)).astype(int),
                np.rint(half + along_N * np.cos(angle)).astype(int),
            ),
            1,
        )
        return [Convolve(kernel / kernel.sum())] * min(passes, 4)
