"""A joke's two lines: on white bars above and below, or written over the picture with an outline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from asl_fast.edits.compositing.lettering import line_in_middle
from asl_fast.edits.compositing.wording import sample_line
from asl_fast.edits.geometry import framed
from asl_fast.edits.steps import Colour3, Size, Step, size_after


@dataclass(frozen=True, kw_only=True)
class Meme:
    """top, bottom: the lines, empty for none.  height: of a line or bar, of the picture's height."""

    top: str
    bottom: str
    font: int
    height: float
    bars: bool
    paper: Colour3
    ink: Colour3

    @classmethod
    def sample(cls, rng: np.random.Generator, strength: float) -> Self:
        top, font = sample_line(rng, 5)
        bottom = sample_line(rng, 5)[0] if rng.random() < 0.5 else ""
        light = rng.random() < 0.75
        bars = bool(rng.random() < 0.6)
        white, black = (255, 255, 255), (0, 0, 0)
        return cls(
            top=top,
            bottom=bottom,
            font=font if top.isascii() and bottom.isascii() else 1,
            height=float(rng.uniform(0.08, 0.1 + 0.15 * strength)),
            bars=bars,
            paper=white if light else black,
            ink=black if light and bars else white,
        )

    def steps(self, size: Size) -> list[Step]:
        steps: list[Step] = []
        if self.bars:
            paper = max(1, round(self.height * size[1]))
            steps.append(
                framed(size, 0, paper if self.top else 0, 0, paper if self.bottom else 0, self.paper)
            )
            size = size_after(steps, size)
        bar = self.height * size[1] / (1 + self.bars * self.height * (bool(self.top) + bool(self.bottom)))
        for text, top in ((self.top, 0.0), (self.bottom, size[1] - bar)):
            width = 0.96 * size[0]
            steps += line_in_middle(
                text,
                self.font,
                0.02 * size[0],
                top + 0.1 * bar,
                width,
                0.8 * bar,
                self.ink,
                outlined=not self.bars,
            )
        return steps
