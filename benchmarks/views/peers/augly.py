"""AugLy's functions on PIL pictures.

Importing it needs libmagic (Debian: libmagic1), which tells it the type of files, such as its emoji. Where
that library is missing, the name of the file tells it.
"""

from __future__ import annotations

import functools
import importlib.util
import io
import mimetypes
import sys
import types
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

try:
    import magic  # noqa: F401
except ImportError:
    _magic = types.ModuleType("magic")
    _magic.from_file = lambda name, mime: mimetypes.guess_type(name)[0]  # type: ignore[attr-defined]
    sys.modules["magic"] = _magic

import augly.image as augly
from augly.image.utils import rotated_rect_with_max_area

from asl_fast.edits import Chain, Crop, Edit, Fit, Pixels
from asl_fast.edits.compositing.caption import Caption
from asl_fast.edits.compositing.emoji import Emoji
from asl_fast.edits.compositing.overlay import Overlay
from asl_fast.edits.compositing.paste import Paste
from asl_fast.edits.geometric.flip import Flip
from asl_fast.edits.geometric.pad import Pad
from asl_fast.edits.geometric.rotate import Rotate
from asl_fast.edits.photometric.blur import Blur
from asl_fast.edits.photometric.colour import Colour
from asl_fast.edits.photometric.grayscale import Grayscale
from asl_fast.edits.photometric.jpeg import Jpeg
from asl_fast.edits.photometric.median import Median
from asl_fast.edits.photometric.noise import Noise
from asl_fast.edits.photometric.pixelise import Pixelise
from asl_fast.edits.photometric.sharpen import Sharpen
from asl_fast.edits.photometric.shuffle import Shuffle
from asl_fast.edits.steps import MedianFilter, Onto, Over, Size
from benchmarks.views.peers.peer import Doing, Peer, box_of, new_size, other_of, same

Picture = Image.Image
Pool = Sequence[Picture]
_FOLDER = Path(importlib.util.find_spec("augly").submodule_search_locations[0])  # type: ignore[union-attr,index]
_FONT = _FOLDER / "assets" / "fonts" / "CaviarDreams.ttf"


def _fit(edit: Fit, size: Size, pool: Pool) -> Doing:
    width, height = new_size(edit, size)
    return same if (width, height) == size else functools.partial(augly.resize, width=width, height=height)


def _crop(edit: Crop, size: Size, pool: Pool) -> Doing:
    left, top, width, height = box_of(edit, size)
    near = 1e-6  # it rounds down
    x1, x2 = ((left + near) / size[0], (left + width + near) / size[0])
    y1, y2 = ((top + near) / size[1], (top + height + near) / size[1])
    return functools.partial(augly.crop, x1=x1, y1=y1, x2=min(1.0, x2), y2=min(1.0, y2))


def _pad(edit: Pad, size: Size, pool: Pool) -> Doing:
    return functools.partial(augly.pad, w_factor=edit.left, h_factor=edit.top, color=edit.fill)


def _colour(edit: Colour, size: Size, pool: Pool) -> Doing:
    return functools.partial(
        augly.color_jitter,
        brightness_factor=edit.brightness,
        contrast_factor=edit.contrast,
        saturation_factor=edit.saturation,
    )


def _median(edit: Median, size: Size, pool: Pool) -> Doing:
    (step,) = edit.steps(size)
    assert isinstance(step, MedianFilter)
    return functools.partial(augly.apply_pil_filter, filter_type=ImageFilter.MedianFilter(step.edge_px))


def _jpeg(edit: Jpeg, size: Size, pool: Pool) -> Doing:
    def doing(picture: Picture) -> Picture:
        saved = augly.encoding_quality(picture, quality=edit.quality)
        saved.load()
        return saved

    return doing


def _emoji(edit: Emoji, size: Size, pool: Pool) -> Doing:
    share = edit.edge * min(size) / size[1]
    left, top = (max(0.0, at - share / 2) for at in (edit.x, edit.y))
    return functools.partial(augly.overlay_emoji, emoji_size=share, x_pos=left, y_pos=top)


