"""Brought to a size in pixels: the last of a chain is a model's input, an early one saves work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from asl_fast.edits.geometry import resized, shift
from asl_fast.edits.steps import Size, Step, Warp

WAYS = ("square", "middle", "within")


@dataclass(frozen=True, kw_only=True)
class Fit:
    """edge_px: of the square, or at least of the shorter edge that is left.

    way: "square" squashes the whole picture; "middle" takes the middle of the longer side; "within" keeps
    proportions and brings the shorter edge down to edge_px, never up.
    """

    edge_px: int
    way: str = "square"

    def __post_init__(self) -> None:
        if self.way not in WAYS or self.edge_px < 1:
            raise ValueError(
                f"Fit: way must be one of {', '.join(WAYS)} and edge_px 1 or more, "
                f"got {self.way!r} and {self.edge_px}"
            )

    @classmethod
    def sample(cls, rng: np.random.Generator, strength: float) -> Self:
        return cls(edge_px=224, way=WAYS[rng.integers(len(WAYS))])

    def steps(self, size: Size) -> list[Step]:
        short = min(size)
        if self.way == "within":
            if short <= self.edge_px:
                return []
            target = (round(size[0] * self.edge_px / short), round(size[1] * self.edge_px / short))
            return [resized(size, target)]
        steps: list[Step] = []
        if self.way == "middle" and size[0] != size[1]:
            steps.append(Warp(shift(-((size[0] - short) // 2), -((size[1] - short) // 2)), (short, short)))
            size = (short, short)
        target = (self.edge_px, self.edge_px)
        return steps if size == target else [*steps, resized(size, target)]
