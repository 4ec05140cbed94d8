"""A Pillow image of any mode -> upright 8-bit RGB in sRGB, over white."""

from __future__ import annotations

import functools
import io
import struct

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_STRETCH_PIXELS = 1 << 20  # doubles held at a time
_WHITE = (255, 255, 255)
# Without its one-pixel cache a transform may be shared between threads.
_NO_PIXEL_CACHE = ImageCms.Flags.NOCACHE
_BROKEN_EXIF = (
    OSError,  # offset outside the block
    SyntaxError,  # not a TIFF header
    ValueError,  # text that should be hexadecimal (PNG's raw profile), unknown byte order
    TypeError,  # value of another type than the tag has
    KeyError,  # unknown value type
    IndexError,  # tag without a value
    AttributeError,  # block too short to hold a directory
    EOFError,  # block cut off
    OverflowError,  # offset that doesn't fit a C int
    RuntimeError,  # nested directories without end
    ZeroDivisionError,  # rational with denominator 0
    struct.error,  # block cut off
)


def to_rgb(image: Image.Image) -> Image.Image:
    """Upright RGB picture. The image must be loaded; it is not changed.

    Transparency is laid over white, deep greys are scaled (65535 -> 255), an embedded colour profile is
    carried over to sRGB if it fits the picture; EXIF or profiles that can't be read are as if absent.
    """
    upright = orientation(image)
    profile = image.info.get("icc_profile")
    alpha = None
    picture = _shallow(image)
    if picture is image and image.has_transparency_data:
        rgba = _opaque_key(image).convert("RGBA")
        picture, alpha = rgba.convert("RGB"), rgba.getchannel("A")
    if profile:
        picture = _to_srgb(picture, profile)
    picture = picture.convert("RGB")
    if alpha is not None:
        white = Image.new("RGB", picture.size, _WHITE)
        white.paste(picture, mask=alpha)
        picture = white
    if upright in _UPRIGHT:
        picture = picture.transpose(_UPRIGHT[upright])
    picture.info = {}  # orientation, profile and transparency are done: nobody may apply them twice
    return picture


def orientation(image: Image.Image) -> int:
    """EXIF orientation 1..8; 1 where there is none or it can't be read."""
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except _BROKEN_EXIF:
        return 1
    return value if isinstance(value, int) and value in _UPRIGHT else 1


def turned(pixels_HWC: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Stored pixels -> upright ones, without gaps."""
    if orientation in (5, 6, 7, 8):
        pixels_HWC = pixels_HWC.transpose(1, 0, 2)
    flips_down, flips_across = orientation in (3, 4, 7, 8), orientation in (2, 3, 6, 7)
    return np.ascontiguousarray(pixels_HWC[:: -1 if flips_down else 1, :: -1 if flips_across else 1])


def _shallow(image: Image.Image) -> Image.Image:
    """8-bit grey of a picture with deeper grey values; any other picture as it is."""
    if image.mode.startswith("I;16"):
        return _scaled_16_bits(image.convert("I"), image.info.get("transparency"))
    if image.mode == "I":
        value_HW = np.asarray(image)
        if (
            value_HW.min() >= 0 and value_HW.max() <= 65535
        ):  # how 16-bit PNG, PGM and TIFF arrive in some versions of Pillow
            return _scaled_16_bits(image, image.info.get("transparency"))
        return _stretched(image)
    return _stretched(image) if image.mode == "F" else image


def _scaled_16_bits(image: Image.Image, see_through: object) -> Image.Image:
    table = _table_16_bits()
    if isinstance(see_through, int) and 0 <= see_through <= 65535:
        table = [*table[:see_through], 255, *table[see_through + 1 :]]  # this grey means "white paper"
    return image.point(table, "L")


@functools.cache
def _table_16_bits() -> list[int]:
    return [(value * 255 + 32767) // 65535 for value in range(65536)]


def _stretched(image: Image.Image) -> Image.Image:
    """Grey values without an agreed range: 0..1 and 0..255 are taken as such, others from low to high."""
    value_HW = np.asarray(image)
    if image.mode == "F":
        value_HW = np.where(np.isfinite(value_HW), value_HW, np.float32(0))
    low, high = float(value_HW.min()), float(value_HW.max())
    if image.mode == "F" and low >= 0 and high <= 255:
        low, high = 0.0, 1.0 if high <= 1 else 255.0
    grey_HW = np.zeros(value_HW.shape, np.uint8)
    if high > low:
        rows = max(1, _STRETCH_PIXELS // image.width)
        for top in range(0, image.height, rows):
            # The values have 32 bits: in double no difference of two of them overflows or vanishes.
            share = (value_HW[top : top + rows].astype(np.float64) - low) / (high - low)
            grey_HW[top : top + rows] = np.rint(share * 255)
    return Image.fromarray(grey_HW)


def _opaque_key(image: Image.Image) -> Image.Image:
    """A 16-bit PNG names its see-through colour in 16 bits, while its pixels arrive with 8."""
    key = image.info.get("transparency")
    if image.mode != "RGB" or not isinstance(key, tuple) or max(key) <= 255:
        return image
    eased = image.copy()
    eased.info["transparency"] = tuple(value >> 8 for value in key)
    return eased


def _to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    if image.mode in ("1", "P", "RGBX", "YCbCr"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    transform = _transform(profile, image.mode)
    return image if transform is None else transform.apply(image)


def is_srgb(image: Image.Image) -> bool:
    """Whether its values are those of the picture: no profile, sRGB's, or one that can't be used."""
    profile = image.info.get("icc_profile")
    return not profile or _transform(profile, image.mode) is None


@functools.lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Transform to sRGB; None if the profile is sRGB already, doesn't fit the mode or can't be read."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if mode == "RGB" and "srgb" in (source.profile.profile_description or "").lower():
            return None
        return ImageCms.ImageCmsTransform(
            source, _srgb(), mode, "RGB", intent=ImageCms.Intent.PERCEPTUAL, flags=_NO_PIXEL_CACHE
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError, KeyError, UnicodeError):
        return None  # unreadable profile, or one for another colour space: the plain values are the picture


@functools.cache
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
