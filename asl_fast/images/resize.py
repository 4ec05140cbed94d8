"""Pictures of any size -> pixels of the size that a model takes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from asl_fast.images.decode import HOSTILE, ImageError, decode
from asl_fast.images.pixels import to_rgb
from asl_fast.images.silence import pillow_quiet
from asl_fast.kernels.resize import resize

MODES = ("square", "short-center", "short")
MOST_EDGE_PX = 8192
LONGEST_TO_SHORT = 4  # of "short": a picture that is narrower still is squashed to this


@dataclass(frozen=True, kw_only=True)
class Resize:
    """RGB pixels -> uint8 pixels, antialiased (kernels/resize), the same on every run and machine.

    mode: "square" squashes the whole picture to edge_px x edge_px, as the paper does; "short-center" keeps
    proportions and takes the middle of the longer side, losing the rest; "short" keeps proportions and the
    whole picture: the shorter side becomes edge_px, the longer one what it then is, at most 4 edge_px.
    """

    edge_px: int = 224
    mode: str = "square"

    def __post_init__(self) -> None:
        if not 1 <= self.edge_px <= MOST_EDGE_PX:
            raise ValueError(f"resize: edge_px must be between 1 and {MOST_EDGE_PX}, got {self.edge_px}")
        if self.mode not in MODES:
            raise ValueError(f"resize: mode must be one of {', '.join(MODES)}, got {self.mode!r}")

    def __call__(self, pixels_HWC: NDArray[np.uint8] | Image.Image) -> NDArray[np.uint8]:
        """The RGB picture at (edge_px, edge_px, 3), or for "short" at a size that follows from its own."""
        pixels_HWC = np.asarray(pixels_HWC)
        if self.mode == "short-center":
            pixels_HWC = _middle(pixels_HWC)
        height, width = self.size_of(*pixels_HWC.shape[:2])
        if pixels_HWC.shape[:2] == (height, width):
            return np.ascontiguousarray(pixels_HWC)
        return resize(pixels_HWC, height, width)

    def size_of(self, height: int, width: int) -> tuple[int, int]:
        """Height and width that a picture of this size becomes."""
        if self.mode != "short":
            return self.edge_px, self.edge_px
        longest = LONGEST_TO_SHORT * self.edge_px
        scale = self.edge_px / min(height, width)
        return (
            min(longest, round(height * scale)) if height > width else self.edge_px,
            min(longest, round(width * scale)) if width > height else self.edge_px,
        )


def _middle(pixels_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The square in the middle."""
    height, width = pixels_HWC.shape[:2]
    short = min(height, width)
    top, left = (height - short) // 2, (width - short) // 2
    return pixels_HWC[top : top + short, left : left + short]


def upright_pixels(image: Any, edge_px_hint: int | None = None) -> NDArray[np.uint8]:
    """uint8 RGB pixels (H, W, 3) of one picture in memory or on disk.

    image: PIL image; numpy uint8 (H, W), (H, W, 1), (H, W, 3) or (H, W, 4); torch uint8 (C, H, W); the path
    of a file; or a file's bytes. edge_px_hint: as for `decode`, of files and bytes. ValueError for anything
    else, ImageError for a file that can't be decoded, OSError for one that can't be read.
    """
    if isinstance(image, str | os.PathLike):
        with open(image, "rb") as file:
            image = file.read()
    if isinstance(image, bytes | bytearray | memoryview):
        return decode(bytes(image), edge_px_hint=edge_px_hint)
    if isinstance(image, Image.Image):
        return _from_pillow(image)
    pixels_HWC = _from_array(image)
    return pixels_HWC if pixels_HWC.shape[2:] == (3,) else _from_pillow(Image.fromarray(pixels_HWC))


def as_pixels(image: Any, resize: Resize) -> NDArray[np.uint8]:
    """One picture, as `upright_pixels` takes it, at the size of `resize`."""
    return resize(upright_pixels(image, resize.edge_px))


def _from_pillow(image: Image.Image) -> NDArray[np.uint8]:
    with pillow_quiet():
        try:
            image.load()
            return np.asarray(to_rgb(image))
        except HOSTILE as error:
            raise ImageError(f"broken picture: {error}") from error


def _from_array(image: Any) -> NDArray[np.uint8]:
    """(H, W) or (H, W, 3 or 4) of a numpy HWC/HW or torch CHW/HW array of uint8."""
    is_torch = hasattr(image, "detach")
    rule = "torch uint8 (C, H, W)" if is_torch else "numpy uint8 (H, W) or (H, W, C)"
    values = image.detach().cpu().numpy() if is_torch else image
    if not isinstance(values, np.ndarray):
        raise ValueError(
            f"image: must be a PIL image, a numpy or torch array, a path or bytes, got {type(image).__name__}"
        )
    if values.dtype != np.uint8:
        raise ValueError(
            f"image: must be {rule}, got {values.dtype}; scale to 0..255, round and convert to uint8"
        )
    if is_torch and values.ndim == 3:
        values = values.transpose(1, 2, 0)
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[:, :, 0]
    if values.ndim not in (2, 3) or (values.ndim == 3 and values.shape[2] not in (3, 4)) or 0 in values.shape:
        raise ValueError(f"image: must be {rule} with 1, 3 or 4 channels, got shape {tuple(image.shape)}")
    return np.ascontiguousarray(values)
