"""Bytes of an image file -> upright RGB pixels, or ImageError with a short reason."""

from __future__ import annotations

import contextlib
import io
import struct
import threading
import zlib
from collections.abc import Callable, Iterator

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
    features,
)

from asl_fast.images.pixels import is_srgb, orientation, to_rgb, turned
from asl_fast.images.silence import pillow_quiet

MAX_PIXELS = 300_000_000
_LARGE_PIXELS = (
    32_000_000  # pictures above this are decoded one at a time: threads must not add up their memory
)
_JPEG_SCALES = (8, 4, 2)  # what the decoder shrinks by in less time than it takes whole
_SCALED_GAP = 2  # a scaled JPEG stays this many times larger than the edge it will be resized to
_MOST_PACKED = 1032  # deflate can't shrink data by more than this
_MAX_SCANS = 500  # a progressive JPEG has about ten; libjpeg takes a full pass over the picture for each

# What Pillow's readers raise for damaged or hostile files; found by flipping and cutting bytes of real ones.
HOSTILE = (
    OSError,  # truncated data, a codec's own error code, UnidentifiedImageError
    SyntaxError,  # "not this format", broken PNG chunk
    ValueError,  # impossible sizes, text chunk that unpacks to megabytes, unknown raw mode
    TypeError,  # missing TIFF tag where a number is expected
    KeyError,  # mode or compression that Pillow has no table for
    IndexError,  # data ends inside a header; palette or tag tuple too short
    EOFError,  # header without a first frame
    OverflowError,  # size that doesn't fit a C int
    ZeroDivisionError,  # rational tag with denominator 0
    AssertionError,  # Pillow's own checks of what it has read
    AttributeError,  # header that lacks the part the reader expects next (palette, tile)
    NotImplementedError,  # pixel layout Pillow knows of but can't read
    RuntimeError,  # libtiff or libavif refusing
    SystemError,  # tile that lies outside the picture
    MemoryError,  # header that asks for more than there is
    struct.error,  # header cut off
    zlib.error,  # packed chunk damaged
    Image.DecompressionBombError,  # Pillow's own limit inside a reader (WebP, GIF)
)


class ImageError(ValueError):
    """This file can't be turned into pixels; the text is the reason, short and on one line."""


def _avif(stream: io.BytesIO) -> ImageFile.ImageFile:
    try:
        from PIL import AvifImagePlugin
    except ImportError as error:
        raise ImageError("AVIF needs Pillow 11.3 or newer; upgrade Pillow") from error
    if not features.check("avif"):
        raise ImageError("AVIF is not in this build of Pillow; install Pillow from its wheels")
    return AvifImagePlugin.AvifImageFile(stream)


# Formats whose readers run in this process alone and have a signature to tell them by. Left out on purpose:
# EPS, PDF, WMF (outside programs), TGA and others without a signature, ICO and ICNS (pictures in pictures).
# An MPO file (two JPEGs, one per eye) is read as the JPEG it begins with.
_READERS: dict[str, Callable[[io.BytesIO], ImageFile.ImageFile]] = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "WebP": WebPImagePlugin.WebPImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "PPM": PpmImagePlugin.PpmImageFile,
    "JPEG 2000": Jpeg2KImagePlugin.Jpeg2KImageFile,
    "AVIF": _avif,
}
_SIGNATURES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"BM", "BMP"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
)
_AVIF_BRANDS = (b"avif", b"avis", b"mif1", b"msf1")


def sniff(data: bytes) -> str | None:
    """Name of the image format these first bytes belong to, whatever the file is called; None if none."""
    for signature, name in _SIGNATURES:
        if data.startswith(signature):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    if data[:1] == b"P" and data[1:2] in b"123456" and data[2:3] in b" \t\r\n#" and len(data) > 2:
        return "PPM"
    return "AVIF" if data[4:8] == b"ftyp" and data[8:12] in _AVIF_BRANDS else None


def decode(
    data: bytes, *, edge_px_hint: int | None = None, max_pixels: int = MAX_PIXELS
) -> NDArray[np.uint8]:
    """uint8 pixels (H, W, 3) of an image file's bytes: first frame or page, upright, over white, in sRGB.

    edge_px_hint: the edge the picture will be resized to. A JPEG then comes out of the decoder at 1/2, 1/4
    or 1/8 of its size where that leaves both sides at least twice this long. The result depends on `data` and
    this alone. (Grainy photos, scaled against whole: norms of the default model move by 0.8 %, standard
    deviation; at once the edge it would be 1.8 %, at three times 0.6 %.)
    max_pixels: pictures whose header claims more are refused before a pixel is decoded.
    Raises ImageError, and nothing else, for whatever the bytes hold.
    """
    with opened(data, max_pixels) as image:
        return decoded(image, data, edge_px_hint)


