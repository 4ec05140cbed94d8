"""Mirror image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from PIL import Image

from asl_fast.edits.edit import Pool


@dataclass(frozen=True, kw_only=True)
class Flip:
    """Left-right, rarely upside down."""

    upside_down: bool
    visible_share = 1.0

    @classmethod
    def sample(cls, rng: np.random.Generator, strength: float) -> Self:
        return cls(upside_down=bool(rng.random() < 0.15 * strength))

    def apply(self, image: Image.Image, pool: Pool) -> Image.Image:
        transpose = Image.Transpose
        return image.transpose(transpose.FLIP_TOP_BOTTOM if self.upside_down else transpose.FLIP_LEFT_RIGHT)
