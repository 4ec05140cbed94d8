"""Steps: the small closed set of operations that edits are made of.

An edit is lowered to steps once its input's size is known; an executor (render/ on the CPU) draws them, and
trace/ follows them without pixels. A new edit needs no new code in either.

Points have the picture's corner at (0, 0) and the far corner at (width, height), so the centre of the first
pixel is (0.5, 0.5). Matrices are 3 x 3 homographies of such points, float64, with a positive last coordinate
all over the picture they are applied to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asl_fast.edits.patches import Colour3, Patch, Size

Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Warp:
    """The picture moved by `matrix` onto a canvas of `size`; where it doesn't reach there is `fill`."""

    matrix: Matrix
    size: Size
    fill: Colour3 = (0, 0, 0)


@dataclass(frozen=True, eq=False)
class Onto:
    """The picture moved by `matrix` and laid onto `patch`, which is stretched over a canvas of `size`."""

    patch: Patch
    matrix: Matrix
    size: Size
    opacity: float = 1.0


@dataclass(frozen=True, eq=False)
class Over:
    """`patch` laid over the picture; `matrix` takes the unit square to where it lies."""

    patch: Patch
    matrix: Matrix
    opacity: float = 1.0


@dataclass(frozen=True, eq=False)
class Erase:
    """Polygons (corners, 2) filled with one colour, or with noise of a seed."""

    polygons: tuple[NDArray[np.float64], ...]
    fill: Colour3 = (0, 0, 0)
    noise_seed: int | None = None


@dataclass(frozen=True, eq=False)
class Recolour:
    """Every pixel's (red, green, blue, 1) times a (3, 4) matrix."""

    matrix: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Lookup:
    """Every value replaced by `table` (256,), or by its channel's column of (256, 3)."""

    table: NDArray[np.uint8]


@dataclass(frozen=True)
class FlattenHistogram:
    """Histogram of the brightness made flat; `share` of the result, the rest as it was."""

    share: float


@dataclass(frozen=True)
class GaussianBlur:
    sigma_px: float


@dataclass(frozen=True, eq=False)
class Convolve:
    """Every channel convolved with a small kernel, odd in both edges."""

    kernel: NDArray[np.float32]


@dataclass(frozen=True)
class MedianFilter:
    edge_px: int


@dataclass(frozen=True)
class Mosaic:
    """Shrunk to `cells` by averaging and grown again without smoothing."""

    cells: Size


@dataclass(frozen=True)
class AddNoise:
    """sigma: of grey levels, in each channel on its own.  salt_share: of pixels made black or white."""

    seed: int
    sigma: float = 0.0
    salt_share: float = 0.0


@dataclass(frozen=True)
class ShufflePixels:
    """`share` of the pixels change places among themselves."""

    seed: int
    share: float


@dataclass(frozen=True)
class Recompress:
    """Saved and opened again. codec: "jpeg" or "webp".  quality: 1 to 100."""

    codec: str
    quality: int

    def __post_init__(self) -> None:
        if not 1 <= self.quality <= 100:
            raise ValueError(f"{self.codec}: quality must be from 1 to 100, got {self.quality}")


@dataclass(frozen=True, eq=False)
class Shade:
    """Brightness times a coarse grid of gains (rows, columns), stretched smoothly over the picture."""

    gain: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Screen:
    """Reduced to `levels` a channel after adding a repeated tile of thresholds in [0, 1).

    With `grey` the brightness alone is screened: ink on paper.
    """

    tile: NDArray[np.float32]
    levels: int
    grey: bool


@dataclass(frozen=True)
class DrawEdges:
    """Edges only, in `ink` on `paper`: binary, with hysteresis between two shares of the strongest.

    detector: "canny" (thin lines) or "gradient" (as wide as the edge is soft).  sigma_px: of the blur before.
    """

    detector: str
    sigma_px: float
    low: float
    high: float
    thickness_px: int
    ink: Colour3
    paper: Colour3


Step = (
    Warp
    | Onto
    | Over
    | Erase
    | Recolour
    | Lookup
    | FlattenHistogram
    | GaussianBlur
    | Convolve
    | MedianFilter
    | Mosaic
    | AddNoise
    | ShufflePixels
    | Recompress
    | Shade
    | Screen
    | DrawEdges
)

_MOVES = (Warp, Onto)


def size_after(steps: Sequence[Step], size: Size) -> Size:
    """(width, height) of the picture once these steps are done."""
    for step in reversed(steps):
        if isinstance(step, _MOVES):
            return step.size
    return size
