"""Pictures of any size -> edge x edge pixels."""

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

MODES = ("square", "short-center")
_REDUCING_GAP = 3.0  # whole-pixel box shrink first, down to no less than 3 times the edge; then the filter


@dataclass(frozen=True, kw_only=True)
class Resize:
    """RGB picture -> uint8 pixels of shape (edge_px, edge_px, 3), antialiased, the same on every run.

    mode: "square" squashes the whole picture, as the paper does; "short-center" keeps proportions and takes
    the middle of the longer side, losing the rest.
    """

    edge_px: int = 224
    mode: str = "square"

    def __post_init__(self) -> None:
        if not 1 <= self.edge_px <= 8192:
            raise ValueError(f"resize: edge_px must be between 1 and 8192, got {self.edge_px}")
        if self.mode not in MODES:
            raise ValueError(f"resize: mode must be one of {', '.join(MODES)}, got {self.mode!r}")

    def __call__(self, image: Image.Image) -> NDArray[np.uint8]:
        """Pixels (edge_px, edge_px, 3) of an RGB picture."""
        if self.mode == "short-center":
            short = min(image.size)
            left, top = (image.width - short) // 2, (image.height - short) // 2
            image = image.crop((left, top, left + short, top + short))
        if image.size != (self.edge_px, self.edge_px):
            image = image.resize(
                (self.edge_px, self.edge_px), Image.Resampling.BICUBIC, reducing_gap=_REDUCING_GAP
            )
        return np.asarray(image, dtype=np.uint8)


def as_pixels(image: Any, resize: Resize) -> NDArray[np.uint8]:
    """uint8 pixels (edge, edge, 3) of one picture in memory or on disk.

    image: PIL image; numpy uint8 (H, W), (H, W, 1), (H, W, 3) or (H, W, 4); torch uint8 (C, H, W); the path
    of a file; or a file's bytes. ValueError for anything else, ImageError for a file that can't be decoded,
    OSError for one that can't be read.
    """
    if isinstance(image, str | os.PathLike):
        with open(image, "rb") as file:
            image = file.read()
    if isinstance(image, bytes | bytearray | memoryview):
        return resize(decode(bytes(image), edge_px_hint=resize.edge_px))
    if not isinstance(image, Image.Image):
        image = _from_array(image)
    with pillow_quiet():
        try:
            image.load()
            return resize(to_rgb(image))
        except HOSTILE as error:
            raise ImageError(f"broken picture: {error}") from error


def _from_array(image: Any) -> Image.Image:
    """Picture of a numpy HWC/HW or torch CHW array of uint8."""
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
    return Image.fromarray(np.ascontiguousarray(values))
