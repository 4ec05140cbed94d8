"""A phone's screen around the picture: bars, a title, buttons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from asl_fast.edits.compositing.lettering import line_in_middle, sign_over
from asl_fast.edits.compositing.wording import sample_line
from asl_fast.edits.geometry import framed
from asl_fast.edits.patches import SignPatch
from asl_fast.edits.steps import Colour3, Size, Step, size_after

_PAPERS: tuple[Colour3, ...] = ((255, 255, 255), (18, 18, 18), (240, 242, 245), (59, 89, 152))
_BUTTONS = "♥☆✉☰✓✕♫☺"


@dataclass(frozen=True, kw_only=True)
class Screenshot:
    """above, below: bars, as shares of the picture's width.  buttons: characters in the lower bar."""

    above: float
    below: float
    title: str
    font: int
    clock: str
    buttons: str
    paper: Colour3

    @classmethod
    def sample(cls, rng: np.random.Generator, strength: float) -> Self:
        title, font = sample_line(rng, 3)
        picked = rng.permutation(len(_BUTTONS))[: rng.integers(2, 6)].tolist()
        return cls(
            above=float(rng.uniform(0.1, 0.15 + 0.35 * strength)),
            below=float(rng.uniform(0.1, 0.15 + 0.35 * strength)),
            title=title,
            font=font,
            clock=f"{rng.integers(24)}:{rng.integers(60):02d}",
            buttons="".join(_BUTTONS[number] for number in picked),
            paper=_PAPERS[rng.integers(len(_PAPERS))],
        )

    def steps(self, size: Size) -> list[Step]:
        above, below = (max(1, round(share * size[0])) for share in (self.above, self.below))
        steps: list[Step] = [framed(size, 0, above, 0, below, self.paper)]
        full = size[1] + above + below
        width, height = size_after(steps, size)
        above_px, below_px = above * height / full, below * height / full
        ink = (20, 20, 20) if sum(self.paper) > 380 else (240, 240, 240)
        line = 0.3 * above_px
        steps += line_in_middle(self.clock, 1, 0, 0.05 * line, 0.2 * width, 0.9 * line, ink, outlined=False)
        title = (0.1 * width, 1.3 * line, 0.8 * width, 1.7 * line)
        steps += line_in_middle(self.title, self.font, *title, ink, outlined=False)
        edge = min(0.5 * below_px, 0.8 * width / len(self.buttons))
        for number, button in enumerate(self.buttons):
            x = (number + 0.5) * width / len(self.buttons)
            sign = SignPatch(button, ink, None)
            steps.append(sign_over(sign, x, height - below_px / 2, edge, opacity=1.0, degrees=0.0))
        return steps
