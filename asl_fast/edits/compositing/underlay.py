"""Another photo that shines through from under the picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from asl_fast.edits.patches import PhotoPatch
from asl_fast.edits.steps import Onto, Size, Step


@dataclass(frozen=True, kw_only=True)
class Underlay:
    """other: as in Paste.  opacity: of the picture itself."""

    other: float
    opacity: float

    @classmethod
    def sample(cls, rng: np.random.Generator, strength: float) -> Self:
        return cls(other=float(rng.random()), opacity=1 - float(rng.uniform(0.05, 0.05 + 0.4 * strength)))

    def steps(self, size: Size) -> list[Step]:
        return [Onto(PhotoPatch(self.other), np.eye(3), size, self.opacity)]
