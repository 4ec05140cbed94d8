"""Another photo laid, smaller, over the picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from asl_fast.edits.compositing.lettering import placed
from asl_fast.edits.patches import PhotoPatch
from asl_fast.edits.steps import Over, Size, Step


@dataclass(frozen=True, kw_only=True)
class Overlay:
    """other: as in Paste.  edge_share: of the picture's edges.  left, top: share of the free room."""

    other: float
    edge_share: float
    left: float
    top: float
    opacity: float
    degrees: float

    @classmethod
    def sample(cls, rng: np.random.Generator, strength: float) -> Self:
        other, left, top = rng.random(3).tolist()
        return cls(
            other=other,
            edge_share=float(rng.uniform(0.15, 0.2 + 0.5 * strength)),
            left=left,
            top=top,
            opacity=1.0 if rng.random() < 0.7 else float(rng.uniform(0.4, 1)),
            degrees=float(rng.uniform(-30, 30)) if rng.random() < 0.3 * strength else 0.0,
        )

    def steps(self, size: Size) -> list[Step]:
        width, height = (edge * self.edge_share for edge in size)
        left, top = self.left * (size[0] - width), self.top * (size[1] - height)
        return [Over(PhotoPatch(self.other), placed(left, top, width, height, self.degrees), self.opacity)]
