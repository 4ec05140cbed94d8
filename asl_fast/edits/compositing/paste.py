"""The picture laid, smaller, onto another photo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from asl_fast.edits.geometry import canvas, shift
from asl_fast.edits.patches import PhotoPatch
from asl_fast.edits.steps import Onto, Size, Step


@dataclass(frozen=True, kw_only=True)
class Paste:
    """other: which photo of the pool, as a share of its length.  edge_share: of the canvas's edges.

    left, top: share of the free room.
    """

    other: float
    edge_share: float
    left: float
    top: float

    @classmethod
    def sample(cls, rng: np.random.Generator, strength: float) -> Self:
        other, left, top = rng.random(3).tolist()
        return cls(
            other=other, edge_share=1 - float(rng.uniform(0.05, 0.05 + 0.65 * strength)), left=left, top=top
        )

    def steps(self, size: Size) -> list[Step]:
        width, height = (max(1, round(edge / self.edge_share)) for edge in size)
        place = shift(round(self.left * (width - size[0])), round(self.top * (height - size[1])))
        return [Onto(PhotoPatch(self.other), *canvas(place, (width, height)))]
