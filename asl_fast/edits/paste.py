"""The picture laid, smaller, onto another photo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from PIL import Image

from asl_fast.edits.edit import Pool


@dataclass(frozen=True, kw_only=True)
class Paste:
    """other: which photo of the pool, as a share of its length.  edge_share: of the canvas's edges.

    left, top: share of the free room.
    """

    other: float
    edge_share: float
    left: float
    top: float
    visible_share = 1.0

    @classmethod
    def sample(cls, rng: np.random.Generator, strength: float) -> Self:
        other, left, top = rng.random(3)
        edge_share = rng.uniform(1 - 0.55 * strength, 0.95)
        return cls(other=float(other), edge_share=float(edge_share), left=float(left), top=float(top))

    def apply(self, image: Image.Image, pool: Pool) -> Image.Image:
        width, height = (max(1, round(edge / self.edge_share)) for edge in image.size)
        canvas = pool[int(self.other * len(pool))].resize((width, height), Image.Resampling.BILINEAR)
        room_x, room_y = width - image.width, height - image.height
        canvas.paste(image, (round(self.left * room_x), round(self.top * room_y)))
        return canvas
