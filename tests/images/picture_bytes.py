"""Pictures and image files made by hand, for the tests of images/."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image, ImageCms


def photo(width: int = 60, height: int = 40) -> Image.Image:
    """A picture that looks different after any flip, turn or swap of channels."""
    y_H1, x_1W = np.mgrid[0:height, 0:1][0] / height, np.mgrid[0:1, 0:width][1] / width
    channels = (255 * x_1W + 0 * y_H1, 255 * y_H1 + 0 * x_1W, 120 * (1 - x_1W) * (1 - y_H1))
    return Image.fromarray(np.rint(np.stack(channels, axis=2)).astype(np.uint8))


def saved(image: Image.Image, file_format: str, **options: Any) -> bytes:
    """The bytes of the picture as a file."""
    stream = io.BytesIO()
    image.save(stream, file_format, **options)
    return stream.getvalue()


def exif_with(orientation: int) -> bytes:
    """An EXIF block that holds an orientation."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


def png_chunk(name: bytes, body: bytes) -> bytes:
    """One chunk with its right checksum."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width: int, height: int, bits: int, colour: int, raw: bytes, *chunks: bytes) -> bytes:
    """A PNG file. raw: scan lines with their filter bytes; colour: 0 grey, 2 RGB, 3 palette."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    packed = png_chunk(b"IDAT", zlib.compress(raw))
    return b"".join(
        (b"\x89PNG\r\n\x1a\n", png_chunk(b"IHDR", header), *chunks, packed, png_chunk(b"IEND", b""))
    )


def swapped_profile() -> bytes:
    """A working colour profile in which red and green have changed places."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    profile = profile.replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))
    return profile.replace(b"rXYZ", b"xxxx", 1).replace(b"gXYZ", b"rXYZ", 1).replace(b"xxxx", b"gXYZ", 1)
