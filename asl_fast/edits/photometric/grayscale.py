"""Colour taken away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from asl_fast.edits.photometric.matrices import saturated, together
from asl_fast.edits.steps import Recolour, Size, Step

_LUMA = together(saturated(0))


@dataclass(frozen=True, kw_only=True)
class Grayscale:
    """Luma in all three channels."""

    @classmethod
    def sample(cls, rng: np.random.Generator, strength: float) -> Self:
        return cls()

    def steps(self, size: Size) -> list[Step]:
        return [Recolour(_LUMA)]
