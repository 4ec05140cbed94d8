"""A few words written over the picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from asl_fast.edits.compositing.lettering import line_over
from asl_fast.edits.compositing.wording import sample_line
from asl_fast.edits.edit import sample_colour
from asl_fast.edits.patches import TextPatch
from asl_fast.edits.steps import Colour3, Size, Step


@dataclass(frozen=True, kw_only=True)
class Caption:
    """text in `height` of the picture's height; left, top: where it begins.  font: number in patches.FONTS.

    outline, box: colours round and behind the letters, None for none.
    """

    text: str
    font: int
    height: float
    left: float
    top: float
    fill: Colour3
    outline: Colour3 | None
    box: Colour3 | None
    opacity: float
    degrees: float

    @classmethod
    def sample(cls, rng: np.random.Generator, strength: float) -> Self:
        text, font = sample_line(rng, 4)
        height = float(rng.uniform(0.05, 0.08 + 0.15 * strength))
        kind = rng.random()
        return cls(
            text=text,
            font=font,
            height=height,
            left=float(rng.uniform(0, 0.5)),
            top=float(rng.uniform(0, 1 - height)),
            fill=sample_colour(rng),
            outline=sample_colour(rng) if kind < 0.3 else None,
            box=sample_colour(rng) if kind > 0.8 else None,
            opacity=1.0 if rng.random() < 0.6 else float(rng.uniform(0.4, 1)),
            degrees=float(rng.uniform(-40, 40)) if rng.random() < 0.3 * strength else 0.0,
        )

    def steps(self, size: Size) -> list[Step]:
        width, height = size
        patch = TextPatch(
            self.text, self.font, round(self.height * height), self.fill, self.outline, self.box
        )
        left, top = self.left * width, self.top * height
        return [*line_over(patch, left, top, width - left, opacity=self.opacity, degrees=self.degrees)]
