"""What an image file says of itself before a pixel is decoded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import ImageFile, JpegImagePlugin

from asl_fast.images.decode import decoded, opened
from asl_fast.images.pixels import is_srgb, orientation

_SIDEWAYS = (5, 6, 7, 8)
_END_OF_JPEG = b"\xff\xd9"


@dataclass(frozen=True)
class Header:
    """size: (width, height) of the upright picture.  orientation: 1..8, EXIF's, of how it is stored.

    is_plain_jpeg: any JPEG decoder that turns pictures upright makes the picture that `decode` makes: grey
    or three colours, sRGB as far as it says, and not cut off before its end mark.
    """

    size: tuple[int, int]
    is_plain_jpeg: bool
    orientation: int = 1


def read_header(data: bytes) -> Header:
    """Raises ImageError, and nothing else: for what `decode` would refuse before it decodes."""
    with opened(data) as image:
        return _header(image, data)


def decode_as_needed(data: bytes, edge_px_hint: Callable[[Header], int]) -> tuple[Header, NDArray[np.uint8]]:
    """The header, and the pixels that `decode` gives with a hint that depends on it. ImageError."""
    with opened(data) as image:
        header = _header(image, data)
        return header, decoded(image, data, edge_px_hint(header))


def _header(image: ImageFile.ImageFile, data: bytes) -> Header:
    width, height = image.size
    plain = (
        isinstance(image, JpegImagePlugin.JpegImageFile)
        and image.mode in ("L", "RGB")
        and is_srgb(image)
        and data.rfind(_END_OF_JPEG) > 0
    )
    stored = orientation(image)
    return Header((height, width) if stored in _SIDEWAYS else (width, height), plain, stored)