def _caption(edit: Caption, size: Size, pool: Pool) -> Doing:
    """As many letters, in a font of its own: it takes numbers in the font's list of characters."""
    letters = [ord(letter) for letter in edit.text]
    return functools.partial(
        augly.overlay_text,
        text=letters,
        font_file=str(_FONT),
        font_size=edit.height * size[1] / 1.25 / min(size),
        color=edit.fill,
        x_pos=edit.left,
        y_pos=edit.top,
    )


def _overlay(edit: Overlay, size: Size, pool: Pool) -> Doing:
    (step,) = edit.steps(size)
    assert isinstance(step, Over)
    return lambda picture: augly.overlay_image(
        picture,
        overlay=other_of(edit.other, pool),
        overlay_size=step.matrix[1, 1] / size[1],
        x_pos=step.matrix[0, 2] / size[0],
        y_pos=step.matrix[1, 2] / size[1],
    )


def _paste(edit: Paste, size: Size, pool: Pool) -> Doing:
    (step,) = edit.steps(size)
    assert isinstance(step, Onto)
    return lambda picture: augly.overlay_onto_background_image(
        picture,
        background_image=other_of(edit.other, pool),
        overlay_size=edit.edge_share,
        x_pos=step.matrix[0, 2] / step.size[0],
        y_pos=step.matrix[1, 2] / step.size[1],
        scale_bg=True,
    )


class Augly(Peer):
    """Its rotation keeps the largest upright part: where it is compared, ours is followed by that crop."""

    name = "augly"
    edits = {
        Fit: _fit,
        Crop: _crop,
        Flip: lambda edit, size, pool: augly.vflip if edit.upside_down else augly.hflip,
        Rotate: lambda edit, size, pool: functools.partial(augly.rotate, degrees=edit.degrees),
        Pad: _pad,
        Colour: _colour,
        Grayscale: lambda edit, size, pool: augly.grayscale,
        Blur: lambda edit, size, pool: functools.partial(augly.blur, radius=edit.radius_share * min(size)),
        Sharpen: lambda edit, size, pool: functools.partial(augly.sharpen, factor=1 + edit.amount),
        Median: _median,
        Noise: lambda edit, size, pool: functools.partial(
            augly.random_noise, var=(edit.sigma / 255) ** 2, seed=edit.seed
        ),
        Pixelise: lambda edit, size, pool: functools.partial(augly.pixelization, ratio=edit.ratio),
        Shuffle: lambda edit, size, pool: functools.partial(
            augly.shuffle_pixels, factor=edit.share, seed=edit.seed
        ),
        Jpeg: _jpeg,
        Emoji: _emoji,
        Caption: _caption,
        Overlay: _overlay,
        Paste: _paste,
    }

    def counterpart(self, chain: Chain, size: Size) -> Chain:
        edits: list[Edit] = []
        for edit in self.known(chain).edits:
            edits.append(edit)
            before, size = size, new_size(edit, size)
            if isinstance(edit, Rotate):
                edits.append(_upright_part(before, size, edit.degrees))
                size = new_size(edits[-1], size)
        return Chain(tuple(edits))

    def decode(self, data: bytes) -> Picture:
        with Image.open(io.BytesIO(data)) as image:
            return image.convert("RGB")

    def native(self, pixels: Pixels) -> Picture:
        return Image.fromarray(pixels)

    def pixels(self, picture: Picture) -> Pixels:
        return np.asarray(picture.convert("RGB"))

    def row(self, picture: Picture) -> Pixels:
        return np.array(picture.convert("RGB"))

    def size(self, picture: Picture) -> Size:
        return picture.size


def _upright_part(size: Size, canvas: Size, degrees: float) -> Crop:
    width, height = rotated_rect_with_max_area(*size, degrees)
    left, top = (int((whole - part) / 2) for whole, part in zip(canvas, (width, height), strict=True))
    right, bottom = (int((whole + part) / 2) for whole, part in zip(canvas, (width, height), strict=True))
    return Crop(
        left=left / canvas[0],
        top=top / canvas[1],
        width=(right - left) / canvas[0],
        height=(bottom - top) / canvas[1],
    )
