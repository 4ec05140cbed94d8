"""Printed dots of growing size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from asl_fast.edits.steps import Screen, Size, Step

_MAX_CELL_PX = 16


@dataclass(frozen=True, kw_only=True)
class Halftone:
    """cell_share: distance of two dots, of the shorter edge.  grey: one ink, else three."""

    cell_share: float
    grey: bool

    @classmethod
    def sample(cls, rng: np.random.Generator, strength: float) -> Self:
        return cls(
            cell_share=float(rng.uniform(0.015, 0.02 + 0.02 * strength)), grey=bool(rng.random() < 0.6)
        )

    def steps(self, size: Size) -> list[Step]:
        cell = min(_MAX_CELL_PX, max(3, round(self.cell_share * min(size))))
        phase_C = 2 * np.pi * (np.arange(cell) + 0.5) / cell
        wave_CC = np.cos(phase_C) + np.cos(phase_C)[:, None]
        order_CC = np.argsort(np.argsort(wave_CC, axis=None, kind="stable"), kind="stable").reshape(
            cell, cell
        )
        return [Screen(((order_CC + 0.5) / cell**2).astype(np.float32), 2, self.grey)]
