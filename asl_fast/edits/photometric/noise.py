"""Grain, or pixels gone black and white."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from asl_fast.edits.edit import sample_seed
from asl_fast.edits.steps import AddNoise, Size, Step


@dataclass(frozen=True, kw_only=True)
class Noise:
    """sigma: in grey levels.  salt_share: of the pixels that turn black or white."""

    sigma: float
    salt_share: float
    seed: int

    @classmethod
    def sample(cls, rng: np.random.Generator, strength: float) -> Self:
        salt = rng.random() < 0.3
        sigma = float(rng.uniform(2, 5 + 40 * strength))
        share = float(rng.uniform(0.002, 0.005 + 0.1 * strength))
        return cls(sigma=0.0 if salt else sigma, salt_share=share if salt else 0.0, seed=sample_seed(rng))

    def steps(self, size: Size) -> list[Step]:
        return [AddNoise(self.seed, self.sigma, self.salt_share)]
