"""The picture and others of the pool, side by side or stacked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from asl_fast.edits.edit import sample_colour
from asl_fast.edits.geometry import box, canvas, shift
from asl_fast.edits.patches import PhotoPatch, PlainPatch
from asl_fast.edits.steps import Colour3, Onto, Over, Size, Step

_SHAPES = ((2, 1), (1, 2), (3, 1), (1, 3), (2, 2))


@dataclass(frozen=True, kw_only=True)
class Collage:
    """columns x rows cells of the picture's size; the picture is in cell number `cell`.

    others: photos of the other cells, as in Paste.  gap: between cells, as a share of the shorter edge.
    """

    columns: int
    rows: int
    cell: int
    others: tuple[float, ...]
    gap: float
    fill: Colour3

    @classmethod
    def sample(cls, rng: np.random.Generator, strength: float) -> Self:
        columns, rows = _SHAPES[rng.integers(len(_SHAPES) if strength > 0.5 else 2)]
        return cls(
            columns=columns,
            rows=rows,
            cell=int(rng.integers(columns * rows)),
            others=tuple(rng.random(columns * rows - 1).tolist()),
            gap=float(rng.uniform(0, 0.05)) if rng.random() < 0.5 else 0.0,
            fill=sample_colour(rng),
        )

    def steps(self, size: Size) -> list[Step]:
        width, height = size
        gap = round(self.gap * min(size))
        edges = (self.columns * (width + gap) - gap, self.rows * (height + gap) - gap)
        corner = [
            (column * (width + gap), row * (height + gap))
            for row in range(self.rows)
            for column in range(self.columns)
        ]
        matrix, whole = canvas(np.eye(3), edges)
        steps: list[Step] = [Onto(PlainPatch(self.fill), matrix @ shift(*corner[self.cell]), whole)]
        free = [place for number, place in enumerate(corner) if number != self.cell]
        for other, (left, top) in zip(self.others, free, strict=True):
            steps.append(Over(PhotoPatch(other), matrix @ box(left, top, width, height)))
        return steps
