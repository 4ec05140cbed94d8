"""What of a picture a model gets to see: which views, each at which sizes.

A view is a part of the picture, perhaps turned; each becomes a row of its own (`id#view`), and search folds
the rows back to pictures by their best pair. Sizes are looked at together: their rows become one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from asl_fast.images.resize import MOST_EDGE_PX, Resize

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class View:
    """box: left, top, right, bottom as shares of the picture.  turn_deg: then turned, counter-clockwise; what
    a slanting picture leaves free is black.
    """

    name: str
    box: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    turn_deg: int = 0

    def of(self, pixels_HWC: Pixels) -> Pixels:
        """This part of the picture: at least one pixel, read where it lies if it isn't slanted."""
        height, width = pixels_HWC.shape[:2]
        left, right = _span(self.box[0], self.box[2], width)
        top, bottom = _span(self.box[1], self.box[3], height)
        part_HWC = pixels_HWC[top:bottom, left:right]
        if self.turn_deg % 90 == 0:
            return np.rot90(part_HWC, self.turn_deg // 90)
        picture = Image.fromarray(np.ascontiguousarray(part_HWC))
        return np.asarray(picture.rotate(self.turn_deg, Image.Resampling.BICUBIC, expand=True))


def _span(start: float, end: float, length: int) -> tuple[int, int]:
    low = min(int(start * length + 1e-6), length - 1)
    return low, max(int(end * length + 1e-6), low + 1)


def _grid(number: int, name: str) -> tuple[View, ...]:
    """The cells of a grid, row by row."""
    cells = [(row, column) for row in range(number) for column in range(number)]
    return tuple(
        View(
            name=f"{name}-{place}",
            box=(column / number, row / number, (column + 1) / number, (row + 1) / number),
        )
        for place, (row, column) in enumerate(cells, start=1)
    )


WHOLE = View(name="whole")
_TURNS = tuple(View(name=f"turn-{angle}", turn_deg=angle) for angle in (90, 180, 270))
_SLANTS = tuple(View(name=f"turn-{angle}", turn_deg=angle) for angle in (45, 135, 225, 315))
_QUARTERS, _NINTHS = _grid(2, "quarter"), _grid(3, "ninth")
_CENTRE = (View(name="centre", box=(1 / 4, 1 / 4, 3 / 4, 3 / 4)),)
_INNER = tuple(
    View(name=f"inner-{place}", box=(column / 6, row / 6, (column + 2) / 6, (row + 2) / 6))
    for place, (row, column) in enumerate([(1, 1), (1, 3), (3, 1), (3, 3)], start=1)
)

# D2LV: github.com/WangWenhao0716/ISC-Track1-Submission (Test/augmentation), without the boxes that its
# detectors find. CopyNCE: github.com/eddielyc/CopyNCE (copy_dataset.py), 26 and 10 views; its middle third is
# a ninth, too, and stands here once. The whole picture comes first: its norm is the picture's.
VIEW_SETS: dict[str, tuple[View, ...]] = {
    "whole": (WHOLE,),
    "turns": (WHOLE, *_TURNS),
    "quarters": (WHOLE, *_QUARTERS),
    "grids": (WHOLE, *_QUARTERS, *_NINTHS),
    "d2lv-queries": (WHOLE, *_TURNS, *_CENTRE, *_INNER),
    "d2lv-refs": (WHOLE, *_QUARTERS, *_CENTRE, *_NINTHS, *_INNER),
    "copynce-queries": (WHOLE, *_INNER, *_QUARTERS, *_NINTHS, *_TURNS, *_SLANTS),
    "copynce-refs": (WHOLE, _NINTHS[4], *_INNER, *_QUARTERS),
}


@dataclass(frozen=True, kw_only=True)
class Framing:
    """Pixels of a picture -> frames: every view, each at every size.

    resizes: one, or several for multi-scale.  views: with distinct names.
    """

    resizes: tuple[Resize, ...]
    views: tuple[View, ...] = (WHOLE,)

    def __post_init__(self) -> None:
        if not self.resizes or not self.views:
            raise ValueError("framing: needs at least one size and one view")
        if len({view.name for view in self.views}) != len(self.views):
            raise ValueError("framing: views must have distinct names")
        if len(set(self.resizes)) != len(self.resizes):
            raise ValueError("framing: sizes must be distinct; one given twice would only count twice")

    def __call__(self, pixels_HWC: Pixels) -> list[Pixels]:
        """Views in order, each at all sizes in order."""
        parts = [view.of(pixels_HWC) for view in self.views]
        return [resize(part_HWC) for part_HWC in parts for resize in self.resizes]

    @property
    def num_frames(self) -> int:
        return len(self.views) * len(self.resizes)

    @property
    def edge_px_hint(self) -> int:
        """For `decode`: the edge of the whole picture at which no view needs to grow more than it has to."""
        least = min(min(view.box[2] - view.box[0], view.box[3] - view.box[1]) for view in self.views)
        return min(MOST_EDGE_PX, math.ceil(max(resize.edge_px for resize in self.resizes) / least - 1e-6))
