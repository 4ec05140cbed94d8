"""What every edit has. An edit is a frozen dataclass of its parameters: drawn once, then fixed."""

from __future__ import annotations

from typing import Protocol, Self

import numpy as np
from PIL import Image

Colour3 = tuple[int, int, int]


class Pool(Protocol):
    """Other photos, for edits that put two together."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Image.Image: ...


class Edit(Protocol):
    """One edit with its parameters. strength runs from 0 (hardly to be seen) to 1 (the hardest)."""

    @classmethod
    def sample(cls, rng: np.random.Generator, strength: float) -> Self:
        """Parameters drawn from `rng` alone: the same generator state gives the same edit."""
        ...

    def apply(self, image: Image.Image, pool: Pool) -> Image.Image:
        """The edited RGB picture. `image` is not changed; its size may differ from the result's."""
        ...

    @property
    def visible_share(self) -> float:
        """Share of the picture's content that can still be seen, in (0, 1]."""
        ...


def sample_colour(rng: np.random.Generator) -> Colour3:
    """Black, white, or any colour, a third each: what frames and bars are made of."""
    kind = rng.integers(3)
    red, green, blue = (int(value) for value in rng.integers(0, 256, 3))
    return ((0, 0, 0), (255, 255, 255), (red, green, blue))[kind]
