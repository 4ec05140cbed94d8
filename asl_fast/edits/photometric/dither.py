"""Few colours in a regular pattern (Bayer's), as old screens and GIFs have it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from asl_fast.edits.steps import Screen, Size, Step

_BAYER_2 = np.array([[0, 2], [3, 1]])
_BAYER_4 = np.block([[4 * _BAYER_2, 4 * _BAYER_2 + 2], [4 * _BAYER_2 + 3, 4 * _BAYER_2 + 1]])
_TILE = ((_BAYER_4 + 0.5) / 16).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Dither:
    """levels: of each channel, 2 or more.  grey: of the brightness alone."""

    levels: int
    grey: bool

    @classmethod
    def sample(cls, rng: np.random.Generator, strength: float) -> Self:
        return cls(
            levels=int(rng.integers(round(8 - 6 * strength), 9)), grey=bool(rng.random() < 0.3 * strength)
        )

    def steps(self, size: Size) -> list[Step]:
        return [Screen(_TILE, self.levels, self.grey)]
