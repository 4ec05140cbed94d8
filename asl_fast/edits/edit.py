"""What every edit has. An edit is a frozen dataclass of its parameters: drawn once, then fixed."""

from __future__ import annotations

from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from asl_fast.edits.steps import Colour3, Size, Step

Pixels = NDArray[np.uint8]  # (height, width, 3), RGB


class Pool(Protocol):
    """Other photos, as RGB pixels, for edits that put two together."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Pixels: ...


class Edit(Protocol):
    """One edit with its parameters, plain numbers and texts only, so that it survives JSON.

    Lengths are shares of the picture, so an edit looks alike at every size.
    """

    @classmethod
    def sample(cls, rng: np.random.Generator, strength: float) -> Self:
        """Parameters drawn from `rng` alone. strength: 0 (hardly to be seen) to 1 (the hardest)."""
        ...

    def steps(self, size: Size) -> list[Step]:
        """The edit of a picture of this (width, height), in steps that an executor knows."""
        ...


def sample_colour(rng: np.random.Generator) -> Colour3:
    """Black, white, or any colour, a third each: what frames and bars are made of."""
    kind = rng.integers(3)
    red, green, blue = rng.integers(0, 256, 3).tolist()
    return ((0, 0, 0), (255, 255, 255), (red, green, blue))[kind]


def sample_seed(rng: np.random.Generator) -> int:
    """Seed of an edit that is random at every pixel."""
    return int(rng.integers(1 << 31))
