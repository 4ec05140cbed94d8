"""Albumentations' functions on uint8 arrays (H, W, C): what its classes call, without their overhead."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import cv2
import numpy as np
from albucore import hflip, vflip
from albumentations.augmentations.blur import functional as blurs
from albumentations.augmentations.crops import functional as crops
from albumentations.augmentations.dropout import functional as dropouts
from albumentations.augmentations.geometric import functional as geometric
from albumentations.augmentations.mixing import functional as mixing
from albumentations.augmentations.pixel import functional as values
from albumentations.augmentations.text import functional as texts

from asl_fast.edits import Crop, Fit, Pixels
from asl_fast.edits.compositing.caption import Caption
from asl_fast.edits.compositing.overlay import Overlay
from asl_fast.edits.compositing.paste import Paste
from asl_fast.edits.compositing.stripe import Stripe
from asl_fast.edits.geometric.flip import Flip
from asl_fast.edits.geometric.pad import Pad
from asl_fast.edits.geometric.perspective import Perspective
from asl_fast.edits.geometric.rotate import Rotate
from asl_fast.edits.patches import font_size
from asl_fast.edits.photometric.blur import Blur
from asl_fast.edits.photometric.colour import Colour
from asl_fast.edits.photometric.equalise import Equalise
from asl_fast.edits.photometric.gamma import Gamma
from asl_fast.edits.photometric.grayscale import Grayscale
from asl_fast.edits.photometric.jpeg import Jpeg
from asl_fast.edits.photometric.median import Median
from asl_fast.edits.photometric.noise import Noise
from asl_fast.edits.photometric.pixelise import Pixelise
from asl_fast.edits.photometric.posterise import Posterise
from asl_fast.edits.photometric.sharpen import Sharpen
from asl_fast.edits.photometric.webp import Webp
from asl_fast.edits.steps import Convolve, Erase, MedianFilter, Onto, Over, Size
from benchmarks.views.peers.peer import (
    Doing,
    Peer,
    bits_of,
    box_of,
    centred,
    kernel_px,
    margins_of,
    new_size,
    other_of,
    same,
    warp_of,
)

Pool = Sequence[Pixels]
_rng = np.random.default_rng(0)


def _resized(picture: Pixels, size: Size) -> Pixels:
    """Averaged where it shrinks, as its option area_for_downscale has it."""
    shrinks = size[0] < picture.shape[1] or size[1] < picture.shape[0]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(geometric.resize(picture, (size[1], size[0]), how))


def _fit(edit: Fit, size: Size, pool: Pool) -> Doing:
    target = new_size(edit, size)
    return same if target == size else functools.partial(_resized, size=target)


def _crop(edit: Crop, size: Size, pool: Pool) -> Doing:
    left, top, width, height = box_of(edit, size)
    return lambda picture: crops.crop(picture, left, top, left + width, top + height)


def _rotate(edit: Rotate, size: Size, pool: Pool) -> Doing:
    step = warp_of(edit, size)
    assert step is not None
    shape = (step.size[1], step.size[0])
    matrix = centred(step.matrix)
    return lambda picture: geometric.warp_affine(
        picture, matrix, cv2.INTER_LINEAR, edit.fill, cv2.BORDER_CONSTANT, shape
    )


def _perspective(edit: Perspective, size: Size, pool: Pool) -> Doing:
    step = warp_of(edit, size)
    assert step is not None
    matrix, (width, height), fill = centred(step.matrix), step.size, list(edit.fill)
    return lambda picture: geometric.perspective(
        picture, matrix, width, height, fill, cv2.BORDER_CONSTANT, False, cv2.INTER_LINEAR
    )


def _pad(edit: Pad, size: Size, pool: Pool) -> Doing:
    left, top, right, bottom = margins_of(edit, size)
    return lambda picture: geometric.pad_with_params(
        picture, top, bottom, left, right, cv2.BORDER_CONSTANT, edit.fill
    )


def _colour(edit: Colour, size: Size, pool: Pool) -> Doing:
    def doing(picture: Pixels) -> Pixels:
        picture = values.adjust_brightness_torchvision(picture, edit.brightness)
        picture = values.adjust_contrast_torchvision(picture, edit.contrast)
        return np.asarray(values.adjust_saturation_torchvision(picture, edit.saturation))

    return doing


def _blur(edit: Blur, size: Size, pool: Pool) -> Doing:
    sigma = edit.radius_share * min(size)
    kernel = blurs.create_gaussian_kernel_1d(sigma, kernel_px(sigma))
    return lambda picture: values.separable_convolve(picture, kernel)


def _sharpen(edit: Sharpen, size: Size, pool: Pool) -> Doing:
    (step,) = edit.steps(size)
    assert isinstance(step, Convolve)
    kernel = step.kernel
    return lambda picture: values.convolve(picture, kernel)


def _median(edit: Median, size: Size, pool: Pool) -> Doing:
    (step,) = edit.steps(size)
    assert isinstance(step, MedianFilter)
    edge = step.edge_px
    return lambda picture: blurs.median_blur(picture, edge)


def _noise(edit: Noise, size: Size, pool: Pool) -> Doing:
    sigma = edit.sigma / 255
    wanted = {"mean_range": (0.0, 0.0), "std_range": (sigma, sigma)}

    def doing(picture: Pixels) -> Pixels:
        noise = values.generate_noise("gaussian", "per_pixel", picture.shape, wanted, 255.0, 1.0, _rng)
        return np.asarray(values.add_noise(picture, noise))

    return doing


def _caption(edit: Caption, size: Size, pool: Pool) -> Doing:
    px = max(4, round(edit.height * size[1]))
    font = font_size(edit.font, max(3, round(px / 1.25)))
    where = (round(edit.left * size[0]), round(edit.top * size[1]))
    line = {
        "bbox_coords": (*where, *size),
        "text": edit.text,
        "font": font,
        "font_color": edit.fill,
    }
    return lambda picture: texts.render_text(picture, [line], False)


def _overlay(edit: Overlay, size: Size, pool: Pool) -> Doing:
    (step,) = edit.steps(size)
    assert isinstance(step, Over)
    patch = (round(step.matrix[0, 0]), round(step.matrix[1, 1]))
    offset = (round(step.matrix[1, 2]), round(step.matrix[0, 2]))
    mask = np.ones(patch[::-1], np.uint8)

    def doing(picture: Pixels) -> Pixels:
        other = _resized(other_of(edit.other, pool), patch)
        return np.asarray(mixing.copy_and_paste_blend(picture, other, mask, offset))

    return doing


def _paste(edit: Paste, size: Size, pool: Pool) -> Doing:
    (step,) = edit.steps(size)
    assert isinstance(step, Onto)
    canvas, offset = step.size, (round(step.matrix[1, 2]), round(step.matrix[0, 2]))
    mask = np.ones(size[::-1], np.uint8)

    def doing(picture: Pixels) -> Pixels:
        below = _resized(other_of(edit.other, pool), canvas)
        return np.asarray(mixing.copy_and_paste_blend(below, picture, mask, offset))

    return doing


def _stripe(edit: Stripe, size: Size, pool: Pool) -> Doing:
    (step,) = edit.steps(size)
    assert isinstance(step, Erase)
    hole = np.concatenate([step.polygons[0].min(0), step.polygons[0].max(0)]).astype(int)[None]
    return lambda picture: dropouts.cutout(picture, hole, edit.fill, _rng)


class Albumentations(Peer):
    """NumPy and OpenCV. It compresses as if red were blue, which costs it nothing."""

    name = "albumentations"
    edits = {
        Fit: _fit,
        Crop: _crop,
        Flip: lambda edit, size, pool: vflip if edit.upside_down else hflip,
        Rotate: _rotate,
        Perspective: _perspective,
        Pad: _pad,
        Colour: _colour,
        Grayscale: lambda edit, size, pool: functools.partial(
            values.to_gray, num_output_channels=3, method="weighted_average"
        ),
        Gamma: lambda edit, size, pool: functools.partial(values.gamma_transform, gamma=edit.exponent),
        Posterise: lambda edit, size, pool: functools.partial(values.posterize, bits=bits_of(edit.levels)),
        Equalise: lambda edit, size, pool: functools.partial(values.equalize, mode="cv", by_channels=False),
        Blur: _blur,
        Sharpen: _sharpen,
        Median: _median,
        Noise: _noise,
        Pixelise: lambda edit, size, pool: functools.partial(
            values.downscale,
            scale=edit.ratio,
            down_interpolation=cv2.INTER_AREA,
            up_interpolation=cv2.INTER_NEAREST,
        ),
        Jpeg: lambda edit, size, pool: functools.partial(
            values.image_compression, quality=edit.quality, image_type=".jpg"
        ),
        Webp: lambda edit, size, pool: functools.partial(
            values.image_compression, quality=edit.quality, image_type=".webp"
        ),
        Caption: _caption,
        Overlay: _overlay,
        Paste: _paste,
        Stripe: _stripe,
    }

    def decode(self, data: bytes) -> Pixels:
        return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB))

    def native(self, pixels: Pixels) -> Pixels:
        return pixels

    def pixels(self, picture: Pixels) -> Pixels:
        return picture

    def size(self, picture: Pixels) -> Size:
        return (picture.shape[1], picture.shape[0])