def decoded(image: ImageFile.ImageFile, data: bytes, edge_px_hint: int | None) -> NDArray[np.uint8]:
    """What `decode` gives, of an image that is `opened`."""
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        return _jpeg_pixels(image, data, edge_px_hint)
    return _pixels(image)


@contextlib.contextmanager
def opened(data: bytes, max_pixels: int = MAX_PIXELS) -> Iterator[ImageFile.ImageFile]:
    """The file with its header read and checked. ImageError, and nothing else, for what its bytes lead to."""
    if not data:
        raise ImageError("empty file (0 bytes)")
    kind = sniff(data)
    if kind is None:
        raise ImageError(f"not an image in a format that is read here ({', '.join(_READERS)})")
    with pillow_quiet():
        try:
            with _READERS[kind](io.BytesIO(data)) as image:
                _check_header(image, data, kind, max_pixels)
                yield image
        except ImageError:
            raise
        except HOSTILE as error:
            raise ImageError(_reason(kind, error)) from error


def _pixels(image: Image.Image) -> NDArray[np.uint8]:
    with _one_at_a_time_if_large(*image.size):
        image.load()
        return np.asarray(to_rgb(image))


def _jpeg_pixels(image: Image.Image, data: bytes, edge_px_hint: int | None) -> NDArray[np.uint8]:
    """By simplejpeg, in 0.7 of Pillow's time; by Pillow what isn't plain RGB or grey, or is damaged."""
    scale = 1
    if edge_px_hint is not None:
        scale = next((s for s in _JPEG_SCALES if -(-min(image.size) // s) >= _SCALED_GAP * edge_px_hint), 1)
    width, height = (-(-edge // scale) for edge in image.size)
    if image.mode in ("RGB", "L") and is_srgb(image):
        # Strict: what libjpeg only warns of is refused. Pillow then has the last word: it forgives some of
        # that, and says what is wrong with the rest.
        with _one_at_a_time_if_large(width, height), contextlib.suppress(ValueError):
            stored_HWC = simplejpeg.decode_jpeg(data, min_width=width, min_height=height, strict=True)
            return turned(stored_HWC, orientation(image))
    if scale > 1:
        image.draft(None, (max(1, image.width // scale), max(1, image.height // scale)))
    return _pixels(image)


def _check_header(image: ImageFile.ImageFile, data: bytes, kind: str, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise ImageError(
            f"{width} x {height} = {width * height / 1e6:.0f} megapixels, "
            f"above the limit of {max_pixels / 1e6:g}"
        )
    if kind == "PNG" and width * height > 8 * _MOST_PACKED * len(data):  # one bit a pixel is the least
        raise ImageError(f"broken PNG: {len(data)} bytes can't hold the {width} x {height} pixels it claims")
    strips = [tile[1] for tile in image.tile if tile[1] is not None] if kind == "TIFF" else []
    if strips and max(s[2] for s in strips) * max(s[3] for s in strips) < width * height:
        raise ImageError(f"broken TIFF: its strips cover only a part of the {width} x {height} pixels")
    # Inside a JPEG's packed data these two bytes can't follow each other, so this counts the scans.
    if kind == "JPEG" and image.info.get("progressive") and data.count(b"\xff\xda") > _MAX_SCANS:
        raise ImageError(f"broken JPEG: more than {_MAX_SCANS} progressive scans")


_large_lock = threading.Lock()


@contextlib.contextmanager
def _one_at_a_time_if_large(width: int, height: int) -> Iterator[None]:
    if width * height <= _LARGE_PIXELS:
        yield
    else:
        with _large_lock:
            yield


def _reason(kind: str, error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return f"{kind} asks for more memory than there is"
    if isinstance(error, Image.DecompressionBombError):
        return f"{kind} with more pixels than Pillow's own limit for this format"
    said = "".join(character if character.isprintable() else " " for character in str(error))
    said = " ".join(said.split())[:120]
    if "truncated" in said.lower() or "end of file" in said.lower():
        return f"truncated {kind}: {said}"
    return f"broken {kind}: {said or type(error).__name__}"
