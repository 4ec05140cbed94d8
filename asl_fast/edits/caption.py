"""A few words written over the picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from asl_fast.edits.edit import Colour3, Pool, sample_colour

_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!?&#"
_INK_SHARE = 0.4  # of the box around the words, measured on Pillow's built-in font


@dataclass(frozen=True, kw_only=True)
class Caption:
    """text in Pillow's built-in font, `height` of the picture's height; left, top: where it begins."""

    text: str
    height: float
    left: float
    top: float
    fill: Colour3

    @property
    def visible_share(self) -> float:
        covered = _INK_SHARE * self.height * min(1.0, 0.6 * self.height * len(self.text))
        return 1 - min(0.5, covered)

    @classmethod
    def sample(cls, rng: np.random.Generator, strength: float) -> Self:
        words = ("".join(rng.choice(list(_LETTERS), rng.integers(2, 9))) for _ in range(rng.integers(1, 5)))
        height = rng.uniform(0.05, 0.08 + 0.15 * strength)
        left, top = rng.uniform(0, 0.5), rng.uniform(0, 1 - height)
        text = " ".join(words)
        return cls(text=text, height=float(height), left=float(left), top=float(top), fill=sample_colour(rng))

    def apply(self, image: Image.Image, pool: Pool) -> Image.Image:
        written = image.copy()
        font = ImageFont.load_default(max(4.0, self.height * image.height))
        where = (self.left * image.width, self.top * image.height)
        ImageDraw.Draw(written).text(where, self.text, fill=self.fill, font=font)
        return written
