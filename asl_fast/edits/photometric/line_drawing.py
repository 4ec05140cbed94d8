"""Edges only: thin and binary, of a randomised detector (rBTE, Efthymiadis et al. 2022)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from asl_fast.edits.steps import Colour3, DrawEdges, Size, Step

DETECTORS = ("canny", "gradient")


@dataclass(frozen=True, kw_only=True)
class LineDrawing:
    """detector: one of DETECTORS.  smoothing_share: sigma of the blur before it, of the shorter edge.

    low, high: of hysteresis, as shares of the strongest edge.  thickness_share: of the lines.
    """

    detector: str
    smoothing_share: float
    low: float
    high: float
    thickness_share: float
    ink: Colour3
    paper: Colour3

    def __post_init__(self) -> None:
        if self.detector not in DETECTORS:
            raise ValueError(
                f"LineDrawing: detector must be one of {', '.join(DETECTORS)}, got {self.detector!r}"
            )

    @classmethod
    def sample(cls, rng: np.random.Generator, strength: float) -> Self:
        high = float(rng.uniform(0.25, 0.6))
        grey = int(rng.integers(0, 60))
        ink, paper = (grey, grey, grey), (255, 255, 255)
        if rng.random() < 0.15:
            ink, paper = paper, ink
        return cls(
            detector=DETECTORS[rng.integers(2)],
            smoothing_share=float(rng.uniform(0.003, 0.01)),
            low=high * float(rng.uniform(0.6, 0.9)),
            high=high,
            thickness_share=float(rng.uniform(0.002, 0.002 + 0.006 * strength)),
            ink=ink,
            paper=paper,
        )

    def steps(self, size: Size) -> list[Step]:
        short = min(size)
        thickness = max(1, min(9, round(self.thickness_share * short)))
        sigma = self.smoothing_share * short
        return [DrawEdges(self.detector, sigma, self.low, self.high, thickness, self.ink, self.paper)]
