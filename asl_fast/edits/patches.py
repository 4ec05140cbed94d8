"""Patches: what is laid over or under a picture. Described by plain values; drawn by whoever needs pixels.

Text and signs use the fonts that come with Matplotlib: DejaVu (its own free licence; Latin, Greek, Cyrillic,
Armenian, Georgian, Hebrew, Arabic, signs and faces) and STIX (OFL).
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

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
_LINES_PX = (11, 32, 96)  # heights that lines are drawn in, then shrunk; larger ones are stretched


Colour3 = tuple[int, int, int]
Size = tuple[int, int]  # width, height


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


class Masks(NamedTuple):
    """How much of each pixel is covered, 0 to 255, read-only: by the ink, and by all of it.

    The second is the first itself where nothing lies behind the ink.
    """

    ink_HW: NDArray[np.uint8]
    behind_HW: NDArray[np.uint8]


@functools.lru_cache(maxsize=512)
def masks(patch: TextPatch | SignPatch) -> Masks:
    if isinstance(patch, SignPatch):
        return _sign_masks(patch.character, patch.disc is not None)
    return _text_masks(patch)


def drawn_size(patch: TextPatch | SignPatch) -> Size:
    """(width, height) of its masks, without drawing it."""
    if isinstance(patch, SignPatch):
        return (_SIGN_PX, _SIGN_PX)
    return _layout(patch.text, patch.font, _line_px(patch), _margin(patch))


def colours(patch: TextPatch | SignPatch) -> tuple[Colour3, Colour3]:
    """Of the ink, and of what lies behind it."""
    if isinstance(patch, SignPatch):
        return patch.ink, patch.disc or patch.ink
    return patch.fill, patch.box or patch.outline or patch.fill


@functools.lru_cache(maxsize=512)
def ink_share(patch: TextPatch | SignPatch) -> float:
    """The share of its box that is covered."""
    return cv2.mean(masks(patch).behind_HW)[0] / 255


@functools.lru_cache(maxsize=512)
def coarse_ink(patch: TextPatch | SignPatch) -> NDArray[np.uint8]:
    """(32, 32): how much is covered of each cell of its box."""
    behind_HW = masks(patch).behind_HW
    every = max(1, min(behind_HW.shape) // 32)  # the mean of fewer pixels will do
    behind_HW = np.ascontiguousarray(behind_HW[::every, ::every])
    return np.asarray(cv2.resize(behind_HW, (32, 32), interpolation=cv2.INTER_AREA), np.uint8)


def drawn(patch: TextPatch | SignPatch) -> NDArray[np.uint8]:
    """RGBA pixels (height, width, 4), colours multiplied by alpha."""
    ink_HW, behind_HW = masks(patch)
    channels = [
        cv2.addWeighted(ink_HW, (above - below) / 255, behind_HW, below / 255, 0)
        for above, below in zip(*colours(patch), strict=True)
    ]
    return np.asarray(cv2.merge([*channels, behind_HW]), np.uint8)


@functools.cache
def font_size(font: int, px: int) -> ImageFont.FreeTypeFont:
    """A font whose line is about px high."""
    import matplotlib  # here, not above: only captions need it

    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / FONTS[font]
    # without Raqm every machine draws the same: its version of HarfBuzz would shape the text
    return ImageFont.truetype(path, px, layout_engine=ImageFont.Layout.BASIC)


class _Glyph(NamedTuple):
    """mask_HW lies with its corner at (left, top) of the pen on the baseline."""

    mask_HW: NDArray[np.uint8]
    left: int
    top: int


@functools.lru_cache(maxsize=10_000)
def _glyph(font: int, px: int, character: str) -> _Glyph:
    face = font_size(font, px)
    left, top, right, bottom = (int(edge) for edge in face.getbbox(character, anchor="ls"))
    image = Image.new("L", (max(1, right - left), max(1, bottom - top)))
    ImageDraw.Draw(image).text((-left, -top), character, fill=255, font=face, anchor="ls")
    return _Glyph(np.asarray(image), left, top)


class _Measure(NamedTuple):
    """Of a character, in shares of the font's size: how far the pen moves, how far the ink lies beyond."""

    advance: float
    before: float
    after: float


