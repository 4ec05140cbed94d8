"""What an image file says of itself before a pixel is decoded."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import JpegImagePlugin

from asl_fast.images.decode import opened
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
        width, height = image.size
        plain = (
            isinstance(image, JpegImagePlugin.JpegImageFile)
            and image.mode in ("L", "RGB")
            and is_srgb(image)
            and data.rfind(_END_OF_JPEG) > 0
        )
        stored = orientation(image)
        return Header((height, width) if stored in _SIDEWAYS else (width, height), plain, stored)
