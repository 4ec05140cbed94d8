"""Some pixels change places, all over the picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from asl_fast.edits.edit import sample_seed
from asl_fast.edits.steps import ShufflePixels, Size, Step


@dataclass(frozen=True, kw_only=True)
class Shuffle:
    """share: of the pixels that are mixed up."""

    share: float
    seed: int

    @classmethod
    def sample(cls, rng: np.random.Generator, strength: float) -> Self:
        return cls(share=float(rng.uniform(0, 0.4 * strength)), seed=sample_seed(rng))

    def steps(self, size: Size) -> list[Step]:
        return [ShufflePixels(self.seed, self.share)]