@functools.cache
def _measure(font: int, character: str) -> _Measure:
    px = _font_px(_LINES_PX[-1])
    face = font_size(font, px)
    left, _, right, _ = face.getbbox(character, anchor="ls")
    advance = face.getlength(character)
    return _Measure(advance / px, max(0, -left) / px, max(0, right - advance) / px)


@functools.cache
def _metrics(font: int, px: int) -> tuple[int, int]:
    """Ascent and descent."""
    ascent, descent = font_size(font, px).getmetrics()
    return round(ascent), round(descent)


def _line_px(patch: TextPatch) -> int:
    """Few heights, so that glyphs are drawn once: the next one up, the line is shrunk to its place."""
    return next(height for height in _LINES_PX if height >= min(patch.height_px, _LINES_PX[-1]))


def _font_px(line_px: int) -> int:
    return max(3, round(line_px / 1.25))


def _stroke(line_px: int) -> int:
    return max(1, line_px // 16)


def _margin(patch: TextPatch) -> int:
    line_px = _line_px(patch)
    stroke = _stroke(line_px) if patch.outline is not None else 0
    return stroke + (line_px // 6 if patch.box is not None else 0)


def _layout(text: str, font: int, line_px: int, margin: int) -> Size:
    px = _font_px(line_px)
    measures = [_measure(font, character) for character in text]
    share = sum(measure.advance for measure in measures)
    share += measures[0].before + measures[-1].after if text else 0.0
    return (max(1, math.ceil(px * share)) + 2 * margin, sum(_metrics(font, px)) + 2 * margin)


def _text_masks(patch: TextPatch) -> Masks:
    line_px, margin = _line_px(patch), _margin(patch)
    width, height = _layout(patch.text, patch.font, line_px, margin)
    px = _font_px(line_px)
    ink_HW = np.zeros((height, width), np.uint8)
    pen = margin + px * _measure(patch.font, patch.text[0]).before if patch.text else 0.0
    baseline = margin + _metrics(patch.font, px)[0]
    for character in patch.text:
        glyph = _glyph(patch.font, px, character)
        left, top = max(0, round(pen) + glyph.left), max(0, baseline + glyph.top)
        under_HW = ink_HW[top:, left:][: glyph.mask_HW.shape[0], : glyph.mask_HW.shape[1]]
        np.maximum(under_HW, glyph.mask_HW[: under_HW.shape[0], : under_HW.shape[1]], out=under_HW)
        pen += px * _measure(patch.font, character).advance
    if patch.box is not None:
        return _kept(ink_HW, np.full_like(ink_HW, 255))
    if patch.outline is None:
        return _kept(ink_HW, ink_HW)
    edge = 2 * _stroke(line_px) + 1
    round_brush = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (edge, edge))
    return _kept(ink_HW, np.asarray(cv2.dilate(ink_HW, round_brush), np.uint8))


@functools.lru_cache(maxsize=512)
def _sign_masks(character: str, has_disc: bool) -> Masks:
    disc, ink = (Image.new("L", (_SIGN_PX, _SIGN_PX)) for _ in range(2))
    room = float(_SIGN_PX)
    if has_disc:
        ImageDraw.Draw(disc).ellipse((0, 0, _SIGN_PX - 1, _SIGN_PX - 1), fill=255)
        room *= 0.8
    left, top, right, bottom = font_size(0, _SIGN_PX).getbbox(character)
    font = font_size(0, max(1, int(room / max(1.0, right - left, bottom - top) * _SIGN_PX)))
    left, top, right, bottom = font.getbbox(character)
    where = ((_SIGN_PX - left - right) / 2, (_SIGN_PX - top - bottom) / 2)
    ImageDraw.Draw(ink).text(where, character, fill=255, font=font)
    ink_HW = np.asarray(ink)
    return _kept(ink_HW, ink_HW if not has_disc else np.maximum(np.asarray(disc), ink_HW))


def _kept(ink_HW: NDArray[np.uint8], behind_HW: NDArray[np.uint8]) -> Masks:
    for mask_HW in (ink_HW, behind_HW):
        mask_HW.setflags(write=False)
    return Masks(ink_HW, behind_HW)
