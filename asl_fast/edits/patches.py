"""Patches: what is laid over or under a picture. Described by plain values; drawn by whoever needs pixels.

Text and signs use the fonts that come with Matplotlib: DejaVu (its own free licence; Latin, Greek, Cyrillic,
Armenian, Georgian, Hebrew, Arabic, signs and faces) and STIX (OFL).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

FONTS = (
    "DejaVuSans.ttf",
    "DejaVuSans-Bold.ttf",
    "DejaVuSans-Oblique.ttf",
    "DejaVuSerif.ttf",
    "DejaVuSerif-Bold.ttf",
    "DejaVuSansMono.ttf",
    "STIXGeneral.ttf",
    "STIXGeneralBol.ttf",
)
_SIGN_PX = 96
_MOST_PX = 96  # text larger than this is drawn at this size and stretched


Colour3 = tuple[int, int, int]


@dataclass(frozen=True)
class PhotoPatch:
    """other: which photo of the pool, as a share of its length."""

    other: float


@dataclass(frozen=True)
class PlainPatch:
    fill: Colour3


@dataclass(frozen=True)
class TextPatch:
    """One line of text, with an outline of another colour or on a box, if they are given.

    font: number in FONTS.  height_px: of the line, ascenders and descenders included.
    """

    text: str
    font: int
    height_px: int
    fill: Colour3
    outline: Colour3 | None = None
    box: Colour3 | None = None


@dataclass(frozen=True)
class SignPatch:
    """An emoji: one character in `ink`, on a disc of colour if there is one."""

    character: str
    ink: Colour3
    disc: Colour3 | None


Patch = PhotoPatch | PlainPatch | TextPatch | SignPatch


@functools.lru_cache(maxsize=512)
def drawn(patch: TextPatch | SignPatch) -> NDArray[np.uint8]:
    """RGBA pixels (height, width, 4), colours multiplied by alpha, read-only."""
    pixels = _text(patch) if isinstance(patch, TextPatch) else _sign(patch)
    pixels.setflags(write=False)
    return pixels


@functools.cache
def font_size(font: int, px: int) -> ImageFont.FreeTypeFont:
    """A font whose line is about px high."""
    import matplotlib  # here, not above: only captions need it

    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / FONTS[font]
    # without Raqm every machine draws the same: its version of HarfBuzz would shape the text
    return ImageFont.truetype(path, px, layout_engine=ImageFont.Layout.BASIC)


def _text(patch: TextPatch) -> NDArray[np.uint8]:
    height = min(_MOST_PX, max(4, patch.height_px))
    font = font_size(patch.font, max(3, round(height / 1.25)))
    stroke = max(1, height // 16) if patch.outline is not None else 0
    margin = stroke + (height // 6 if patch.box is not None else 0)
    ascent, descent = font.getmetrics()
    width = max(1, round(font.getlength(patch.text)))
    size = (width + 2 * margin, ascent + descent + 2 * margin)

    def lettered(stroke_width: int) -> NDArray[np.uint8]:
        image = Image.new("L", size)
        where = (margin, margin + ascent)
        ImageDraw.Draw(image).text(
            where, patch.text, fill=255, font=font, anchor="ls", stroke_width=stroke_width
        )
        return np.asarray(image)

    ink_HW = lettered(0)
    behind_HW = np.full_like(ink_HW, 255) if patch.box is not None else lettered(stroke) if stroke else ink_HW
    return _layered(ink_HW, patch.fill, behind_HW, patch.box or patch.outline or patch.fill)


def _sign(patch: SignPatch) -> NDArray[np.uint8]:
    disc, ink = (Image.new("L", (_SIGN_PX, _SIGN_PX)) for _ in range(2))
    room = float(_SIGN_PX)
    if patch.disc is not None:
        ImageDraw.Draw(disc).ellipse((0, 0, _SIGN_PX - 1, _SIGN_PX - 1), fill=255)
        room *= 0.8
    left, top, right, bottom = font_size(0, _SIGN_PX).getbbox(patch.character)
    font = font_size(0, max(1, int(room / max(1.0, right - left, bottom - top) * _SIGN_PX)))
    left, top, right, bottom = font.getbbox(patch.character)
    where = ((_SIGN_PX - left - right) / 2, (_SIGN_PX - top - bottom) / 2)
    ImageDraw.Draw(ink).text(where, patch.character, fill=255, font=font)
    ink_HW = np.asarray(ink)
    behind_HW = ink_HW if patch.disc is None else np.maximum(np.asarray(disc), ink_HW)
    return _layered(ink_HW, patch.ink, behind_HW, patch.disc or patch.ink)


def _layered(
    ink_HW: NDArray[np.uint8], ink: Colour3, behind_HW: NDArray[np.uint8], behind: Colour3
) -> NDArray[np.uint8]:
    """RGBA of one colour over another, each with its alpha; the second covers what the first does."""
    channels = [
        cv2.addWeighted(ink_HW, (above - below) / 255, behind_HW, below / 255, 0)
        for above, below in zip(ink, behind, strict=True)
    ]
    return np.asarray(cv2.merge([*channels, behind_HW]), np.uint8)
